"""Names of dict entries and columns that several packages use, each defined once."""

from typing import NamedTuple


class _BatchKeys(NamedTuple):
    """Entries of a batch, the dict of tensors that the data loaders yield and the modules take.

    The nodes of a batch are its seed spots and, after them, all spots within the number of hops that the encoder reads.
    """

    #: Features of all nodes, dense or sparse CSR. ``(n_nodes, n_features)``.
    FEATURES: str = "X"
    #: Slice code of all nodes; scvi-tools' own key for the batch covariate. ``(n_nodes, 1)``.
    SLICE: str = "batch"
    #: Adjacency normalised on the full graph, sparse CSR, a row for each node inside the outermost hop.
    ADJACENCY: str = "adjacency"
    #: Number of nodes within 0, 1, ... hops of the seed spots; the first entry is the number of seed spots.
    NODES_WITHIN_HOP: str = "nodes_within_hop"
    #: Row of each node in the AnnData. ``(n_nodes,)``.
    NODE_INDEX: str = "node_index"
    #: Number of spots of each patch of this process. ``(n_patches,)``. Only in batches of patches.
    PATCH_SIZES: str = "patch_sizes"
    #: Number of patches in the batch, of patches in the training data, and of spots in the training data. ``(3,)``.
    SAMPLE: str = "sample"
    #: Mean features of each ring, or features of each site, a dict by modality. ``(n_spots, n_rings, n_features)``.
    WINDOWS: str = "windows"
    #: Number of spots in each ring, or at each site, a dict by modality. ``(n_spots, n_rings)``.
    COUNTS: str = "window_counts"
    #: Cluster of each spot, -1 for none, a dict by modality. ``(n_spots,)``. Only in training.
    CLUSTERS: str = "clusters"
    #: Distances between cluster centres, a dict by modality. ``(n_clusters, n_clusters)``. Only in training.
    CLUSTER_DISTANCES: str = "cluster_distances"


class _ModuleKeys(NamedTuple):
    """Entries of the dicts that ``inference`` and ``generative`` of the modules return, for the seed spots."""

    #: Latent representation. ``(n_seeds, n_latent)``.
    LATENT: str = "z"
    #: Output of the encoders of SEDR, on which its graph and clustering losses are computed.
    ENCODED: str = "encoded"
    #: Input of the decoder of SEDR.
    DECODER_INPUT: str = "decoder_input"
    #: Mean of the normal distribution of SEDR's graph encoder.
    MEAN: str = "mean"
    #: Logarithm of the standard deviation of the same distribution.
    LOG_DEVIATION: str = "log_deviation"
    #: Whether each seed spot is masked. ``(n_seeds,)``.
    MASK: str = "mask"
    #: Latent representations of the two augmented views of SPOTSCAPE.
    VIEWS: str = "views"
    #: Reconstructed features (AESTETIK), or the input of the layer that gives them (SEDR, SPOTSCAPE).
    RECONSTRUCTION: str = "reconstruction"


class _FieldKeys(NamedTuple):
    """Registry keys of the AnnDataManager fields that scvi-tools has no name for."""

    #: Coordinates of the spots, in ``obsm``.
    COORDINATES: str = "spatial_coords"
    #: Spatial graph, in ``obsp``.
    GRAPH: str = "spatial_graph"
    #: Image features of the spots, in ``obsm``.
    IMAGE: str = "image"


#: Boolean column of ``var`` that marks the measured genes, in data that were completed with the genes of a model.
MEASURED_KEY = "spotscape_measured"
#: Boolean data frame of ``varm``, genes by slices: which slices measured which genes.
MEASURED_SLICES_KEY = "measured"

BATCH_KEYS = _BatchKeys()
MODULE_KEYS = _ModuleKeys()
FIELD_KEYS = _FieldKeys()
