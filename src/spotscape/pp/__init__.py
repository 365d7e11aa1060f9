"""Preprocessing: functions that prepare an AnnData for the models."""

from spotscape.pp._image_features import image_features
from spotscape.pp._spatial_neighbors import spatial_neighbors

__all__ = ["image_features", "spatial_neighbors"]
