"""Preprocessing: functions that prepare an AnnData for the models."""

from spotscape.pp._spatial_neighbors import spatial_neighbors
from spotscape.pp.image import image_features

__all__ = ["image_features", "spatial_neighbors"]
