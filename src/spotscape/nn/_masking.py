"""Spots whose expression is hidden from the encoder, and dropout, both by numbers that can be drawn again."""

import torch
from torch import Tensor

from spotscape.nn._augmentation import _MULTIPLIERS, _mix


def draw_spot_mask(nodes: Tensor, mask_rate: float, key: int) -> Tensor:
    """Draw which spots are masked, each with probability ``mask_rate``.

    What is drawn for a spot follows from the key and its number alone, so that it is the same in whichever batch or
    order the spot comes.

    Parameters
    ----------
    nodes
        Number of each spot in the whole data. ``(n_spots,)``.
    mask_rate
        Probability that a spot is masked, in ``[0, 1)``.
    key
        Number that stands for the seed and the step.

    Returns
    -------
    Boolean, ``(n_spots,)``.
    """
    # The last product spreads the numbers over all of int64, negative ones too.
    drawn = _mix(nodes, key) * _MULTIPLIERS[1]
    return drawn < int(mask_rate * 2**64) - 2**63


def mask_spots(projected: Tensor, projected_token: Tensor, mask: Tensor, *, additive: bool = False) -> Tensor:
    r"""Put a learnable token in the place of the expression of masked spots, after the first linear map.

    Replacing :math:`x_i` by the token :math:`t` and then multiplying by :math:`W` is replacing :math:`W x_i` by
    :math:`W t`; so the features themselves are never copied and may be sparse.

    Parameters
    ----------
    projected
        Features times the first weight matrix. ``(n_spots, n_hidden)``.
    projected_token
        Token times the same matrix. ``(n_hidden,)``.
    mask
        Whether a spot is masked. ``(n_spots,)``, boolean.
    additive
        Whether to add the token to masked spots, as the released code does, in place of replacing them. Their
        expression then stays visible.

    Returns
    -------
    ``(n_spots, n_hidden)``.
    """
    if additive:
        return projected + mask[:, None] * projected_token
    return torch.where(mask[:, None], projected_token, projected)


def drop_out(values: Tensor, drop_rate: float, generator: torch.Generator | None) -> Tensor:
    """Set values to zero with probability ``drop_rate`` and scale the others by ``1 / (1 - drop_rate)``.

    Parameters
    ----------
    values
        Any tensor.
    drop_rate
        Probability, in ``[0, 1)``.
    generator
        Source of randomness, of its own so that a training neither reads nor moves the global one. ``None``: nothing is
        dropped.

    Returns
    -------
    Of the same shape.
    """
    if generator is None or drop_rate == 0:
        return values
    kept = torch.empty_like(values).bernoulli_(1 - drop_rate, generator=generator)
    return values * kept / (1 - drop_rate)
