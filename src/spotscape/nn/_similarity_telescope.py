"""The loss that aligns the similarities of all pairs of spots between two views."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from spotscape.nn._processes import sum_over_processes


class PatchSample(NamedTuple):
    """Which part of the tissue a batch of patches is.

    Attributes
    ----------
    sizes
        Number of spots of each patch of this process; the spots lie patch by patch. ``(n_patches,)``.
    n_drawn
        Number of patches in the batch, over all processes.
    n_patches
        Number of patches in the tissue that is trained on.
    n_spots
        Number of spots in it.
    """

    sizes: list[int]
    n_drawn: int
    n_patches: int
    n_spots: int


def similarity_telescope_loss(latent_1: Tensor, latent_2: Tensor, *, sample: PatchSample | None = None) -> Tensor:
    r"""Mean squared difference between the similarity of every pair of spots and that of the mirrored pair.

    With :math:`a` and :math:`b` the rows of the two views scaled to unit length and
    :math:`S = a b^\top`, the published loss :cite:p:`Oh2025` is

    .. math::

        L = \frac{1}{N^2} \sum_{i,j} (S_{ij} - S_{ji})^2
          = \frac{\operatorname{tr}(w^\top w \, u^\top u) - \operatorname{tr}(u^\top w \, u^\top w)}{2 N^2},
        \qquad u = a + b, \quad w = a - b.

    The right-hand side needs only matrices of size :math:`d \times d`: time is :math:`O(N d^2)` and no matrix of all
    pairs is ever built. It is written in sums and differences because
    :math:`2(\lVert S \rVert^2 - \operatorname{tr} S S)` subtracts two nearly equal numbers.

    A batch of :math:`m` out of :math:`M` patches has too many pairs of spots that are neighbours. Each pair is divided
    by the probability of having been drawn, which makes the expectation that of the whole tissue
    :cite:p:`Horvitz1952`: with :math:`T` the sum over all pairs of the batch and :math:`T_p` that over the pairs inside
    the patch :math:`p`,

    .. math::

        L = \frac{1}{N^2} \Bigl[ \frac{M (M - 1)}{m (m - 1)} \Bigl(T - \sum_p T_p\Bigr)
            + \frac{M}{m} \sum_p T_p \Bigr] .

    Parameters
    ----------
    latent_1, latent_2
        Latent representations of the same spots in two views. Each is ``(n_spots, n_latent)``. With several processes,
        those of this one; the matrices of all are added up, so that the loss is that of all spots.
    sample
        The patches that the spots are from, where they are a part of the tissue; ``None`` where they are all of it, or
        drawn one by one.

    Returns
    -------
    Scalar loss.
    """
    a, b = normalize(latent_1), normalize(latent_2)
    total, difference = (a + b).double(), (a - b).double()
    if sample is None or sample.n_drawn == sample.n_patches:
        n_spots = sum_over_processes(total.new_tensor(len(a)))
        return (_all_pairs(total, difference) / n_spots**2).to(latent_1.dtype)
    inside = sum_over_processes(_pairs_inside(total, difference, sample.sizes))
    m, n = sample.n_drawn, sample.n_patches
    loss = n / m * inside
    if m > 1:
        loss = loss + n * (n - 1) / (m * (m - 1)) * (_all_pairs(total, difference) - inside)
    return (loss / sample.n_spots**2).to(latent_1.dtype)


def _all_pairs(total: Tensor, difference: Tensor) -> Tensor:
    """Sum over all pairs of spots of all processes."""
    products = torch.stack([difference.T @ difference, total.T @ total, total.T @ difference])
    grams, spreads, cross = sum_over_processes(products)
    return (grams * spreads - cross * cross.T).sum() / 2


def _pairs_inside(total: Tensor, difference: Tensor, sizes: list[int]) -> Tensor:
    """Sum over the pairs of spots inside each patch."""
    longest = max(sizes)
    # Rows of zeros fill up the shorter patches: they add nothing.
    places = torch.cat([torch.arange(size) + i * longest for i, size in enumerate(sizes)]).to(total.device)
    empty = total.new_zeros(len(sizes) * longest, total.shape[1])
    u, w = (empty.index_copy(0, places, part).view(len(sizes), longest, -1) for part in (total, difference))
    cross = u.mT @ w
    return ((w.mT @ w) * (u.mT @ u) - cross * cross.mT).sum() / 2
