"""Windows: which spots lie around each spot, ring by ring, on lattices and among irregular cells."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import KDTree

from spotscape._validate import check_choice, check_integer
from spotscape.graph._checks import check_coordinates, encode_slices

LAYOUTS = ("auto", "hexagonal", "square", "irregular")
_DIRECTIONS = {"hexagonal": 6, "square": 4}
#: A spot that lies within this share of the spacing of a site of the lattice stands on it.
_REACH = 0.35
#: How many times the cells that a window has on average may be listed of it.
_CROWDING = 2
#: Weight of a spot of the outermost ring, that of the spot itself being 1.
_RIM = 0.25
#: Number of windows that are averaged at a time.
_BLOCK = 16_384
#: Share of the neighbours in line from which spots are taken to stand on a lattice.
_IN_LINE = 0.8


class Windows(NamedTuple):
    """Spots of the window of each spot.

    Attributes
    ----------
    sites
        Row numbers of the spots of each window, the spot itself first, -1 where a site has no spot.
        ``(n_spots, n_sites)``.
    rings
        Ring of each site, from 0 for the spot itself. ``(n_sites,)``.
    layouts
        For each slice, in the order of their names, ``"hexagonal"``, ``"square"`` or ``"irregular"``.
    spacings
        For each slice, the width of a ring in the unit of the coordinates.
    """

    sites: NDArray[np.int32]
    rings: NDArray[np.int64]
    layouts: list[str]
    spacings: list[float]


def build_windows(
    coordinates: ArrayLike, slices: ArrayLike | None = None, *, radius: int, layout: str = "auto"
) -> Windows:
    r"""Find the window of each spot: all that lies within some rings around it, in its own slice.

    On a hexagonal lattice ring :math:`r` is the hexagon of :math:`6r` sites, on a square one the square of :math:`8r`
    sites, both turned as the lattice is. Sites are looked for one by one from each spot, so that a lattice may be bent
    or stretched a little over a section. Among irregular cells ring :math:`r` is all cells at a distance between
    :math:`(r - 1) u` and :math:`r u`, with :math:`u` the median distance to the sixth nearest cell of the slice, so
    that a ring means about the same as on a hexagonal lattice, whatever the unit of the coordinates. Nothing is filled
    in where a site has no spot.

    Parameters
    ----------
    coordinates
        Positions, ``(n_spots, 2)`` or, for irregular cells, ``(n_spots, 3)``.
    slices
        Slice of each spot; codes or labels. ``None``: one slice.
    radius
        Number of rings around the spot; with 0 it is seen by itself.
    layout
        ``"hexagonal"``, ``"square"`` or ``"irregular"`` in all slices, or ``"auto"``, which recognises that of each: a
        lattice where most of the nearest neighbours lie in its directions and at one distance.

    Returns
    -------
    The windows. Permuting the spots permutes them, and no slice changes those of another.

    Raises
    ------
    ValueError
        If the coordinates or slices cannot be used, or a lattice is asked for in three dimensions.

    Notes
    -----
    Of a window of irregular cells that is more than twice as crowded as on average, the nearest ones count.
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
    """Give the number of rings around a spot for slices of ``n_spots`` spots: 1, and 2 from 1,600 spots.

    About as many spots as :func:`default_n_neighbors` asks for: the scale of smoothing may grow with the slice.

    Parameters
    ----------
    n_spots
        Number of spots of a slice; with several slices, their median.

    Returns
    -------
    Number of rings.
    """
    check_integer(n_spots, "n_spots", minimum=1)
    return 1 if n_spots < 1600 else 2


def default_ring_weights(radius: int) -> NDArray[np.float64]:
    r"""Weight of a spot of each ring in the average of a window.

    .. math:: v_r = 4^{-(r / R)^2}

    A Gaussian that falls to a quarter at the outermost of the :math:`R` rings. With equal weights the spot itself would
    be one of seven or nine, and thin structures would be averaged away.

    Parameters
    ----------
    radius
        Number of rings around the spot.

    Returns
    -------
    From 1 for the spot itself. ``(radius + 1,)``.
    """
    check_integer(radius, "radius", minimum=0)
    return np.asarray(_RIM ** ((np.arange(radius + 1) / max(radius, 1)) ** 2))


