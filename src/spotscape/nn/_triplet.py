"""Triplets of spots mined inside a batch, and their margin loss."""

from typing import NamedTuple

import torch
from torch import Tensor


class Triplets(NamedTuple):
    """Row numbers within the batch. Each ``(n_triplets,)``."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


def mine_triplets(
    clusters: Tensor, slices: Tensor, n_clusters: int, generator: torch.Generator, *, across: bool
) -> Triplets:
    r"""Draw for each spot and each other cluster a spot of its own cluster and one of the other.

    All are spots of the batch, so that nothing is encoded besides it. Drawing takes time and memory in proportion to
    the number of spots times clusters.

    Parameters
    ----------
    clusters
        Cluster of each spot, -1 for spots without one, which take no part. ``(n_spots,)``.
    slices
        Slice of each spot. ``(n_spots,)``.
    n_clusters
        Number of clusters.
    generator
        Source of the draws.
    across
        Whether positives come from other slices, and negatives from the slice of the spot, where there are any:
        otherwise both come from all slices alike. It makes spots of a cluster meet whatever slice they come from, and
        gives no reward for telling slices apart.

    Returns
    -------
    Triplets of every spot with every other cluster that has a spot in the batch. None if fewer than two have.
    """
    n_slices = int(slices.max()) + 1 if len(slices) else 1
    members = torch.where(clusters >= 0)[0]
    # Spots in the order of cluster and slice: those of a cluster, and of a slice within it, are then a run of them.
    groups = clusters[members] * n_slices + slices[members]
    order = members[torch.argsort(groups, stable=True)]
    sizes = torch.bincount(groups, minlength=n_clusters * n_slices)
    starts = sizes.cumsum(0) - sizes
    cluster_sizes = sizes.view(n_clusters, n_slices).sum(1)
    cluster_starts = starts.view(n_clusters, n_slices)[:, 0]

    others = torch.arange(n_clusters, device=clusters.device)
    anchors = members.repeat_interleave(n_clusters)
    targets = others.repeat(len(members))
    valid = (targets != clusters[anchors]) & (cluster_sizes[targets] > 0)
    anchors, targets = anchors[valid], targets[valid]
    draw = torch.rand((2, len(anchors)), generator=generator, device=clusters.device, dtype=torch.float64)

    own, here = clusters[anchors], slices[anchors]
    own_group, other_group = own * n_slices + here, targets * n_slices + here
    size, start = cluster_sizes[own], cluster_starts[own]
    # Drawing among the others of the cluster is drawing among fewer, and stepping over the run of the own slice.
    skipped = torch.where(across & (sizes[own_group] < size), sizes[own_group], 0)
    place = start + (draw[0] * (size - skipped)).long()
    positives = order[torch.where((skipped > 0) & (place >= starts[own_group]), place + skipped, place)]
    inside = across & (sizes[other_group] > 0)
    size = torch.where(inside, sizes[other_group], cluster_sizes[targets])
    start = torch.where(inside, starts[other_group], cluster_starts[targets])
    return Triplets(anchors, positives, order[start + (draw[1] * size).long()])


def triplet_margin_loss(latent: Tensor, triplets: Triplets, margin: Tensor | float = 1.0) -> Tensor:
    r"""Mean margin loss of triplets :cite:p:`Schroff2015`, zero if there are none.

    .. math:: L = \frac{1}{T} \sum_{(a, p, n)} \max\left(0,\ |z_a - z_p| - |z_a - z_n| + m_{apn}\right)

    Parameters
    ----------
    latent
        Latent representation of a batch. ``(n_spots, n_latent)``.
    triplets
        See :func:`mine_triplets`.
    margin
        :math:`m`: by how much farther than its positive the negative of a spot should be, for each triplet or all.

    Returns
    -------
    Scalar.
    """
    if len(triplets.anchors) == 0:
        return latent.new_zeros(())
    anchors = latent[triplets.anchors]
    near, far = (_distance(anchors, latent[rows]) for rows in (triplets.positives, triplets.negatives))
    return torch.relu(near - far + margin).mean()


def _distance(first: Tensor, second: Tensor) -> Tensor:
    # The root has no gradient at zero, where a spot is its own positive.
    return ((first - second).square().sum(1) + 1e-12).sqrt()
