"""Random views of a tissue: edges dropped, features hidden."""

import torch
from torch import Tensor

from spotscape.nn._sparse import with_values

# The constants of splitmix64 as signed numbers.
_MULTIPLIERS = (0x9E3779B97F4A7C15 - 2**64, 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def drop_edges(adjacency: Tensor, drop_rate: float, key: int, nodes: Tensor) -> Tensor:
    r"""Drop each directed edge with probability :math:`p` and scale the survivors by :math:`1 / (1 - p)`.

    Scaling keeps the expectation of every aggregated neighbourhood that of the whole graph. What is drawn for an edge
    follows from the key and the two spots alone, so that it is the same in whichever batch, order or process the edge
    comes.

    Parameters
    ----------
    adjacency
        Normalised adjacency as a sparse CSR tensor. ``(n_targets, n_sources)``. It is not changed.
    drop_rate
        Probability :math:`p`, in ``[0, 1)``.
    key
        Number that stands for the seed, the step and the view.
    nodes
        Number of each node in the whole data, targets first. ``(n_sources,)``.

    Returns
    -------
    Sparse CSR tensor with the same stored pattern.
    """
    if drop_rate == 0:
        return adjacency
    of_targets, of_sources = _mix(nodes[: adjacency.shape[0]], 2 * key), _mix(nodes, 2 * key + 1)
    drawn = of_targets.repeat_interleave(adjacency.crow_indices().diff())
    drawn += of_sources[adjacency.col_indices()]
    # The sum alone would tie the four edges between two pairs of spots together.
    drawn ^= drawn >> 29
    drawn *= _MULTIPLIERS[1]
    dropped = drawn < int(drop_rate * 2**64) - 2**63
    return with_values(adjacency, (adjacency.values() / (1 - drop_rate)).masked_fill_(dropped, 0))


def random_key(seed: int, step: int, stream: int) -> int:
    """Give the number that stands for a seed, a step and what is drawn in it.

    Keyed rather than consumed: a step draws the same numbers whatever was drawn before it.

    Parameters
    ----------
    seed
        Seed of the model.
    step
        Number of the training step; -1 outside training.
    stream
        Which of at most 16 draws of the step it is.

    Returns
    -------
    Non-negative, below :math:`2^{63}`.
    """
    return ((seed * 1_000_003 + step) * 16 + stream) % 2**63


def draw_feature_mask(n_features: int, drop_rate: float, generator: torch.Generator) -> Tensor | None:
    """Draw which whole features a view hides: zero with probability ``drop_rate``, one otherwise.

    As published, a feature is hidden for all spots at once, and the others are not rescaled.

    Parameters
    ----------
    n_features
        Number of features.
    drop_rate
        Probability that a feature is hidden, in ``[0, 1)``.
    generator
        Source of randomness; the mask is on its device.

    Returns
    -------
    Mask of zeros and ones, ``(n_features,)``, or ``None`` if nothing is to be hidden.
    """
    if drop_rate == 0:
        return None
    return (torch.rand(n_features, generator=generator, device=generator.device) >= drop_rate).float()


def _mix(numbers: Tensor, key: int) -> Tensor:
    """Scatter whole numbers over all of int64, by the steps of splitmix64."""
    mixed = numbers * _MULTIPLIERS[0] + ((key * 0xD1342543DE82EF95 + 2**63) % 2**64 - 2**63)
    for shift, multiplier in ((30, _MULTIPLIERS[1]), (27, _MULTIPLIERS[2])):
        mixed = (mixed ^ (mixed >> shift)) * multiplier
    return mixed ^ (mixed >> 31)
