"""Slices with more spots than a browser draws quickly, as images: each pixel has the values of the nearest spot."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

#: Slices with more spots are drawn as an image.
MOST_POINTS = 100_000
#: Pixels of all images together. Each takes about three bytes of the file.
_N_PIXELS = 2_000_000
#: Pixels a spot, at most. More show no more.
_PIXELS_PER_SPOT = 6
_ROWS_AT_ONCE = 64


class Raster(NamedTuple):
    """Grid of pixels over a slice."""

    nearest: np.ndarray
    """Number of the spot of each pixel, -1 where there is none. ``(height, width)``."""
    low: np.ndarray
    """Position of the corner of the first pixel. ``(2,)``."""
    size: np.ndarray
    """Width and height. ``(2,)``."""

    def values(self, of_spots: np.ndarray, nothing: int) -> np.ndarray:
        """Values of the spots at their pixels, and another where there is no spot. ``(height, width)``."""
        return np.append(of_spots, of_spots.dtype.type(nothing))[self.nearest]


def make_raster(positions: np.ndarray, diameter: float, share: float) -> Raster:
    """Find the spot of each pixel: the nearest one, if the pixel lies in its disc.

    Parameters
    ----------
    positions
        Positions of the spots. ``(n_spots, 2)``.
    diameter
        Diameter of a spot.
    share
        Share of this slice in the pixels of all images.

    Returns
    -------
    The pixels, which are squares.
    """
    low, high = positions.min(axis=0) - 0.5 * diameter, positions.max(axis=0) + 0.5 * diameter
    n_pixels = min(share * _N_PIXELS, _PIXELS_PER_SPOT * len(positions))
    side = float(np.sqrt(np.prod(high - low) / n_pixels))
    shape = np.maximum(1, np.ceil((high - low) / side).astype(int))
    x = low[0] + side * (np.arange(shape[0]) + 0.5)
    tree = cKDTree(positions)
    nearest = np.empty((shape[1], shape[0]), dtype=np.int32)
    for start in range(0, shape[1], _ROWS_AT_ONCE):
        y = low[1] + side * (np.arange(start, min(start + _ROWS_AT_ONCE, shape[1])) + 0.5)
        centres = np.stack(np.meshgrid(x, y), axis=-1)
        # Where the pixels are larger than the spots, a spot fills its pixel.
        found = tree.query(centres, distance_upper_bound=max(0.5 * diameter, 0.71 * side))[1]
        nearest[start : start + len(y)] = np.where(found == len(positions), -1, found)
    return Raster(nearest, low, side * shape)
