"""The method itself: encoder, augmentation, prototypes, and each loss as a pure function named as in its paper."""

from spotscape.nn._augmentation import draw_feature_mask, drop_edges
from spotscape.nn._batch_norm import SeedBatchNorm
from spotscape.nn._graph_encoder import Decoder, GraphConvolution, GraphEncoder
from spotscape.nn._processes import gather_spots, mean_over_processes, n_processes, sum_over_processes
from spotscape.nn._prototypes import find_prototypes, nearest_prototype, prototypical_contrastive_loss
from spotscape.nn._reconstruction import reconstruction_loss, sparse_reconstruction_loss
from spotscape.nn._similarity_scaling import similarity_scaling_loss
from spotscape.nn._similarity_telescope import PatchSample, similarity_telescope_loss
from spotscape.nn._sparse import leading_rows, sparse_csr

__all__ = [
    "Decoder",
    "GraphConvolution",
    "GraphEncoder",
    "PatchSample",
    "SeedBatchNorm",
    "draw_feature_mask",
    "drop_edges",
    "find_prototypes",
    "gather_spots",
    "leading_rows",
    "mean_over_processes",
    "n_processes",
    "nearest_prototype",
    "prototypical_contrastive_loss",
    "reconstruction_loss",
    "similarity_scaling_loss",
    "similarity_telescope_loss",
    "sparse_csr",
    "sparse_reconstruction_loss",
    "sum_over_processes",
]
