"""Tiles for the spots of a slice: hexagons as of Visium, squares as of bins, or circles as of cells."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from spotscape.graph._lattice import IN_LINE, fit_lattice, likely_lattice

#: Shapes of spots.
SHAPES = ("hexagon", "square", "circle")
_SHAPE_OF = {"hexagonal": "hexagon", "square": "square"}
#: Spots in the middle of a slice that are looked at. More do not change the result.
_N_SPOTS = 20_000


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
    """Find the lattice of the spots of a slice, as :func:`spotscape.graph.build_windows` does, and its tile.

    Parameters
    ----------
    coordinates
        Positions of the spots. ``(n_spots, 2)``.
    shape
        ``"hexagon"``, ``"square"`` or ``"circle"``. ``"auto"``: that of the lattice, circles without one.
    size
        Distance between opposite sides, or diameter. If ``None``, the spacing of the lattice, which leaves neither gaps
        nor overlaps. Without a lattice, nine tenths of the distance to the fourth neighbour, so that most are visible.

    Returns
    -------
    The lattice.
    """
    # Spots in the same place count once. As complex numbers they are sorted much faster than as rows.
    distinct = np.unique(coordinates[:, 0] + 1j * coordinates[:, 1])
    points = np.c_[distinct.real, distinct.imag]
    if len(points) == 1:
        return Lattice("circle" if shape == "auto" else shape, 1.0 if size is None else size, 0.0)
    if len(points) > _N_SPOTS:
        from_middle = ((points - np.median(points, axis=0)) ** 2).sum(axis=1)
        points = points[np.argpartition(from_middle, _N_SPOTS)[:_N_SPOTS]]
    tree = KDTree(points)
    kind = likely_lattice(tree)
    steps, share = fit_lattice(tree, kind)
    if share >= IN_LINE:
        found, spacing = _SHAPE_OF[kind], float(np.linalg.norm(steps, axis=1).mean())
        angle = float(np.arctan2(steps[0, 1], steps[0, 0]))
    else:
        fourth = tree.query(points, k=[min(5, len(points))])[0]
        found, spacing, angle = "circle", 0.9 * float(np.median(fourth)), 0.0
    chosen = found if shape == "auto" else shape
    # A tile of another shape than the lattice has no direction to follow.
    return Lattice(chosen, spacing if size is None else float(size), angle if chosen == found else 0.0)
