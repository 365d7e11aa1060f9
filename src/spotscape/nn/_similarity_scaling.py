"""The loss that gives similarities within and between slices the same scale."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

#: Number of similarities computed at once in the neighbour search, which bounds the memory for any number of spots.
_BLOCK_ELEMENTS = 2**25


def similarity_scaling_loss(
    latent_1: Tensor, latent_2: Tensor, slices: Tensor, *, n_similar: int = 5, anchors: Tensor | None = None
) -> Tensor:
    r"""Make the most similar spots in other slices as similar to each spot as those in its own slice.

    Let :math:`S` be the cosine similarities between the two views and :math:`T_k(i, s)` the mean of the :math:`k`
    largest :math:`S_{il}` over the spots :math:`l` of slice :math:`s`. With :math:`M` slices the loss is
    :cite:p:`Oh2025`

    .. math::

        L = \frac{1}{N (M - 1)} \sum_i \sum_{s \neq s_i} \bigl( T_k(i, s_i) - T_k(i, s) \bigr)^2 .

    The most similar spots are found in blocks and without gradient. Only the ``n_spots x M x k`` similarities of these
    spots are then computed with gradient.

    Of a sample of spots, such as a batch, this is the loss of the sample, and not an estimate of the loss of the whole
    tissue: fewer candidates are less similar. In a batch of patches it is larger than that of the tissue, because the
    patch of a spot is always in the batch and its match in another slice may not be. With trained representations of
    four slices, batches with a half and a quarter of the patches had 1.7 and 5.5 times the loss of the tissue. Its
    minimum is the same: slices that are alike. Without the own patch as candidates, the loss is larger still.

    Parameters
    ----------
    latent_1, latent_2
        Latent representations of the same spots in two views. Each is ``(n_spots, n_latent)``.
    slices
        Slice code of each spot. ``(n_spots,)``, integers. Codes without spots are ignored.
    n_similar
        Number :math:`k` of most similar spots. All spots of a slice are used if it has fewer.
    anchors
        Positions of the spots :math:`i` over which the loss is averaged. ``(n_anchors,)``. ``None``: all spots. A
        random sample gives an unbiased estimate, whose cost is linear and not quadratic in the number of spots.

    Returns
    -------
    Scalar loss; zero if there is only one slice.

    Examples
    --------
    The loss is large if slices point in different directions, and zero if they overlap:

    >>> import torch
    >>> from spotscape import nn
    >>> slices, (a, b) = torch.tensor([0, 0, 1, 1]), torch.eye(2)
    >>> separate, mixed = torch.stack([a, a, b, b]), torch.stack([a, b, a, b])
    >>> [nn.similarity_scaling_loss(z, z, slices, n_similar=1).item() for z in (separate, mixed)]
    [1.0, 0.0]
    """
    present = torch.unique(slices)
    if len(present) < 2:
        return latent_1.sum() * 0.0
    a, b = normalize(latent_1), normalize(latent_2)
    anchor_slices = slices
    if anchors is not None:
        a, anchor_slices = a[anchors], slices[anchors]
    means = torch.stack([_top_similarity(a, b, torch.nonzero(slices == s).squeeze(1), n_similar) for s in present], 1)
    is_own = anchor_slices[:, None] == present
    own_mean = means[is_own][:, None]
    return (own_mean - means).square()[~is_own].mean()


def _top_similarity(a: Tensor, b: Tensor, members: Tensor, n_similar: int) -> Tensor:
    """Mean similarity of each row of ``a`` to its most similar rows ``b[members]``. ``(len(a),)``."""
    k = min(n_similar, len(members))
    candidates = b[members]
    with torch.no_grad():
        n_rows = max(1, _BLOCK_ELEMENTS // len(members))
        nearest = torch.cat([(rows @ candidates.T).topk(k, dim=1).indices for rows in a.split(n_rows)])
    return torch.einsum("nd,nkd->nk", a, candidates[nearest]).mean(dim=1)
