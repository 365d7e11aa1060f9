"""Triplets of spots drawn within a batch, and their margin loss."""

from typing import NamedTuple

import torch
from torch import Tensor


class Triplets(NamedTuple):
    """Row numbers within a batch of the three spots of each triplet.

    Attributes
    ----------
    anchors
        Spots of reference. ``(n_triplets,)``.
    positives
        Spots of the cluster of the anchor. ``(n_triplets,)``.
    negatives
        Spots of another cluster. ``(n_triplets,)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> triplets = nn.Triplets(anchors=torch.tensor([0]), positives=torch.tensor([1]), negatives=torch.tensor([2]))
    >>> triplets.negatives
    tensor([2])
    """

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


def mine_triplets(
    clusters: Tensor, slices: Tensor, n_clusters: int, generator: torch.Generator, *, across: bool
) -> Triplets:
    r"""Draw one triplet for each spot and each other cluster.

    The positive is a random spot of the cluster of the anchor, and the negative a random spot of the other cluster.
    Both are spots of the batch, so no further spots have to be encoded. Time and memory grow with the number of spots
    times the number of clusters.

    Parameters
    ----------
    clusters
        Cluster of each spot; spots with -1 have no cluster and are not used. ``(n_spots,)``.
    slices
        Slice code of each spot. ``(n_spots,)``.
    n_clusters
        Number of clusters.
    generator
        Random number generator on the device of ``clusters``.
    across
        Whether to draw positives from other slices than that of the anchor, and negatives from the slice of the anchor,
        if the batch has such spots. This brings spots of one cluster together across slices, and the loss cannot be
        reduced by separating slices. ``False``: both are drawn from all slices.

    Returns
    -------
    Triplets of each spot with each other cluster in the batch. Empty if the batch has fewer than two clusters.

    Examples
    --------
    Two clusters in two slices. The positive of spot 0 is in the other slice, its negative in the same slice:

    >>> import torch
    >>> from spotscape import nn
    >>> clusters, slices = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    >>> triplets = nn.mine_triplets(clusters, slices, n_clusters=2, generator=torch.Generator(), across=True)
    >>> torch.stack(triplets, dim=1).tolist()
    [[0, 1, 2], [1, 0, 3], [2, 3, 0], [3, 2, 1]]
    """
    n_slices = int(slices.max()) + 1 if len(slices) else 1
    members = torch.where(clusters >= 0)[0]
    # Spots sorted by cluster and then by slice: a cluster, and a slice within a cluster, is a range of this order.
    groups = clusters[members] * n_slices + slices[members]
    order = members[torch.argsort(groups, stable=True)]
    sizes = torch.bincount(groups, minlength=n_clusters * n_slices)
    starts = sizes.cumsum(0) - sizes
    cluster_sizes = sizes.view(n_clusters, n_slices).sum(1)
    cluster_starts = starts.view(n_clusters, n_slices)[:, 0]

    anchors = members.repeat_interleave(n_clusters)
    other_clusters = torch.arange(n_clusters, device=clusters.device).repeat(len(members))
    valid = (other_clusters != clusters[anchors]) & (cluster_sizes[other_clusters] > 0)
    anchors, other_clusters = anchors[valid], other_clusters[valid]
    draw = torch.rand((2, len(anchors)), generator=generator, device=clusters.device, dtype=torch.float64)

    own_clusters, own_slices = clusters[anchors], slices[anchors]
    own_groups, other_groups = own_clusters * n_slices + own_slices, other_clusters * n_slices + own_slices
    size, start = cluster_sizes[own_clusters], cluster_starts[own_clusters]
    # To exclude the slice of the anchor, positions are drawn without its range and those behind its start are shifted.
    n_excluded = torch.where(across & (sizes[own_groups] < size), sizes[own_groups], 0)
    place = start + (draw[0] * (size - n_excluded)).long()
    positives = order[torch.where((n_excluded > 0) & (place >= starts[own_groups]), place + n_excluded, place)]
    within_slice = across & (sizes[other_groups] > 0)
    size = torch.where(within_slice, sizes[other_groups], cluster_sizes[other_clusters])
    start = torch.where(within_slice, starts[other_groups], cluster_starts[other_clusters])
    return Triplets(anchors, positives, order[start + (draw[1] * size).long()])


def triplet_margin_loss(latent: Tensor, triplets: Triplets, margin: Tensor | float = 1.0) -> Tensor:
    r"""Mean margin loss of triplets :cite:p:`Schroff2015`; zero if there are no triplets.

    .. math:: L = \frac{1}{T} \sum_{(a, p, n)} \max\left(0,\ |z_a - z_p| - |z_a - z_n| + m_{apn}\right)

    Parameters
    ----------
    latent
        Latent representation of a batch. ``(n_spots, n_latent)``.
    triplets
        Triplets of :func:`mine_triplets`.
    margin
        :math:`m`, the difference by which the negative should be farther from the anchor than the positive. One number,
        or one for each triplet. ``(n_triplets,)``.

    Returns
    -------
    Scalar loss.

    Examples
    --------
    The positive is at distance 1, the negative at distance 3:

    >>> import torch
    >>> from spotscape import nn
    >>> latent = torch.tensor([[0.0], [1.0], [3.0]])
    >>> triplet = nn.Triplets(*torch.tensor([[0], [1], [2]]))
    >>> [round(nn.triplet_margin_loss(latent, triplet, margin).item(), 4) for margin in (1.0, 5.0)]
    [0.0, 3.0]
    """
    if len(triplets.anchors) == 0:
        return latent.new_zeros(())
    anchors = latent[triplets.anchors]
    positive_distance, negative_distance = (
        _distance(anchors, latent[rows]) for rows in (triplets.positives, triplets.negatives)
    )
    return torch.relu(positive_distance - negative_distance + margin).mean()


def _distance(first: Tensor, second: Tensor) -> Tensor:
    # The square root has no gradient at zero, which occurs if a spot is its own positive.
    return ((first - second).square().sum(1) + 1e-12).sqrt()
