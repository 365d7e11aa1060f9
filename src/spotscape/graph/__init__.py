"""Spatial graph, windows, patches and neighbourhoods of spots."""

from spotscape._defaults import default_n_neighbors
from spotscape.graph._build import SpatialGraph, build_spatial_graph, normalize_adjacency
from spotscape.graph._checks import check_coordinates, validate_graph
from spotscape.graph._neighbourhoods import Neighbourhood, NeighbourhoodSampler
from spotscape.graph._patches import cut_into_patches
from spotscape.graph._storage import read_graph, write_graph
from spotscape.graph._windows import Windows, build_windows, default_ring_weights, default_window, window_averages

__all__ = [
    "Neighbourhood",
    "NeighbourhoodSampler",
    "SpatialGraph",
    "Windows",
    "build_spatial_graph",
    "build_windows",
    "check_coordinates",
    "cut_into_patches",
    "default_n_neighbors",
    "default_ring_weights",
    "default_window",
    "normalize_adjacency",
    "read_graph",
    "validate_graph",
    "window_averages",
    "write_graph",
]
