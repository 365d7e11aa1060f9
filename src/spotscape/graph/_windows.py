"""Windows: the spots around each spot in rings, on lattices and among irregular cells."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from spotscape._validate import check_choice, check_integer
from spotscape.graph._checks import check_coordinates, encode_slices
from spotscape.graph._lattice import IN_LINE, REACH, fit_lattice, likely_lattice

LAYOUTS = ("auto", "hexagonal", "square", "irregular")
#: How many times the cells that a window has on average may be listed of it.
_CROWDING = 2
#: Weight of a spot of the outermost ring, that of the spot itself being 1.
_RIM = 0.25
#: Number of windows that are averaged at a time.
_BLOCK = 16_384


class Windows(NamedTuple):
    """Windows of spots, as :func:`build_windows` returns them.

    Attributes
    ----------
    sites
        Row numbers of the spots in each window, starting with the spot itself; -1 for sites without a spot. ``(n_spots,
        n_sites)``.
    rings
        Ring of each site; 0 is the spot itself. ``(n_sites,)``.
    layouts
        ``"hexagonal"``, ``"square"`` or ``"irregular"`` for each slice, in the order of first appearance.
    spacings
        Width of a ring in the unit of the coordinates, for each slice.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> coordinates = np.stack(np.meshgrid(np.arange(3.0), np.arange(3.0)), axis=-1).reshape(-1, 2)
    >>> windows = sps.graph.build_windows(coordinates, radius=1, layout="square")
    >>> sorted(windows.sites[0].tolist())
    [-1, -1, -1, -1, -1, 0, 1, 3, 4]
    >>> windows.rings
    array([0, 1, 1, 1, 1, 1, 1, 1, 1])
    """

    sites: NDArray[np.int32]
    rings: NDArray[np.int64]
    layouts: list[str]
    spacings: list[float]


def build_windows(
    coordinates: ArrayLike, slices: ArrayLike | None = None, *, radius: int, layout: str = "auto"
) -> Windows:
    """Find the window of each spot: the spots in the rings around it, within its slice.

    On a hexagonal lattice ring :math:`r` is the hexagon of :math:`6r` sites, on a square lattice the square of
    :math:`8r` sites, both rotated like the lattice. The spot of each site is searched near its expected position, so a
    lattice may be slightly distorted. For irregular cells, ring :math:`r` contains all cells at a distance between
    :math:`(r - 1) u` and :math:`r u`, with :math:`u` the median distance to the sixth nearest cell of the slice, which
    is similar to a hexagonal lattice. Sites without a spot remain empty.

    Parameters
    ----------
    coordinates
        Coordinates, in any unit. ``(n_spots, 2)`` or, for irregular cells, ``(n_spots, 3)``.
    slices
        Slice of each spot, as codes or labels. ``None``: all spots belong to one slice. ``(n_spots,)``.
    radius
        Number of rings around the spot; 0 is the spot alone.
    layout
        ``"hexagonal"``, ``"square"`` or ``"irregular"`` for all slices, or ``"auto"``, which detects the layout of each
        slice: a lattice if most nearest neighbours are in its directions and at the same distance.

    Returns
    -------
    The windows. Permuting the spots permutes the windows, and the windows of a slice do not depend on other slices. A
    window of irregular cells with more than twice the average number of cells contains only the nearest of them.

    Raises
    ------
    ValueError
        If the coordinates or slices cannot be used, or a lattice is requested in three dimensions.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> windows = sps.graph.build_windows(adata.obsm["spatial"], radius=2)
    >>> windows.sites.shape, windows.layouts, [round(spacing) for spacing in windows.spacings]
    ((60, 19), ['hexagonal'], [100])
    """
    check_integer(radius, "radius", minimum=0)
    check_choice(layout, LAYOUTS, "layout")
    positions = check_coordinates(coordinates, slices)
    if layout in ("hexagonal", "square") and positions.shape[1] != 2:
        raise ValueError(f"`layout` is {layout!r}, but the coordinates have 3 columns; pass 2, or 'irregular'.")
    codes, _ = encode_slices(slices, len(positions))
    members = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    of_slices = [_slice_windows(positions[spots], radius, layout) for spots in members]

    widths = np.max([[len(columns) for columns in rings] for rings, _, _ in of_slices], axis=0)
    ring_of_site = np.repeat(np.arange(radius + 1), widths)
    starts = np.concatenate([[0], np.cumsum(widths)])
    sites = np.full((len(positions), starts[-1]), -1, dtype=np.int32)
    for spots, (rings, _, _) in zip(members, of_slices, strict=True):
        for start, columns in zip(starts, rings, strict=False):
            for i, column in enumerate(columns):
                sites[spots, start + i] = np.where(column >= 0, spots[column], -1)
    return Windows(sites, ring_of_site, [found for _, found, _ in of_slices], [spacing for _, _, spacing in of_slices])


def default_window(n_spots: int) -> int:
    """Default number of rings of a window, for slices with ``n_spots`` spots: 1, or 2 from 1,600 spots on.

    The windows contain about as many spots as :func:`default_n_neighbors` gives neighbours, because larger slices allow
    more smoothing.

    Parameters
    ----------
    n_spots
        Number of spots of a slice; the median for several slices.

    Returns
    -------
    Number of rings.

    Examples
    --------
    >>> import spotscape as sps
    >>> sps.graph.default_window(900), sps.graph.default_window(3000)
    (1, 2)
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return 1 if n_spots < 1600 else 2


