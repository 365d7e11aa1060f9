"""Maps of the tissue: spots as discs at their coordinates."""

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from scipy.spatial import cKDTree

from spotscape._validate import check_present, numeric_array
from spotscape.pl._coloring import Coloring
from spotscape.pl._figure import N_POINTS_VECTOR, hide_axes


def read_coordinates(adata: AnnData, spatial_key: str) -> np.ndarray:
    """Read and check the first two coordinates of the spots. ``(n_spots, 2)``."""
    check_present(spatial_key, "spatial_key", adata.obsm, "adata.obsm")
    coordinates = numeric_array(adata.obsm[spatial_key], f"adata.obsm[{spatial_key!r}]").astype(np.float64)
    if coordinates.ndim != 2 or coordinates.shape[1] < 2:
        raise ValueError(f"`adata.obsm[{spatial_key!r}]` has shape {coordinates.shape}, but a map needs two columns.")
    n_missing = int((~np.isfinite(coordinates[:, :2])).any(axis=1).sum())
    if n_missing:
        raise ValueError(f"`adata.obsm[{spatial_key!r}]` is missing or infinite for {n_missing} spots; remove them.")
    if not len(coordinates):
        raise ValueError("`adata` has no spots to draw; pass one with spots.")
    return coordinates[:, :2]


def panel_shape(coordinates: np.ndarray, panels: list[np.ndarray]) -> float:
    """Median ratio of height to width of the slices, limited to 0.4 to 2."""
    extents = [np.ptp(coordinates[spots], axis=0) for spots in panels]
    return float(np.clip(np.median([(y + 1e-9) / (x + 1e-9) for x, y in extents]), 0.4, 2.0))


def tiling_diameter(coordinates: np.ndarray) -> float:
    r"""Diameter of discs that cover the plane without gaps.

    On a hexagonal grid, whose six nearest neighbours are equally distant, it is :math:`2 / \sqrt{3}` times the spacing.
    On a square grid, whose fifth and sixth neighbours are :math:`\sqrt{2}` times as distant as the fourth, it is
    :math:`\sqrt{2}` times the spacing. Real grids are slightly irregular, so 5 % is added. Cells are not on a grid: the
    first neighbour is much nearer than the fourth, and discs without gaps would hide each other. Their diameter is nine
    tenths of the distance to the fourth neighbour.
    """
    points = np.unique(coordinates, axis=0)
    if len(points) == 1:
        return 1.0
    distances = cKDTree(points).query(points, k=min(7, len(points)))[0][:, 1:]
    first, fourth, sixth = (float(np.median(distances[:, min(k, distances.shape[1]) - 1])) for k in (1, 4, 6))
    if first < 0.75 * fourth:
        return 0.9 * fourth
    return 1.05 * fourth * float(2 / np.sqrt(3) if sixth < 1.15 * fourth else np.sqrt(2))


def draw_map(
    axes: Axes, coordinates: np.ndarray, coloring: Coloring, spots: np.ndarray, diameter: float | None = None
) -> None:
    """Draw some of the spots in their colours, by default with the diameter that leaves no gaps."""
    drawn = spots[np.argsort(coloring.rank[spots], kind="stable")]
    diameter = tiling_diameter(coordinates[drawn]) if diameter is None else diameter
    draw_spots(axes, coordinates[drawn], coloring.faces[drawn], diameter)


def draw_spots(axes: Axes, coordinates: np.ndarray, faces: np.ndarray | str, diameter: float) -> None:
    """Draw spots as discs, with a diameter in the unit of the coordinates and the origin at the upper left."""
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
    hide_axes(axes)
