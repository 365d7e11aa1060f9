"""Maps of the tissue: spots as tiles or discs at their coordinates."""

from typing import Any

import numpy as np
from anndata import AnnData
from matplotlib.artist import allow_rasterization
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PolyCollection
from matplotlib.transforms import Affine2D
from scipy.spatial import cKDTree

from spotscape._validate import check_present, numeric_array
from spotscape.pl._coloring import Coloring
from spotscape.pl._figure import N_POINTS_VECTOR, hide_axes
from spotscape.pl._lattice import find_lattice


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
    axes: Axes,
    coordinates: np.ndarray,
    coloring: Coloring,
    spots: np.ndarray,
    size: float | None = None,
    *,
    shape: str = "auto",
    alpha: float = 1.0,
) -> None:
    """Draw some of the spots in their colours, by default with the shape and the size that tile the plane."""
    drawn = spots[np.argsort(coloring.rank[spots], kind="stable")]
    points, faces = coordinates[drawn], coloring.faces[drawn]
    if alpha < 1:
        faces = faces * np.array([1, 1, 1, alpha])
    tile = find_lattice(points, shape, size)
    # Tiles have no smoothed borders, through which the background would shine.
    tiles = Tiles(
        tile.outline(),
        axes,
        offsets=points,
        facecolors=faces,
        edgecolors="none",
        antialiaseds=tile.shape == "circle",
        rasterized=len(points) > N_POINTS_VECTOR,
    )
    axes.add_collection(tiles, autolim=False)
    _set_limits(axes, points, tile.size)


class Tiles(PolyCollection):
    """One polygon drawn at many places, in the unit of the coordinates.

    Parameters
    ----------
    outline
        Corners around the origin. ``(n_corners, 2)``.
    axes
        Panel.
    **options
        As of :class:`matplotlib.collections.PolyCollection`.
    """

    def __init__(self, outline: np.ndarray, axes: Axes, **options: Any):
        super().__init__([outline], offset_transform=axes.transData, **options)

    @allow_rasterization
    def draw(self, renderer: Any) -> None:
        # From the unit of the coordinates to pixels, without the shift, which the offsets have.
        if self.axes is not None:
            matrix = self.axes.transData.get_affine().get_matrix().copy()
            matrix[:2, 2] = 0
            self.set_transform(Affine2D(matrix))
        super().draw(renderer)


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
    _set_limits(axes, coordinates, diameter)


def _set_limits(axes: Axes, coordinates: np.ndarray, size: float) -> None:
    low, high = coordinates.min(axis=0) - 0.6 * size, coordinates.max(axis=0) + 0.6 * size
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), aspect="equal")
    hide_axes(axes)
