"""From AnnData to tensors: preprocessing, spatial graph, fields, loaders."""

from spotscape.data._correction import Centring, ComBat, Correction, NoCorrection
from spotscape.data._correction_harmony import Harmony, default_n_clusters, run_harmony
from spotscape.data._correction_kinds import correction_from_state, correction_named, correction_state
from spotscape.data._count_calibration import apply_count_calibration, fit_count_calibration
from spotscape.data._counts import check_values, recognise_values
from spotscape.data._fields import (
    ExpressionField,
    SliceField,
    SpatialGraphField,
    check_all_measured,
    check_genes,
    slice_names,
    spatial_fields,
)
from spotscape.data._gene_overlap import check_overlap
from spotscape.data._gene_selection import select_genes
from spotscape.data._graph import SpatialGraph, build_spatial_graph, normalize_adjacency
from spotscape.data._graph_checks import check_coordinates, validate_graph
from spotscape.data._graph_storage import ensure_graph, read_graph, write_graph
from spotscape.data._loader import GraphDataLoader, GraphDataSplitter, SpotDataLoader
from spotscape.data._modality import CORRECTIONS, Modality, modality_presence
from spotscape.data._modality_checks import check_modalities
from spotscape.data._modality_fields import modality_fields, read_modality
from spotscape.data._neighbourhood import Neighbourhood, NeighbourhoodSampler
from spotscape.data._novelty import distances_between_pieces, novelty
from spotscape.data._patches import cut_into_patches
from spotscape.data._preprocessing import Preprocessor
from spotscape.data._relatedness import explained_share, slice_mixing
from spotscape.data._row_blocks import read_rows
from spotscape.data._setup_checks import check_setup
from spotscape.data._shared_mixture import SharedMixture
from spotscape.data._size_rules import (
    default_batch_size,
    default_n_components,
    default_n_neighbors,
    default_n_steps,
    default_scale_power,
)
from spotscape.data._window_loader import WindowDataLoader, WindowDataSplitter
from spotscape.data._windows import Windows, build_windows, default_ring_weights, default_window, ring_means

__all__ = [
    "CORRECTIONS",
    "Centring",
    "ComBat",
    "Correction",
    "ExpressionField",
    "GraphDataLoader",
    "GraphDataSplitter",
    "Harmony",
    "Modality",
    "Neighbourhood",
    "NeighbourhoodSampler",
    "NoCorrection",
    "Preprocessor",
    "SharedMixture",
    "SliceField",
    "SpatialGraph",
    "SpatialGraphField",
    "SpotDataLoader",
    "WindowDataLoader",
    "WindowDataSplitter",
    "Windows",
    "apply_count_calibration",
    "build_spatial_graph",
    "build_windows",
    "check_all_measured",
    "check_coordinates",
    "check_genes",
    "check_modalities",
    "check_overlap",
    "check_setup",
    "check_values",
    "correction_from_state",
    "correction_named",
    "correction_state",
    "cut_into_patches",
    "default_batch_size",
    "default_n_clusters",
    "default_n_components",
    "default_n_neighbors",
    "default_n_steps",
    "default_ring_weights",
    "default_scale_power",
    "default_window",
    "distances_between_pieces",
    "ensure_graph",
    "explained_share",
    "fit_count_calibration",
    "modality_fields",
    "modality_presence",
    "normalize_adjacency",
    "novelty",
    "read_graph",
    "read_modality",
    "read_rows",
    "recognise_values",
    "ring_means",
    "run_harmony",
    "select_genes",
    "slice_mixing",
    "slice_names",
    "spatial_fields",
    "validate_graph",
    "write_graph",
]
