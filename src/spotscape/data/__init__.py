"""From AnnData to tensors: fields of the AnnDataManager, checks at set-up, loaders."""

from spotscape.data._fields import (
    ExpressionField,
    SliceField,
    SpatialGraphField,
    check_all_measured,
    check_genes,
    slice_names,
    spatial_fields,
)
from spotscape.data._loader import GraphDataLoader, GraphDataSplitter, SpotDataLoader
from spotscape.data._modality_checks import check_modalities
from spotscape.data._modality_fields import modality_fields, read_modality
from spotscape.data._setup_checks import check_setup
from spotscape.data._window_loader import WindowDataLoader, WindowDataSplitter

__all__ = [
    "ExpressionField",
    "GraphDataLoader",
    "GraphDataSplitter",
    "SliceField",
    "SpatialGraphField",
    "SpotDataLoader",
    "WindowDataLoader",
    "WindowDataSplitter",
    "check_all_measured",
    "check_genes",
    "check_modalities",
    "check_setup",
    "modality_fields",
    "read_modality",
    "slice_names",
    "spatial_fields",
]
