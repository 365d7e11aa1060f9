"""Spots drawn at their places in the tissue, which the maps of domains and of similarities share."""

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from scipy.spatial import cKDTree

from spotscape.pl._figure import N_POINTS_VECTOR, bare


def read_coordinates(adata: AnnData, spatial_key: str) -> np.ndarray:
    """Read the first two coordinates of the spots and check them. ``(n_spots, 2)``."""
    if spatial_key not in adata.obsm:
        raise KeyError(f"`spatial_key` is {spatial_key!r}, which is not in `adata.obsm`; there are {list(adata.obsm)}.")
    coordinates = np.asarray(adata.obsm[spatial_key], dtype=np.float64)
    if coordinates.ndim != 2 or coordinates.shape[1] < 2:
        raise ValueError(f"`adata.obsm[{spatial_key!r}]` has shape {coordinates.shape}; a map needs two columns.")
    n_missing = int((~np.isfinite(coordinates[:, :2])).any(axis=1).sum())
    if n_missing:
        raise ValueError(f"`adata.obsm[{spatial_key!r}]` is missing or infinite for {n_missing} spots; leave them out.")
    if not len(coordinates):
        raise ValueError("`adata` has no spots; there is nothing to draw.")
    return coordinates[:, :2]


def panel_shape(coordinates: np.ndarray, panels: list[np.ndarray]) -> float:
    """Height over width of the slices, the median, within what a page bears."""
    extents = [np.ptp(coordinates[spots], axis=0) for spots in panels]
    return float(np.clip(np.median([(y + 1e-9) / (x + 1e-9) for x, y in extents]), 0.4, 2.0))


def tiling_diameter(coordinates: np.ndarray) -> float:
    r"""Diameter at which the discs of a grid cover the plane.

    It is :math:`2 / \sqrt{3}` times the spacing of a hexagonal grid, whose six nearest neighbours are equally far, and
    :math:`\sqrt{2}` times that of a square grid, whose fifth and sixth are :math:`\sqrt{2}` times as far as the fourth.
    Real grids are a little uneven, so a twentieth is added. Cells lie on no grid: their first neighbour is much nearer
    than their fourth, and discs that leave no gap would hide each other. They get nine tenths of the distance of the
    fourth neighbour.
    """
    points = np.unique(coordinates, axis=0)
    if len(points) == 1:
        return 1.0
    distances = cKDTree(points).query(points, k=min(7, len(points)))[0][:, 1:]
    first, fourth, sixth = (float(np.median(distances[:, min(k, distances.shape[1]) - 1])) for k in (1, 4, 6))
    if first < 0.75 * fourth:
        return 0.9 * fourth
    return 1.05 * fourth * float(2 / np.sqrt(3) if sixth < 1.15 * fourth else np.sqrt(2))


def draw_spots(axes: Axes, coordinates: np.ndarray, faces: np.ndarray, diameter: float) -> None:
    """Draw spots as discs whose diameter is in the unit of the coordinates, with the origin at the upper left."""
    n_spots = len(coordinates)
    discs = EllipseCollection(
        np.full(n_spots, diameter),
        np.full(n_spots, diameter),
        np.zeros(n_spots),
        units="xy",
        offsets=coordinates,
        offset_transform=axes.transData,
        facecolors=faces,
        edgecolors="none",
        rasterized=n_spots > N_POINTS_VECTOR,
    )
    axes.add_collection(discs)
    low, high = coordinates.min(axis=0) - 0.6 * diameter, coordinates.max(axis=0) + 0.6 * diameter
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), aspect="equal")
    bare(axes)
