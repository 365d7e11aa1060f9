"""Defaults that depend on the size of a section: neighbours, components and their scale, steps and batch size."""

import math

import numpy as np

from spotscape._validate import check_integer


def default_n_neighbors(n_spots: int) -> int:
    r"""Return the default number of spatial neighbours for a slice of ``n_spots`` spots.

    .. math::

        k = \min\left(n - 1,\ \mathrm{clip}\left(\mathrm{round}(0.3 \sqrt{n}),\ 6,\ 18\right)\right)

    Features are averaged over neighbours, so their number sets the scale of smoothing. A domain that covers a fixed
    share of a section is about :math:`\sqrt{n}` spots wide, so the smoothing grows with :math:`\sqrt{n}`: from 6
    neighbours, the first ring of a hexagonal grid, up to 450 spots to 18 neighbours from 3,400 spots.

    Parameters
    ----------
    n_spots
        Number of spots of one slice, at least 2.

    Returns
    -------
    Number of neighbours, at most ``n_spots - 1``.

    Examples
    --------
    >>> import spotscape as sps
    >>> [sps.graph.default_n_neighbors(n_spots) for n_spots in (100, 1000, 10_000)]
    [6, 9, 18]
    """
    check_integer(n_spots, "n_spots", minimum=2)
    return min(max(6, min(18, round(0.3 * math.sqrt(n_spots)))), int(n_spots) - 1)


def default_n_components(n_spots: int, n_genes: int, n_slices: int = 1) -> int:
    r"""Return the default number of principal components for slices of ``n_spots`` spots.

    For one slice :math:`0.8 \sqrt{n_\mathrm{spots}}`, rounded and clipped to 30 to 50: more components exceed sampling
    noise in a larger section. For several slices :math:`(1 - p) \min(100, n_\mathrm{genes} / 3)`, if that is larger,
    with the scale power :math:`p` of :func:`default_scale_power`: small slices integrate better with many components,
    in which the distance between slices is small relative to the spread within them. Where components are scaled
    (:math:`p = 1`), the weak ones would only add noise.

    Parameters
    ----------
    n_spots
        Number of spots of a slice; the median of several.
    n_genes
        Number of selected genes.
    n_slices
        Number of slices.

    Returns
    -------
    Number of components, at least 1 and otherwise below ``n_genes`` and the total number of spots.

    Examples
    --------
    >>> import spotscape as sps
    >>> sps.preprocessing.default_n_components(3500, 2000)
    47
    >>> sps.preprocessing.default_n_components(300, 2000, n_slices=4)
    100
    """
    check_integer(n_spots, "n_spots", minimum=1)
    check_integer(n_genes, "n_genes", minimum=1)
    check_integer(n_slices, "n_slices", minimum=1)
    n_components = int(np.clip(round(0.8 * np.sqrt(n_spots)), 30, 50))
    if n_slices > 1:
        n_components = max(n_components, round(min(100, n_genes / 3) * (1 - default_scale_power(n_spots))))
    return max(1, min(n_components, min(n_spots * n_slices, n_genes) - 1))


def default_scale_power(n_spots: int) -> float:
    r"""Return the default scale power of the components for a section of ``n_spots`` spots.

    .. math:: p = \mathrm{clip}\left(\frac{\sqrt{n_\mathrm{spots}} - 18}{12},\ 0,\ 1\right)

    Each component is divided by its standard deviation to this power. Low-variance components separate fine domains,
    but are dominated by noise where few neighbours are averaged. Components are unscaled up to 324 spots and have equal
    variance from 900 spots.

    Parameters
    ----------
    n_spots
        Number of spots of a slice; the median of several.

    Returns
    -------
    Power, from 0 to 1.

    Examples
    --------
    >>> import spotscape as sps
    >>> [sps.preprocessing.default_scale_power(n_spots) for n_spots in (300, 576, 3000)]
    [0.0, 0.5, 1.0]
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return float(np.clip((np.sqrt(n_spots) - 18) / 12, 0, 1))


def default_n_steps(n_spots: int) -> int:
    r"""Return the default number of optimisation steps for a data set of ``n_spots`` spots.

    It is :math:`n_\mathrm{spots} / 12`, clipped to 20 to 300. Longer training on few spots would fit their noise.

    Parameters
    ----------
    n_spots
        Number of spots in the training data.

    Returns
    -------
    Number of steps.

    Examples
    --------
    >>> import spotscape as sps
    >>> [sps.train.default_n_steps(n_spots) for n_spots in (100, 1200, 10_000)]
    [20, 100, 300]
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return min(max(n_spots // 12, 20), 300)


def default_batch_size(n_spots: int) -> int:
    """Return the default batch size, the number of spots whose losses one step computes.

    All spots up to 10,000 spots and 8,192 above, so that the cost of a step does not grow with the data.

    Parameters
    ----------
    n_spots
        Number of spots in the training data.

    Returns
    -------
    Number of spots in a batch.

    Examples
    --------
    >>> import spotscape as sps
    >>> [sps.train.default_batch_size(n_spots) for n_spots in (5000, 1_000_000)]
    [5000, 8192]
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return int(n_spots) if n_spots <= 10_000 else 8_192
