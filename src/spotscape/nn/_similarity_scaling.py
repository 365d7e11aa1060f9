"""The loss that gives similarities the same scale within and between slices."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

#: Similarities held at once while searching, which bounds the memory whatever the number of spots.
_BLOCK_ELEMENTS = 2**25


def similarity_scaling_loss(
    latent_1: Tensor, latent_2: Tensor, slices: Tensor, *, n_similar: int = 5, anchors: Tensor | None = None
) -> Tensor:
    r"""Make each spot's most similar spots in other slices as similar as those in its own slice.

    With :math:`S` the cosine similarities between the two views and :math:`T_k(i, s)` the mean of the :math:`k` largest
    :math:`S_{il}` over the spots :math:`l` of slice :math:`s`, the loss is :cite:p:`Oh2025`

    .. math::

        L = \frac{1}{N (M - 1)} \sum_i \sum_{s \neq s_i} \bigl( T_k(i, s_i) - T_k(i, s) \bigr)^2

    over :math:`M` slices. Which spots are most similar is found in blocks and without gradient; only the
    ``n_spots x M x k`` similarities that count are then computed with it.

    Parameters
    ----------
    latent_1, latent_2
        Latent representations of the same spots in two views. Each is ``(n_spots, n_latent)``.
    slices
        Slice code of each spot. ``(n_spots,)``, integers. Codes that do not occur are ignored.
    n_similar
        Number :math:`k` of most similar spots; a slice with fewer spots gives all it has.
    anchors
        Positions of the spots :math:`i` to average over. ``(n_anchors,)``. All spots if ``None``; a random sample gives
        an unbiased estimate at a cost that no longer grows with the square of the number of spots.

    Returns
    -------
    Scalar loss; zero when there is one slice only.
    """
    present = torch.unique(slices)
    if len(present) < 2:
        return latent_1.sum() * 0.0
    a, b = normalize(latent_1), normalize(latent_2)
    anchor_slices = slices
    if anchors is not None:
        a, anchor_slices = a[anchors], slices[anchors]
    scales = torch.stack([_top_similarity(a, b, torch.nonzero(slices == s).squeeze(1), n_similar) for s in present], 1)
    own = anchor_slices[:, None] == present
    own_scale = scales[own][:, None]
    return (own_scale - scales).square()[~own].mean()


def _top_similarity(a: Tensor, b: Tensor, members: Tensor, n_similar: int) -> Tensor:
    """Mean similarity of each row of ``a`` to its most similar rows ``b[members]``. ``(len(a),)``."""
    k = min(n_similar, len(members))
    candidates = b[members]
    with torch.no_grad():
        block = max(1, _BLOCK_ELEMENTS // len(members))
        nearest = torch.cat([(rows @ candidates.T).topk(k, dim=1).indices for rows in a.split(block)])
    return torch.einsum("nd,nkd->nk", a, candidates[nearest]).mean(dim=1)
