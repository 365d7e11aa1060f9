"""What follows the size of a section: the smoothing, the components and their scale, and the length of the training."""

import math

import numpy as np

from spotscape._validate import check_integer


def default_n_neighbors(n_spots: int) -> int:
    r"""Return the number of neighbours for a slice of this size.

    .. math::

        k = \min\left(n - 1,\ \mathrm{clip}\left(\mathrm{round}(0.3 \sqrt{n}),\ 6,\ 18\right)\right)

    Neighbours are averaged over, so their number sets the scale of smoothing. A domain that spans a fixed share of a
    section is about :math:`\sqrt{n}` spots wide, and the smoothing may grow with it: 6 neighbours, the first ring of
    a hexagonal grid, up to 450 spots, 18 from 3,400 spots.

    Parameters
    ----------
    n_spots
        Number of spots of one slice, at least 2.

    Returns
    -------
    Number of neighbours, at most ``n_spots - 1``.
    """
    check_integer(n_spots, "n_spots", minimum=2)
    return min(max(6, min(18, round(0.3 * math.sqrt(n_spots)))), int(n_spots) - 1)


def default_n_components(n_spots: int, n_genes: int, n_slices: int = 1) -> int:
    r"""Give the number of principal components for slices of ``n_spots`` spots and ``n_genes`` selected genes.

    For one slice :math:`0.8 \sqrt{n_\mathrm{spots}}`, rounded, between 30 and 50: the directions that rise above
    sampling noise grow with the section. For several slices, :math:`(1 - p) \min(100, n_\mathrm{genes} / 3)` if that is
    more, with the scale power :math:`p` of :func:`default_scale_power`: small slices are brought together better in
    many components, in which slices lie less far apart beside the spread of their spots; where components are scaled,
    the weak ones would bring noise only. Never more than either size allows.

    Parameters
    ----------
    n_spots
        Number of spots of a slice; of several, the median.
    n_genes
        Number of selected genes.
    n_slices
        Number of slices.

    Returns
    -------
    Number of components, below the number of all spots and of ``n_genes`` but at least 1.
    """
    check_integer(n_spots, "n_spots", minimum=1)
    check_integer(n_genes, "n_genes", minimum=1)
    check_integer(n_slices, "n_slices", minimum=1)
    n_components = int(np.clip(round(0.8 * np.sqrt(n_spots)), 30, 50))
    if n_slices > 1:
        n_components = max(n_components, round(min(100, n_genes / 3) * (1 - default_scale_power(n_spots))))
    return max(1, min(n_components, min(n_spots * n_slices, n_genes) - 1))


def default_scale_power(n_spots: int) -> float:
    r"""Give the scale power of the components for a section of ``n_spots`` spots.

    .. math:: p = \mathrm{clip}\left(\frac{\sqrt{n_\mathrm{spots}} - 18}{12},\ 0,\ 1\right)

    Weak components tell fine domains apart, but drown in noise where few neighbours are averaged over. Up to 324 spots
    components are left as they are, from 900 spots they all have the same variance.

    Parameters
    ----------
    n_spots
        Number of spots of the section; with several slices, their median size.

    Returns
    -------
    Power of its standard deviation that each component is divided by, from 0 to 1.
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return float(np.clip((np.sqrt(n_spots) - 18) / 12, 0, 1))


def default_n_steps(n_spots: int) -> int:
    r"""Give the number of optimisation steps for ``n_spots`` spots in all.

    :math:`n_\mathrm{spots} / 12`, between 20 and 300. Long training on few spots learns their noise.

    Parameters
    ----------
    n_spots
        Number of spots that are trained on.

    Returns
    -------
    Number of steps.
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return min(max(n_spots // 12, 20), 300)


def default_batch_size(n_spots: int) -> int:
    """Give the number of spots whose losses one step computes, for ``n_spots`` spots in all.

    All of them up to 10,000; 8,192 from there, so that a step costs the same however large the data.

    Parameters
    ----------
    n_spots
        Number of spots that are trained on.

    Returns
    -------
    Number of spots of a batch.
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return int(n_spots) if n_spots <= 10_000 else 8_192
