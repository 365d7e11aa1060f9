"""Removal of differences between slices from features."""

from spotscape.preprocessing.correction._base import Correction, NoCorrection
from spotscape.preprocessing.correction._centring import Centring
from spotscape.preprocessing.correction._combat import ComBat
from spotscape.preprocessing.correction._harmony import Harmony
from spotscape.preprocessing.correction._registry import (
    CORRECTIONS,
    correction_from_state,
    correction_named,
    correction_state,
)

__all__ = [
    "CORRECTIONS",
    "Centring",
    "ComBat",
    "Correction",
    "Harmony",
    "NoCorrection",
    "correction_from_state",
    "correction_named",
    "correction_state",
]
