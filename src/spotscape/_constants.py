"""Keys shared by the folders, so that none is written twice as a bare string."""

from typing import NamedTuple


class _BatchKeys(NamedTuple):
    """Entries of the dict of tensors that the loaders yield and the modules take."""

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
    """Entries of the dicts that the modules return."""

    LATENT: str = "z"
    ENCODED: str = "encoded"
    DECODER_INPUT: str = "decoder_input"
    MEAN: str = "mean"
    LOG_DEVIATION: str = "log_deviation"
    MASK: str = "mask"
    VIEWS: str = "views"
    RECONSTRUCTION: str = "reconstruction"


class _FieldKeys(NamedTuple):
    """Registry keys of the AnnDataManager fields that scvi-tools does not name itself."""

    COORDINATES: str = "spatial_coords"
    GRAPH: str = "spatial_graph"
    IMAGE: str = "image"


#: Column of ``var`` that tells, in data completed with the genes of a model, which of them were measured.
MEASURED_KEY = "spotscape_measured"

BATCH_KEYS = _BatchKeys()
MODULE_KEYS = _ModuleKeys()
FIELD_KEYS = _FieldKeys()


def modality_key(modality: str, key: str) -> str:
    """Entry of a batch that each modality has."""
    return f"{modality}_{key}"
