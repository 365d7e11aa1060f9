"""The likelihood of the spatial graph under the latent representation, without a matrix of all pairs of spots."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from spotscape.nn._similarity_telescope import PatchSample
from spotscape.nn._sparse import row_index


class _Weights(NamedTuple):
    """How many pairs of the tissue a pair of the batch stands for."""

    patch: Tensor
    within: float
    between: float

    def __call__(self, pairs: Tensor) -> Tensor:
        first, second = self.patch[pairs]
        return torch.where(first == second, self.within, self.between)


def adjacency_loss(
    latent: Tensor, edges: Tensor, pairs: Tensor, slices: Tensor, *, sample: PatchSample | None = None
) -> Tensor:
    r"""Negative log-likelihood of edges and of pairs without an edge, each with half the weight.

    A variational graph autoencoder :cite:p:`Kipf2016` joins two spots with probability
    :math:`\sigma(s_{ij})`, :math:`s_{ij} = z_i^\top z_j`. With the set :math:`E` of (ordered) edges and the set
    :math:`P` of the pairs of two different spots of a slice, its cross entropy, in which edges are weighted up to
    balance the pairs without one, is

    .. math::

        L = \frac{1}{2 |E|} \sum_{(i, j) \in E} \log(1 + e^{-s_{ij}})
            + \frac{1}{2 |P \setminus E|} \sum_{(i, j) \in P \setminus E} \log(1 + e^{s_{ij}}) .

    The first sum is exact. The second is estimated without bias and without looking up edges: the sum over all pairs
    of a slice, from pairs drawn at random, less the exact sums over the edges and the diagonal. Pairs of two slices are
    no pairs of one tissue and take no part; otherwise slices would be pushed apart.

    In a batch of patches every pair is divided by the probability of having been drawn, as in
    :func:`~spotscape.nn.similarity_telescope_loss`, and so are the numbers of pairs that the sums are divided by.

    Parameters
    ----------
    latent
        Latent representation. ``(n_spots, n_latent)``.
    edges
        Ordered edges between these spots, without self-loops. ``(2, n_edges)``.
    pairs
        Ordered pairs of :func:`draw_pairs`, or all there are, which gives the exact loss. ``(2, n_pairs)``.
    slices
        Slice code of each spot. ``(n_spots,)``.
    sample
        The patches that the spots are from, where they are a part of the tissue.

    Returns
    -------
    Scalar loss.
    """
    attraction, n_edges, repulsion, n_without = _sums(latent, edges, pairs, slices, sample)
    loss = attraction / n_edges.clamp(min=1)
    if n_without >= 1:
        loss = loss + repulsion / n_without
    return loss / 2


def draw_pairs(slices: Tensor, n_pairs: int, generator: torch.Generator) -> Tensor:
    """Draw ordered pairs of spots of the same slice, all such pairs with the same probability.

    Parameters
    ----------
    slices
        Slice code of each spot. ``(n_spots,)``.
    n_pairs
        Number of pairs.
    generator
        Source of randomness, on the device of ``slices``.

    Returns
    -------
    Positions of the spots; the two may be the same. ``(2, n_pairs)``.
    """
    by_slice = slices.argsort(stable=True)
    sizes = torch.unique_consecutive(slices[by_slice], return_counts=True)[1]
    ends, ends_of_pairs = sizes.cumsum(0), sizes.square().cumsum(0)
    number = torch.randint(int(ends_of_pairs[-1]), (n_pairs,), generator=generator, device=slices.device)
    which = torch.searchsorted(ends_of_pairs, number, right=True)
    size = sizes[which]
    # Counted from the end, which spares the offset of the first slice.
    number = ends_of_pairs[which] - 1 - number
    last = ends[which] - 1
    return torch.stack([by_slice[last - number // size], by_slice[last - number % size]])


def edges_between_seeds(adjacency: Tensor, n_seeds: int) -> Tensor:
    """Edges of a normalised adjacency that join two different seeds.

    Parameters
    ----------
    adjacency
        Sparse CSR tensor, seeds first. ``(n_targets, n_sources)``.
    n_seeds
        Number of seeds.

    Returns
    -------
    ``(2, n_edges)``.
    """
    n_stored = int(adjacency.crow_indices()[n_seeds])
    edges = torch.stack([row_index(adjacency)[:n_stored], adjacency.col_indices()[:n_stored].long()])
    return edges[:, (edges[0] != edges[1]) & (edges[1] < n_seeds)]


def _sums(
    latent: Tensor, edges: Tensor, pairs: Tensor, slices: Tensor, sample: PatchSample | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sum over the edges, their number, sum over the pairs without one, and their number."""
    weights = _weights(sample, latent)
    of_edges = weights(edges)
    similarity = (latent[edges[0]] * latent[edges[1]]).sum(dim=1)
    attraction = (of_edges * softplus(-similarity)).sum()
    within, across = _count_pairs(slices, weights.patch)
    drawn = (weights(pairs) * softplus((latent[pairs[0]] * latent[pairs[1]]).sum(dim=1))).mean()
    diagonal = weights.within * softplus(latent.square().sum(dim=1)).sum()
    repulsion = drawn * (within + across) - (of_edges * softplus(similarity)).sum() - diagonal
    n_pairs = weights.within * (within - len(latent)) + weights.between * across
    n_edges = of_edges.sum()
    return attraction, n_edges, repulsion, n_pairs - n_edges


def _weights(sample: PatchSample | None, latent: Tensor) -> _Weights:
    if sample is None or sample.n_drawn == sample.n_patches:
        return _Weights(torch.zeros(len(latent), dtype=torch.long, device=latent.device), 1.0, 1.0)
    sizes = torch.tensor(sample.sizes, device=latent.device)
    patch = torch.arange(len(sizes), device=latent.device).repeat_interleave(sizes)
    m, n = sample.n_drawn, sample.n_patches
    return _Weights(patch, n / m, n * (n - 1) / (m * (m - 1)) if m > 1 else 0.0)


def _count_pairs(slices: Tensor, patch: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of ordered pairs of a slice that lie in one patch, and in two."""
    of_slices = torch.unique(slices, return_counts=True)[1].double().square().sum()
    inside = torch.unique(torch.stack([patch, slices]), dim=1, return_counts=True)[1].double().square().sum()
    return inside, of_slices - inside
