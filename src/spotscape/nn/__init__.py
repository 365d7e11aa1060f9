"""Building blocks of the models: encoders, augmentation, prototypes and losses.

Each loss is a pure function with the name that it has in its paper, in a file of its own. These terms are used
throughout:

seed spots
    The spots of a batch whose representation and losses are computed. They are the first rows of a batch.
nodes
    The seed spots and, after them, all spots within the number of hops that the encoder reads.
patch
    A compact group of neighbouring spots. Batches of large data consist of randomly drawn patches.
view
    The tissue after a random augmentation.
window
    A spot and the rings of spots around it.
"""

from spotscape.nn._adjacency_likelihood import adjacency_loss, draw_pairs, edges_between_seeds
from spotscape.nn._augmentation import draw_feature_mask, drop_edges
from spotscape.nn._batch_norm import SeedBatchNorm
from spotscape.nn._deep_embedded_clustering import (
    clustering_loss,
    find_centres,
    soft_assignment,
    target_distribution,
)
from spotscape.nn._distributed import gather_spots, mean_over_processes, sum_over_processes
from spotscape.nn._graph_encoder import Decoder, GraphConvolution, GraphEncoder, NeighbourhoodSum
from spotscape.nn._masking import draw_spot_mask, drop_out, mask_spots
from spotscape.nn._prototypes import find_prototypes, nearest_prototype, prototypical_contrastive_loss
from spotscape.nn._random import random_key
from spotscape.nn._reconstruction import (
    reconstruction_loss,
    scaled_cosine_loss,
    sparse_reconstruction_loss,
    sparse_scaled_cosine_loss,
)
from spotscape.nn._similarity_scaling import similarity_scaling_loss
from spotscape.nn._similarity_telescope import PatchSample, similarity_telescope_loss
from spotscape.nn._sparse import leading_rows, sparse_csr
from spotscape.nn._triplet import Triplets, mine_triplets, triplet_margin_loss
from spotscape.nn._variational_graph_encoder import FeatureEncoder, VariationalGraphEncoder, kl_divergence
from spotscape.nn._window_autoencoder import (
    WindowDecoder,
    WindowEncoder,
    ring_shares,
    window_average,
    window_reconstruction_loss,
)

__all__ = [
    "Decoder",
    "FeatureEncoder",
    "GraphConvolution",
    "GraphEncoder",
    "NeighbourhoodSum",
    "PatchSample",
    "SeedBatchNorm",
    "Triplets",
    "VariationalGraphEncoder",
    "WindowDecoder",
    "WindowEncoder",
    "adjacency_loss",
    "clustering_loss",
    "draw_feature_mask",
    "draw_pairs",
    "draw_spot_mask",
    "drop_edges",
    "drop_out",
    "edges_between_seeds",
    "find_centres",
    "find_prototypes",
    "gather_spots",
    "kl_divergence",
    "leading_rows",
    "mask_spots",
    "mean_over_processes",
    "mine_triplets",
    "nearest_prototype",
    "prototypical_contrastive_loss",
    "random_key",
    "reconstruction_loss",
    "ring_shares",
    "scaled_cosine_loss",
    "similarity_scaling_loss",
    "similarity_telescope_loss",
    "soft_assignment",
    "sparse_csr",
    "sparse_reconstruction_loss",
    "sparse_scaled_cosine_loss",
    "sum_over_processes",
    "target_distribution",
    "triplet_margin_loss",
    "window_average",
    "window_reconstruction_loss",
]
