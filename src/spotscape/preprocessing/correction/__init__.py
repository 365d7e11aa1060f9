"""Removal of differences between slices from features."""

from spotscape.preprocessing.correction._base import Centring, ComBat, Correction, NoCorrection
from spotscape.preprocessing.correction._harmony import Harmony, default_n_clusters, run_harmony
from spotscape.preprocessing.correction._registry import correction_from_state, correction_named, correction_state

__all__ = [
    "Centring",
    "ComBat",
    "Correction",
    "Harmony",
    "NoCorrection",
    "correction_from_state",
    "correction_named",
    "correction_state",
    "default_n_clusters",
    "run_harmony",
]
