"""From AnnData to tensors: preprocessing, spatial graph, fields, loaders."""

from spotscape.data._counts import check_values, recognise_values
from spotscape.data._fields import (
    ExpressionField,
    SliceField,
    SpatialGraphField,
    check_genes,
    spatial_fields,
)
from spotscape.data._gene_selection import select_genes
from spotscape.data._graph import SpatialGraph, build_spatial_graph, normalize_adjacency
from spotscape.data._graph_checks import check_coordinates, validate_graph
from spotscape.data._graph_storage import ensure_graph, read_graph, write_graph
from spotscape.data._loader import GraphDataLoader, GraphDataSplitter
from spotscape.data._neighbourhood import Neighbourhood, NeighbourhoodSampler
from spotscape.data._patches import cut_into_patches
from spotscape.data._preprocessing import Preprocessor
from spotscape.data._row_blocks import read_rows
from spotscape.data._setup_checks import check_setup
from spotscape.data._size_rules import (
    default_batch_size,
    default_n_components,
    default_n_neighbors,
    default_n_steps,
    default_scale_power,
)

__all__ = [
    "ExpressionField",
    "GraphDataLoader",
    "GraphDataSplitter",
    "Neighbourhood",
    "NeighbourhoodSampler",
    "Preprocessor",
    "SliceField",
    "SpatialGraph",
    "SpatialGraphField",
    "build_spatial_graph",
    "check_coordinates",
    "check_genes",
    "check_setup",
    "check_values",
    "cut_into_patches",
    "default_batch_size",
    "default_n_components",
    "default_n_neighbors",
    "default_n_steps",
    "default_scale_power",
    "ensure_graph",
    "normalize_adjacency",
    "read_graph",
    "read_rows",
    "recognise_values",
    "select_genes",
    "spatial_fields",
    "validate_graph",
    "write_graph",
]