def ring_means(
    features: NDArray[np.float32], sites: NDArray[np.int32], rings: NDArray[np.int64], present: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean features of each ring of some windows, over the sites that have a spot with features.

    Parameters
    ----------
    features
        Features of all spots. ``(n_spots, n_features)``.
    sites, rings
        Rows of :class:`Windows` and the ring of each column. ``(n_windows, n_sites)`` and ``(n_sites,)``.
    present
        Whether each spot has features. ``(n_spots,)``.

    Returns
    -------
    Means, zero where a ring has none, ``(n_windows, n_rings, n_features)``; and how many spots they are of,
    ``(n_windows, n_rings)``.
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
    """Average features of the window of each spot, with the weights of :func:`default_ring_weights`.

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
    ``(n_spots, n_features)``.
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
    """Columns of each ring, as row numbers within the slice or -1; the layout; and the width of a ring."""
    itself = [np.arange(len(positions))]
    if len(positions) == 1:
        return [itself, *[[] for _ in range(radius)]], "irregular" if layout == "auto" else layout, 1.0
    tree = KDTree(positions)
    name = layout
    if layout == "auto":
        name = _likely_lattice(tree) if positions.shape[1] == 2 else "irregular"
    if name != "irregular":
        steps, share = _fit_lattice(tree, name)
        if layout != "auto" or share >= _IN_LINE:
            rings = _lattice_rings(tree, steps, radius, name)
            return [itself, *rings], name, float(np.linalg.norm(steps, axis=1).mean())
    unit = _spread(tree)
    return [itself, *_irregular_rings(tree, radius, unit)], "irregular", unit


def _spread(tree: KDTree) -> float:
    """Median distance to the sixth nearest other spot, or to the farthest where there are fewer."""
    k = min(7, tree.n)
    return float(np.median(tree.query(tree.data, k=[k])[0])) or 1.0


def _nearest_angles(tree: KDTree) -> tuple[NDArray[np.float64], float]:
    """Angles of the steps to the nearest spots, and the median distance to the nearest."""
    spacing = float(np.median(tree.query(tree.data, k=[2])[0])) or 1.0
    near = tree.query_pairs(1.2 * spacing, output_type="ndarray")
    offsets = tree.data[near[:, 1]] - tree.data[near[:, 0]]
    return np.arctan2(offsets[:, 1], offsets[:, 0]), spacing


def _likely_lattice(tree: KDTree) -> str:
    """Lattice in whose directions, up to a turn, the nearest spots lie."""
    angles, _ = _nearest_angles(tree)
    agreement = {name: abs(np.exp(1j * n * angles).sum()) for name, n in _DIRECTIONS.items()}
    return max(agreement, key=lambda name: agreement[name])


def _fit_lattice(tree: KDTree, name: str) -> tuple[NDArray[np.float64], float]:
    """Two steps of the lattice that fits best, ``(2, 2)``, and the share of steps from spots that meet a spot."""
    n_directions = _DIRECTIONS[name]
    angles, spacing = _nearest_angles(tree)
    turn = np.angle(np.exp(1j * n_directions * angles).sum()) / n_directions
    directions = turn + np.arange(2) * 2 * np.pi / n_directions
    steps = spacing * np.column_stack([np.cos(directions), np.sin(directions)])
    # The nearest spot underestimates the spacing where positions tremble; steps that meet a spot do not.
    for _ in range(2):
        steps = np.array([_mean_step(tree, step) for step in steps])
    every = [*steps, steps[1] - steps[0]] if name == "hexagonal" else list(steps)
    return steps, float(np.mean([_share_in_line(tree, step) for step in every]))


def _mean_step(tree: KDTree, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean way from a spot to the spot that lies a step away, over those that have one."""
    distances, found = tree.query(tree.data + step, distance_upper_bound=_REACH * np.linalg.norm(step))
    there = np.isfinite(distances)
    return (tree.data[found[there]] - tree.data[there]).mean(axis=0) if there.any() else step


def _share_in_line(tree: KDTree, step: NDArray[np.float64]) -> float:
    """Share of the spots with a spot about a step away that have it close to where it should be."""
    reach = 0.25 * np.linalg.norm(step)
    close, around = (
        np.isfinite(tree.query(tree.data + step, distance_upper_bound=limit)[0]).sum() for limit in (reach, 2 * reach)
    )
    return float(close / max(around, 0.5 * tree.n))


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
            distances, found = tree.query(tree.data + offset, distance_upper_bound=_REACH * spacing)
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
