"""Default number of spatial neighbours."""

import math

from spotscape._validate import check_integer


def default_n_neighbors(n_spots: int) -> int:
    r"""Default number of spatial neighbours for a slice with ``n_spots`` spots.

    .. math::

        k = \min\left(n - 1,\ \mathrm{clip}\left(\mathrm{round}(0.3 \sqrt{n}),\ 6,\ 18\right)\right)

    Features are averaged over neighbours, so their number sets the scale of smoothing. A domain that covers a fixed
    fraction of a section is about :math:`\sqrt{n}` spots wide, so the smoothing increases with :math:`\sqrt{n}`: from 6
    neighbours, the first ring of a hexagonal lattice, for up to 450 spots, to 18 neighbours from 3,400 spots.

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
