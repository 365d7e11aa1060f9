"""From AnnData to tensors: fields of the AnnDataManager, checks at set-up, batches and loaders."""

from spotscape.data._datasets import GraphDataset, SpotDataset, WindowDataset
from spotscape.data._fields import ExpressionField, SliceField, SpatialGraphField
from spotscape.data._loader import SpotDataLoader, SpotDataSplitter

__all__ = [
    "ExpressionField",
    "GraphDataset",
    "SliceField",
    "SpatialGraphField",
    "SpotDataLoader",
    "SpotDataSplitter",
    "SpotDataset",
    "WindowDataset",
]
