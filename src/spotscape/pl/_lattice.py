"""Lattice of the spots of a slice: hexagonal as of Visium, square as of bins, or none as of cells."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

#: Shapes of spots.
SHAPES = ("hexagon", "square", "circle")
#: Spots whose neighbours are looked at. More do not change the result.
_N_SPOTS = 20_000
#: Neighbours are at most this many times the spacing away. On a square lattice, the next are at a distance of 1.41.
_REACH = 1.2
#: Smallest mean length of the directions of the neighbours, as unit vectors that turn six or four times as fast.
_ALIGNED = 0.6
#: Smallest mean number of neighbours. A line of spots has two.
_MIN_NEIGHBOURS = 2.5


class Lattice(NamedTuple):
    """Shape that fills the plane around each spot."""

    shape: str
    """``"hexagon"``, ``"square"`` or ``"circle"``."""
    size: float
    """Distance between opposite sides, or diameter, in the unit of the coordinates."""
    angle: float
    """Direction from a spot to one of its neighbours, in radians."""

    def outline(self) -> np.ndarray:
        """Corners of the shape around the origin. ``(n_corners, 2)``."""
        n_corners = {"hexagon": 6, "square": 4, "circle": 32}[self.shape]
        # Corners lie between the directions to the neighbours, and sides in them.
        turns = self.angle + (np.arange(n_corners) + 0.5) * 2 * np.pi / n_corners
        radius = 0.5 * self.size if self.shape == "circle" else 0.5 * self.size / np.cos(np.pi / n_corners)
        return radius * np.c_[np.cos(turns), np.sin(turns)]


def find_lattice(coordinates: np.ndarray, shape: str = "auto", size: float | None = None) -> Lattice:
    r"""Find the lattice of the spots of a slice, and the shape that tiles it.

    The directions :math:`\theta` from spots to their neighbours are the same everywhere on a lattice. The length of the
    mean of :math:`e^{6 i \theta}` is then 1 for a hexagonal and 0 for a square lattice, that of :math:`e^{4 i \theta}`
    the reverse, and both are about 0 for cells. Their angles tell how the lattice is turned.

    Parameters
    ----------
    coordinates
        Positions of the spots. ``(n_spots, 2)``.
    shape
        ``"hexagon"``, ``"square"`` or ``"circle"``. ``"auto"``: that of the lattice, circles without one.
    size
        Distance between opposite sides, or diameter. If ``None``, the spacing of the lattice, which leaves neither gaps
        nor overlaps. Circles are nine tenths of the distance to the fourth neighbour wide, so that most are visible,
        or touch each other on a lattice.

    Returns
    -------
    The lattice.
    """
    # Spots in the same place count once. As complex numbers they are sorted much faster than as rows.
    distinct = np.unique(coordinates[:, 0] + 1j * coordinates[:, 1])
    points = np.c_[distinct.real, distinct.imag]
    if len(points) == 1:
        return Lattice("circle" if shape == "auto" else shape, 1.0 if size is None else size, 0.0)
    some = points[:: -(-len(points) // _N_SPOTS)]
    distances, nearest = cKDTree(points).query(some, k=min(7, len(points)))
    distances, nearest = distances[:, 1:], nearest[:, 1:]
    fourth = float(np.median(distances[:, min(4, distances.shape[1]) - 1]))
    close = distances < _REACH * np.median(distances[:, : min(4, distances.shape[1])])
    steps = (points[nearest] - some[:, None])[close]
    turns = np.arctan2(steps[:, 1], steps[:, 0])
    order = {"hexagon": np.exp(6j * turns).mean(), "square": np.exp(4j * turns).mean()}
    best = "hexagon" if abs(order["hexagon"]) > abs(order["square"]) else "square"
    # On a line, both are 1.
    is_lattice = abs(order[best]) > _ALIGNED > sum(map(abs, order.values())) - abs(order[best])
    is_lattice = is_lattice and close.sum() > _MIN_NEIGHBOURS * len(some)
    found = best if is_lattice else "circle"
    spacing = float(np.median(distances[close])) if is_lattice else 0.9 * fourth
    shape = found if shape == "auto" else shape
    turn = order.get(shape, 0j) if shape == found else 0j
    angle = float(np.angle(turn)) / (6 if shape == "hexagon" else 4)
    return Lattice(shape, spacing if size is None else float(size), angle)
