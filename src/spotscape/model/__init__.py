"""What users call. Knows AnnData, knows no equation."""

from spotscape.model._base import SpatialModel
from spotscape.model._spotscape import SPOTSCAPE

__all__ = ["SPOTSCAPE", "SpatialModel"]
