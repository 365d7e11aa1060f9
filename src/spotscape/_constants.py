"""Dictionary keys that several folders share."""

from typing import NamedTuple


class _BatchKeys(NamedTuple):
    """Keys of a batch, the dict of tensors that loaders yield and modules receive."""

    FEATURES: str = "X"
    SLICE: str = "batch"
    ADJACENCY: str = "adjacency"
    NODES_WITHIN_HOP: str = "nodes_within_hop"
    NODE_INDEX: str = "node_index"
    PATCH_SIZES: str = "patch_sizes"
    SAMPLE: str = "sample"
    WINDOWS: str = "windows"
    COUNTS: str = "window_counts"
    CLUSTERS: str = "clusters"
    CLUSTER_DISTANCES: str = "cluster_distances"


class _ModuleKeys(NamedTuple):
    """Keys of the dicts that modules return."""

    LATENT: str = "z"
    ENCODED: str = "encoded"
    DECODER_INPUT: str = "decoder_input"
    MEAN: str = "mean"
    LOG_DEVIATION: str = "log_deviation"
    MASK: str = "mask"
    VIEWS: str = "views"
    RECONSTRUCTION: str = "reconstruction"


class _FieldKeys(NamedTuple):
    """Registry keys of the AnnDataManager fields that scvi-tools does not define."""

    COORDINATES: str = "spatial_coords"
    GRAPH: str = "spatial_graph"
    IMAGE: str = "image"


#: Column of ``var`` that marks the measured genes where the other genes of a model were added to the data.
MEASURED_KEY = "spotscape_measured"

BATCH_KEYS = _BatchKeys()
MODULE_KEYS = _ModuleKeys()
FIELD_KEYS = _FieldKeys()


def modality_key(modality: str, key: str) -> str:
    """Return the batch key of a quantity that exists once per modality."""
    return f"{modality}_{key}"
