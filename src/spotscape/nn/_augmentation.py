"""Random views of a tissue: edges dropped, features hidden."""

import torch
from torch import Tensor

from spotscape.nn._sparse import with_values


def drop_edges(adjacency: Tensor, drop_rate: float, generator: torch.Generator) -> Tensor:
    r"""Drop each directed edge with probability :math:`p` and scale the survivors by :math:`1 / (1 - p)`.

    Scaling keeps the expectation of every aggregated neighbourhood that of the whole graph.

    Parameters
    ----------
    adjacency
        Normalised adjacency as a sparse CSR tensor. ``(n_targets, n_sources)``. It is not changed.
    drop_rate
        Probability :math:`p`, in ``[0, 1)``.
    generator
        Source of randomness, on the device of ``adjacency``.

    Returns
    -------
    Sparse CSR tensor with the same stored pattern.
    """
    if drop_rate == 0:
        return adjacency
    values = adjacency.values()
    kept = torch.rand(values.shape, generator=generator, device=values.device) >= drop_rate
    return with_values(adjacency, values * kept / (1 - drop_rate))


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
