"""Default number and scale of principal components, by the size of the slices."""

import numpy as np

from spotscape._validate import check_integer


def default_n_components(n_spots: int, n_genes: int, n_slices: int = 1) -> int:
    r"""Default number of principal components for slices with ``n_spots`` spots.

    For one slice :math:`0.8 \sqrt{n_\mathrm{spots}}`, rounded and limited to 30 to 50: in a larger section more
    components exceed sampling noise. For several slices :math:`(1 - p) \min(100, n_\mathrm{genes} / 3)`, if that is
    larger, with the scale power :math:`p` of :func:`default_scale_power`: small slices integrate better with many
    components, in which the distance between slices is small relative to the spread within them. If components are
    scaled (:math:`p = 1`), further components would only add noise.

    Parameters
    ----------
    n_spots
        Number of spots of a slice; the median for several slices.
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
    r"""Default scale power of the principal components for slices with ``n_spots`` spots.

    .. math:: p = \mathrm{clip}\left(\frac{\sqrt{n_\mathrm{spots}} - 18}{12},\ 0,\ 1\right)

    Each component is divided by its standard deviation to this power. Components of low variance separate fine domains,
    but consist mainly of noise if few neighbours are averaged. Components are not scaled up to 324 spots, and have
    equal variance from 900 spots.

    Parameters
    ----------
    n_spots
        Number of spots of a slice; the median for several slices.

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
