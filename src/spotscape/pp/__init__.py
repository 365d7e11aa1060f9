"""Preprocessing: functions that prepare an AnnData for the models."""

from spotscape.pp._spatial_neighbors import spatial_neighbors

__all__ = ["spatial_neighbors"]