def default_ring_weights(radius: int) -> NDArray[np.float64]:
    """Weight of a spot in each ring of a window.

    .. math:: v_r = 4^{-(r / R)^2}

    This is a Gaussian that decreases to a quarter at the outermost of the :math:`R` rings. With equal weights the spot
    itself would be only one of 7 or 9, and thin structures would be lost.

    Parameters
    ----------
    radius
        Number of rings around the spot, :math:`R`.

    Returns
    -------
    Weights, 1 for the spot itself. ``(radius + 1,)``.

    Examples
    --------
    >>> import spotscape as sps
    >>> sps.graph.default_ring_weights(2)
    array([1.    , 0.7071, 0.25  ])
    """
    check_integer(radius, "radius", minimum=0)
    return np.asarray(_RIM ** ((np.arange(radius + 1) / max(radius, 1)) ** 2))


def ring_means(
    features: NDArray[np.float32], sites: NDArray[np.int32], rings: NDArray[np.int64], present: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean features of each ring of some windows, over the sites with a spot that has features.

    Parameters
    ----------
    features
        Features of all spots. ``(n_spots, n_features)``.
    sites, rings
        Rows of :class:`Windows`, and the ring of each site. ``(n_windows, n_sites)`` and ``(n_sites,)``.
    present
        Whether each spot has features. ``(n_spots,)``.

    Returns
    -------
    Means, 0 for empty rings, ``(n_windows, n_rings, n_features)``; and the number of spots in each ring, ``(n_windows,
    n_rings)``.
    """
    n_rings = int(rings[-1]) + 1
    means = np.zeros((len(sites), n_rings, features.shape[1]), dtype=np.float32)
    counts = np.zeros((len(sites), n_rings), dtype=np.float32)
    for site, ring in zip(sites.T, rings, strict=True):
        there = np.flatnonzero((site >= 0) & present[site])
        means[there, ring] += features[site[there]]
        counts[there, ring] += 1
    means /= np.maximum(counts, 1)[:, :, None]
    return means, counts


def window_averages(features: NDArray[np.float32], windows: Windows, present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Weighted average of the features in the window of each spot, with the weights of :func:`default_ring_weights`.

    Parameters
    ----------
    features
        Features of all spots. ``(n_spots, n_features)``.
    windows
        Windows of all spots.
    present
        Whether each spot has features. ``(n_spots,)``.

    Returns
    -------
    Averages, 0 where no spot of the window has features. ``(n_spots, n_features)``.

    Examples
    --------
    Spots in a row; a neighbour has a quarter of the weight of the spot itself:

    >>> import numpy as np
    >>> import spotscape as sps
    >>> coordinates = np.column_stack([np.arange(4.0), np.zeros(4)])
    >>> windows = sps.graph.build_windows(coordinates, radius=1, layout="square")
    >>> features = np.array([[0.0], [0.0], [0.0], [6.0]], dtype=np.float32)
    >>> sps.graph.window_averages(features, windows, present=np.ones(4, dtype=bool)).ravel()
    array([0. , 0. , 1. , 4.8], dtype=float32)
    """
    result = np.empty_like(features)
    ring_weights = default_ring_weights(int(windows.rings[-1]))
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        means, counts = ring_means(features, windows.sites[rows], windows.rings, present)
        weights = counts * ring_weights
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-6)
        result[rows] = np.einsum("ir,ird->id", weights, means)
    return result


