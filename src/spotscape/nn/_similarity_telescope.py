"""The loss that makes the similarities of all pairs of spots agree between two views."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from spotscape.nn._distributed import sum_over_processes


class PatchSample(NamedTuple):
    """Description of a batch of patches as a random sample of all patches of the tissue.

    Attributes
    ----------
    sizes
        Number of spots of each patch of this process. The spots of a patch are consecutive rows of the batch.
        ``(n_own_patches,)``.
    n_drawn
        Number of patches in the batch, over all processes.
    n_patches
        Number of patches in the training data.
    n_spots
        Number of spots in the training data.

    Examples
    --------
    Two patches of three spots, out of ten patches with 30 spots together:

    >>> from spotscape import nn
    >>> nn.PatchSample(sizes=[3, 3], n_drawn=2, n_patches=10, n_spots=30)
    PatchSample(sizes=[3, 3], n_drawn=2, n_patches=10, n_spots=30)
    """

    sizes: list[int]
    n_drawn: int
    n_patches: int
    n_spots: int


def similarity_telescope_loss(latent_1: Tensor, latent_2: Tensor, *, sample: PatchSample | None = None) -> Tensor:
    r"""Mean squared difference between the similarity of every ordered pair of spots and that of the reversed pair.

    With :math:`a` and :math:`b` the rows of the two views scaled to unit length and
    :math:`S = a b^\top`, the published loss :cite:p:`Oh2025` is

    .. math::

        L = \frac{1}{N^2} \sum_{i,j} (S_{ij} - S_{ji})^2
          = \frac{\operatorname{tr}(w^\top w \, u^\top u) - \operatorname{tr}(u^\top w \, u^\top w)}{2 N^2},
        \qquad u = a + b, \quad w = a - b.

    The right-hand side needs only matrices of size :math:`d \times d`. Its time is :math:`O(N d^2)`, and the matrix of
    all pairs is never built. It is written in sums and differences because the equivalent
    :math:`2(\lVert S \rVert^2 - \operatorname{tr} S S)` subtracts two nearly equal numbers.

    In a batch of :math:`m` out of :math:`M` patches, pairs of neighbouring spots are over-represented. Each pair is
    therefore weighted by its inverse inclusion probability, which makes the expected loss equal to that of the whole
    tissue :cite:p:`Horvitz1952`. With :math:`T` the sum over all pairs of the batch and :math:`T_p` the sum over the
    pairs within patch :math:`p`,

    .. math::

        L = \frac{1}{N^2} \Bigl[ \frac{M (M - 1)}{m (m - 1)} \Bigl(T - \sum_p T_p\Bigr)
            + \frac{M}{m} \sum_p T_p \Bigr] .

    Parameters
    ----------
    latent_1, latent_2
        Latent representations of the same spots in two views. Each is ``(n_spots, n_latent)``. In distributed training
        these are the spots of this process; the :math:`d \times d` matrices are summed over the processes, so that the
        loss is that of the spots of all processes.
    sample
        The patches in this batch. ``None`` if the batch contains the whole tissue, or if its spots were drawn one by
        one.

    Returns
    -------
    Scalar loss.

    Examples
    --------
    The result equals the definition with the matrix of all pairs:

    >>> import torch
    >>> from spotscape import nn
    >>> first, second = torch.eye(2), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    >>> similarity = first @ second.T
    >>> (similarity - similarity.T).square().mean()
    tensor(0.3200)
    >>> nn.similarity_telescope_loss(first, second)
    tensor(0.3200)
    """
    a, b = normalize(latent_1), normalize(latent_2)
    u, w = (a + b).double(), (a - b).double()
    if sample is None or sample.n_drawn == sample.n_patches:
        n_spots = sum_over_processes(u.new_tensor(len(a)))
        return (_sum_over_all_pairs(u, w) / n_spots**2).to(latent_1.dtype)
    within = sum_over_processes(_sum_within_patches(u, w, sample.sizes))
    m, n = sample.n_drawn, sample.n_patches
    loss = n / m * within
    if m > 1:
        loss = loss + n * (n - 1) / (m * (m - 1)) * (_sum_over_all_pairs(u, w) - within)
    return (loss / sample.n_spots**2).to(latent_1.dtype)


def _sum_over_all_pairs(u: Tensor, w: Tensor) -> Tensor:
    """Sum over all pairs of spots of all processes."""
    ww, uu, uw = sum_over_processes(torch.stack([w.T @ w, u.T @ u, u.T @ w]))
    return (ww * uu - uw * uw.T).sum() / 2


def _sum_within_patches(u: Tensor, w: Tensor, sizes: list[int]) -> Tensor:
    """Sum over the pairs of spots within each patch of this process."""
    longest = max(sizes)
    # Shorter patches are padded with rows of zeros, which add nothing to the products.
    rows = torch.cat([torch.arange(size) + i * longest for i, size in enumerate(sizes)]).to(u.device)
    zeros = u.new_zeros(len(sizes) * longest, u.shape[1])
    u, w = (zeros.index_copy(0, rows, values).view(len(sizes), longest, -1) for values in (u, w))
    uw = u.mT @ w
    return ((w.mT @ w) * (u.mT @ u) - uw * uw.mT).sum() / 2
