"""Masking of spots and dropout, with random numbers that can be reproduced."""

import torch
from torch import Tensor

from spotscape.nn._random import hash_integers, is_below, scramble


def draw_spot_mask(nodes: Tensor, mask_rate: float, key: int) -> Tensor:
    """Draw which spots are masked, each with probability ``mask_rate``.

    Whether a spot is masked depends only on the key and on the index of the spot, so it is the same in every batch and
    in every row order.

    Parameters
    ----------
    nodes
        Index of each spot in the full data set. ``(n_spots,)``.
    mask_rate
        Probability that a spot is masked, in ``[0, 1)``.
    key
        Random key of the seed and the training step, see :func:`random_key`.

    Returns
    -------
    Boolean mask. ``(n_spots,)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> nodes = torch.arange(1000)
    >>> mask = nn.draw_spot_mask(nodes, mask_rate=0.8, key=nn.random_key(seed=0, step=1, stream=0))
    >>> round(mask.float().mean().item(), 1)
    0.8
    >>> torch.equal(nn.draw_spot_mask(nodes[500:], 0.8, nn.random_key(0, 1, 0)), mask[500:])
    True
    """
    return is_below(scramble(hash_integers(nodes, key)), mask_rate)


def mask_spots(projected: Tensor, projected_token: Tensor, mask: Tensor, *, additive: bool = False) -> Tensor:
    r"""Replace the expression of masked spots by a learnable token, after the first linear map.

    Replacing :math:`x_i` by the token :math:`t` and then multiplying by :math:`W` is the same as replacing
    :math:`W x_i` by :math:`W t`. The features are therefore never copied and may be sparse.

    Parameters
    ----------
    projected
        Features multiplied by the first weight matrix. ``(n_spots, n_hidden)``.
    projected_token
        Token multiplied by the same matrix. ``(n_hidden,)``.
    mask
        Whether a spot is masked. ``(n_spots,)``, boolean.
    additive
        Whether to add the token instead of replacing the expression, as the released code does. The expression of
        masked spots then stays visible to the encoder.

    Returns
    -------
    Projected features with masked spots. ``(n_spots, n_hidden)``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> projected, token = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([9.0, 9.0])
    >>> nn.mask_spots(projected, token, torch.tensor([False, True]))
    tensor([[1., 2.],
            [9., 9.]])
    """
    if additive:
        return projected + mask[:, None] * projected_token
    return torch.where(mask[:, None], projected_token, projected)


def drop_out(values: Tensor, drop_rate: float, generator: torch.Generator | None) -> Tensor:
    """Dropout with its own random number generator.

    Values are set to zero with probability ``drop_rate``; the others are multiplied by ``1 / (1 - drop_rate)``.

    Parameters
    ----------
    values
        Tensor of any shape.
    drop_rate
        Dropout probability, in ``[0, 1)``.
    generator
        Random number generator. PyTorch's global generator is not used, so that training neither depends on its state
        nor changes it. ``None``: no dropout.

    Returns
    -------
    Tensor of the shape of ``values``.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> dropped = nn.drop_out(torch.ones(1000), drop_rate=0.2, generator=torch.Generator().manual_seed(0))
    >>> dropped.unique()
    tensor([0.0000, 1.2500])
    """
    if generator is None or drop_rate == 0:
        return values
    kept = torch.empty_like(values).bernoulli_(1 - drop_rate, generator=generator)
    return values * kept / (1 - drop_rate)
