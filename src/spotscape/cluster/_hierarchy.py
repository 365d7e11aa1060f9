"""Levels of domains, each of which merges domains of the level below."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def merge_domains(
    representation: NDArray[Any], codes: NDArray[np.integer], levels: Sequence[int]
) -> dict[int, NDArray[np.int64]]:
    r"""Merge domains step by step, and return the merged domain of each domain at some numbers of domains.

    Each step merges the two domains that raise the sum of squares of the representation least, as Ward's method does
    :cite:p:`Ward1963`:

    .. math:: \Delta_{ab} = \frac{n_a n_b}{n_a + n_b} \lVert \mu_a - \mu_b \rVert^2

    Parameters
    ----------
    representation
        Representation of the spots. ``(n_spots, n_dimensions)``.
    codes
        Domain of each spot, from 0, without empty domains. ``(n_spots,)``.
    levels
        Numbers of domains, from 1 to the number of domains in ``codes``.

    Returns
    -------
    For each level, the merged domain of each domain. ``(n_domains,)`` each, with values from 0 to the level minus 1.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.cluster import merge_domains
    >>> representation = np.array([[0.0], [1.0], [8.0], [9.5]])
    >>> merge_domains(representation, np.arange(4), levels=[2, 3])
    {3: array([0, 0, 1, 2]), 2: array([0, 0, 1, 1])}
    """
    sizes = np.bincount(codes).astype(np.float64)
    members = np.eye(len(sizes))[codes]
    centroids = members.T @ np.asarray(representation, dtype=np.float64) / sizes[:, None]
    merged = np.arange(len(sizes))
    found = {}
    for n_left in range(len(sizes), 0, -1):
        if n_left in levels:
            found[n_left] = np.unique(merged, return_inverse=True)[1]
        kept = np.unique(merged)
        if n_left == 1:
            break
        distances = ((centroids[kept][:, None] - centroids[kept]) ** 2).sum(axis=2)
        cost = distances * sizes[kept][:, None] * sizes[kept] / (sizes[kept][:, None] + sizes[kept])
        np.fill_diagonal(cost, np.inf)
        # The smaller code survives, so that domains that are not merged keep their order.
        first, second = sorted(kept[list(np.unravel_index(cost.argmin(), cost.shape))])
        weights = sizes[[first, second]]
        centroids[first] = weights @ centroids[[first, second]] / weights.sum()
        sizes[first] = weights.sum()
        merged[merged == second] = first
    return found
