"""The likelihood of the spatial graph under the latent representation, without a matrix of all pairs of spots."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from spotscape.nn._similarity_telescope import PatchSample
from spotscape.nn._sparse import row_index


def adjacency_loss(
    latent: Tensor, edges: Tensor, pairs: Tensor, slices: Tensor, *, sample: PatchSample | None = None
) -> Tensor:
    r"""Negative log-likelihood of the edges and of the pairs without an edge, each with half the weight.

    In a variational graph autoencoder :cite:p:`Kipf2016` two spots are joined by an edge with probability
    :math:`\sigma(s_{ij})`, where :math:`s_{ij} = z_i^\top z_j`. Let :math:`E` be the set of ordered edges and
    :math:`P` the set of ordered pairs of two different spots of the same slice. The cross entropy, with edges
    up-weighted to balance the more numerous pairs without an edge, is

    .. math::

        L = \frac{1}{2 |E|} \sum_{(i, j) \in E} \log(1 + e^{-s_{ij}})
            + \frac{1}{2 |P \setminus E|} \sum_{(i, j) \in P \setminus E} \log(1 + e^{s_{ij}}) .

    The first sum is exact. The second sum is estimated without bias from randomly drawn pairs: the estimated sum over
    all pairs of a slice minus the exact sums over its edges and over the diagonal. Pairs of spots from two different
    slices are excluded, because counting them as pairs without an edge would push the slices apart.

    In a batch of patches every pair is weighted by its inverse inclusion probability, as in
    :func:`~spotscape.nn.similarity_telescope_loss`. The numbers of pairs in the denominators are weighted likewise.

    Parameters
    ----------
    latent
        Latent representation. ``(n_spots, n_latent)``.
    edges
        Ordered edges between these spots, without self-loops. ``(2, n_edges)``.
    pairs
        Ordered pairs drawn by :func:`draw_pairs`, or all pairs, which gives the exact loss. ``(2, n_pairs)``.
    slices
        Slice code of each spot. ``(n_spots,)``.
    sample
        The patches in this batch. ``None`` if the batch contains the whole tissue.

    Returns
    -------
    Scalar loss.

    Examples
    --------
    The loss is smaller if edges join similar spots:

    >>> import torch
    >>> from spotscape import nn
    >>> latent = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> slices = torch.zeros(3, dtype=torch.long)
    >>> all_pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3)).T
    >>> similar, dissimilar = torch.tensor([[0, 1], [1, 0]]), torch.tensor([[0, 2], [2, 0]])
    >>> [round(nn.adjacency_loss(latent, edges, all_pairs, slices).item(), 2) for edges in (similar, dissimilar)]
    [0.36, 1.52]
    """
    edge_loss, n_edges, non_edge_loss, n_non_edges = _weighted_sums(latent, edges, pairs, slices, sample)
    loss = edge_loss / n_edges.clamp(min=1)
    if n_non_edges >= 1:
        loss = loss + non_edge_loss / n_non_edges
    return loss / 2


def draw_pairs(slices: Tensor, n_pairs: int, generator: torch.Generator) -> Tensor:
    """Draw ordered pairs of spots of the same slice, uniformly over all such pairs.

    Parameters
    ----------
    slices
        Slice code of each spot. ``(n_spots,)``.
    n_pairs
        Number of pairs.
    generator
        Random number generator on the device of ``slices``.

    Returns
    -------
    Positions of the two spots of each pair, which may be the same spot. ``(2, n_pairs)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> slices = torch.tensor([0, 0, 1, 1, 1])
    >>> first, second = nn.draw_pairs(slices, 1000, torch.Generator().manual_seed(0))
    >>> bool((slices[first] == slices[second]).all())
    True
    """
    by_slice = slices.argsort(stable=True)
    sizes = torch.unique_consecutive(slices[by_slice], return_counts=True)[1]
    spot_ends, pair_ends = sizes.cumsum(0), sizes.square().cumsum(0)
    pair_number = torch.randint(int(pair_ends[-1]), (n_pairs,), generator=generator, device=slices.device)
    slice_of_pair = torch.searchsorted(pair_ends, pair_number, right=True)
    size = sizes[slice_of_pair]
    # Counting from the end of each slice needs no special case for the first slice.
    pair_number = pair_ends[slice_of_pair] - 1 - pair_number
    last = spot_ends[slice_of_pair] - 1
    return torch.stack([by_slice[last - pair_number // size], by_slice[last - pair_number % size]])


def edges_between_seeds(adjacency: Tensor, n_seeds: int) -> Tensor:
    """Edges of a normalised adjacency between two different seed spots.

    Parameters
    ----------
    adjacency
        Sparse CSR tensor, seed spots first. ``(n_targets, n_sources)``.
    n_seeds
        Number of seed spots.

    Returns
    -------
    Row and column of each edge. ``(2, n_edges)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> adjacency = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]).to_sparse_csr()
    >>> nn.edges_between_seeds(adjacency, n_seeds=2)
    tensor([[0, 1],
            [1, 0]])
    """
    n_stored = int(adjacency.crow_indices()[n_seeds])
    edges = torch.stack([row_index(adjacency)[:n_stored], adjacency.col_indices()[:n_stored].long()])
    return edges[:, (edges[0] != edges[1]) & (edges[1] < n_seeds)]


class _PairWeights(NamedTuple):
    """Inverse inclusion probabilities of pairs of spots, within one patch and between two patches."""

    patch: Tensor
    within: float
    between: float

    def __call__(self, pairs: Tensor) -> Tensor:
        first, second = self.patch[pairs]
        return torch.where(first == second, self.within, self.between)


def _weighted_sums(
    latent: Tensor, edges: Tensor, pairs: Tensor, slices: Tensor, sample: PatchSample | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Loss and number of the edges, then loss and number of the pairs without an edge; all weighted sums."""
    weights = _pair_weights(sample, latent)
    edge_weights = weights(edges)
    similarity = (latent[edges[0]] * latent[edges[1]]).sum(dim=1)
    edge_loss = (edge_weights * softplus(-similarity)).sum()
    n_within, n_between = _count_pairs(slices, weights.patch)
    mean_pair_loss = (weights(pairs) * softplus((latent[pairs[0]] * latent[pairs[1]]).sum(dim=1))).mean()
    diagonal = weights.within * softplus(latent.square().sum(dim=1)).sum()
    non_edge_loss = mean_pair_loss * (n_within + n_between) - (edge_weights * softplus(similarity)).sum() - diagonal
    n_pairs = weights.within * (n_within - len(latent)) + weights.between * n_between
    n_edges = edge_weights.sum()
    return edge_loss, n_edges, non_edge_loss, n_pairs - n_edges


def _pair_weights(sample: PatchSample | None, latent: Tensor) -> _PairWeights:
    if sample is None or sample.n_drawn == sample.n_patches:
        return _PairWeights(torch.zeros(len(latent), dtype=torch.long, device=latent.device), 1.0, 1.0)
    sizes = torch.tensor(sample.sizes, device=latent.device)
    patch = torch.arange(len(sizes), device=latent.device).repeat_interleave(sizes)
    m, n = sample.n_drawn, sample.n_patches
    return _PairWeights(patch, n / m, n * (n - 1) / (m * (m - 1)) if m > 1 else 0.0)


def _count_pairs(slices: Tensor, patch: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of ordered pairs of spots of the same slice, within one patch and between two patches."""
    n_pairs = torch.unique(slices, return_counts=True)[1].double().square().sum()
    n_within = torch.unique(torch.stack([patch, slices]), dim=1, return_counts=True)[1].double().square().sum()
    return n_within, n_pairs - n_within
