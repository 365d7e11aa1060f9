"""What users call. Knows AnnData, knows no equation."""

from spotscape.model._aestetik import AESTETIK
from spotscape.model._base import LatentModel
from spotscape.model._sedr import SEDR
from spotscape.model._spatial import SpatialModel
from spotscape.model._spotscape import SPOTSCAPE

__all__ = ["AESTETIK", "SEDR", "SPOTSCAPE", "LatentModel", "SpatialModel"]