def _slice_windows(
    positions: NDArray[np.float64], radius: int, layout: str
) -> tuple[list[list[NDArray[np.int64]]], str, float]:
    """Row numbers of the spots of each ring within the slice, or -1; the layout; and the width of a ring."""
    itself = [np.arange(len(positions))]
    if len(positions) == 1:
        return [itself, *[[] for _ in range(radius)]], "irregular" if layout == "auto" else layout, 1.0
    tree = KDTree(positions)
    name = layout
    if layout == "auto":
        name = likely_lattice(tree) if positions.shape[1] == 2 else "irregular"
    if name != "irregular":
        steps, share = fit_lattice(tree, name)
        if layout != "auto" or share >= IN_LINE:
            rings = _lattice_rings(tree, steps, radius, name)
            return [itself, *rings], name, float(np.linalg.norm(steps, axis=1).mean())
    unit = _sixth_neighbor_distance(tree)
    return [itself, *_irregular_rings(tree, radius, unit)], "irregular", unit


def _sixth_neighbor_distance(tree: KDTree) -> float:
    """Median distance to the sixth nearest other spot, or to the farthest if there are fewer."""
    k = min(7, tree.n)
    return float(np.median(tree.query(tree.data, k=[k])[0])) or 1.0


def _lattice_rings(tree: KDTree, steps: NDArray[np.float64], radius: int, name: str) -> list[list[NDArray[np.int64]]]:
    spacing = np.linalg.norm(steps, axis=1).mean()
    sides = np.arange(-radius, radius + 1)
    grid = np.stack(np.meshgrid(sides, sides, indexing="ij"), axis=-1).reshape(-1, 2)
    # The two steps of a hexagonal lattice are 60 degrees apart: going along both goes twice as far.
    farthest = np.abs(grid).max(axis=1)
    ring = np.maximum(farthest, np.abs(grid.sum(axis=1))) if name == "hexagonal" else farthest
    rings: list[list[NDArray[np.int64]]] = []
    for r in range(1, radius + 1):
        columns = []
        for offset in grid[ring == r] @ steps:
            distances, found = tree.query(tree.data + offset, distance_upper_bound=REACH * spacing)
            columns.append(np.where(np.isfinite(distances), found, -1))
        rings.append(columns)
    return rings


def _irregular_rings(tree: KDTree, radius: int, unit: float) -> list[list[NDArray[np.int64]]]:
    # A disc of radius r holds 6 r^2 cells besides the one in its centre, on average.
    n_nearest = min(tree.n, 1 + _CROWDING * 6 * radius**2)
    distances, found = tree.query(tree.data, k=np.arange(1, n_nearest + 1))
    # A spot that shares its position with others need not be found first.
    rows, own = np.arange(tree.n), (found == np.arange(tree.n)[:, None]).argmax(axis=1)
    found[rows, own], found[:, 0] = found[:, 0], rows
    ring = np.maximum(np.ceil(distances / unit), 1)
    ring[:, 0] = 0
    first = np.stack([(ring < r).sum(axis=1) for r in range(1, radius + 2)])
    rings: list[list[NDArray[np.int64]]] = []
    for start, end in pairwise(first):
        columns = []
        for i in range(int((end - start).max())):
            place = np.minimum(start + i, n_nearest - 1)
            columns.append(np.where(start + i < end, found[rows, place], -1))
        rings.append(columns)
    return rings
