"""Edges within one slice: k nearest neighbours, a radius, or a Delaunay triangulation.

Each function takes the positions of one slice in sorted order, so that ties do not depend on the order of the input,
and returns the two ends of each edge. An edge may be returned once or in both directions.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, KDTree, QhullError

# A lattice has many neighbours at exactly the radius; rounding must not tell them apart.
RADIUS_SLACK = 1e-6
#: Fewer spots may well be all within reach of each other.
_MIN_SPOTS_NOT_ALL_JOINED = 20
MAX_MEAN_NEIGHBORS = 1000
QUERY_ROWS = 100_000

Positions = NDArray[np.float64]
Edges = tuple[NDArray[np.int32], NDArray[np.int32]]


def knn_edges(positions: Positions, n_neighbors: int) -> Edges:
    """Edges from each spot to its ``n_neighbors`` nearest other spots."""
    n_spots = positions.shape[0]
    tree = _tree(positions)
    neighbors = np.empty((n_spots, n_neighbors), dtype=np.int32)
    for start in range(0, n_spots, QUERY_ROWS):
        stop = min(start + QUERY_ROWS, n_spots)
        _, found = tree.query(positions[start:stop], k=n_neighbors + 1, workers=-1)
        # The spot itself need not come first, nor at all, among spots at the same position.
        drop = found == np.arange(start, stop)[:, None]
        drop[~drop.any(axis=1), -1] = True
        neighbors[start:stop] = found[~drop].reshape(stop - start, n_neighbors)
    return np.repeat(np.arange(n_spots, dtype=np.int32), n_neighbors), neighbors.ravel()


def radius_edges(positions: Positions, radius: float, slice_name: str) -> Edges:
    """Edges between spots that are at most ``radius`` median nearest-neighbour distances apart."""
    n_spots = positions.shape[0]
    tree = _tree(positions)
    reach = _reach(positions, radius)
    # Counted before anything is stored: a radius in micrometres by mistake would fill the memory.
    mean_neighbors = tree.count_neighbors(tree, reach) / n_spots - 1
    if mean_neighbors > MAX_MEAN_NEIGHBORS:
        raise ValueError(
            f"`radius` is {radius} and gives a spot of {slice_name} {mean_neighbors:.0f} neighbours on average; it is "
            "a multiple of the median nearest-neighbour distance, not a length: pass a smaller one, for example 1.5."
        )
    pairs = tree.query_pairs(reach, output_type="ndarray").astype(np.int32)
    if not len(pairs) and n_spots > 1:
        raise ValueError(
            f"`radius` is {radius} and joins no spots of {slice_name}; it is a multiple of the median "
            "nearest-neighbour distance: pass a larger one, for example 1.5."
        )
    if len(pairs) == n_spots * (n_spots - 1) // 2 and n_spots >= _MIN_SPOTS_NOT_ALL_JOINED:
        raise ValueError(
            f"`radius` is {radius} and joins every spot of {slice_name} with all {n_spots - 1} others, so there "
            "are no neighbourhoods; it is a multiple of the median nearest-neighbour distance: pass a smaller one."
        )
    return pairs[:, 0], pairs[:, 1]


def delaunay_edges(positions: Positions, radius: float | None, slice_name: str) -> Edges:
    """Edges of a Delaunay triangulation that are at most ``radius`` median nearest-neighbour distances long."""
    n_spots, n_dimensions = positions.shape
    advice = 'use "knn" or "radius"'
    if n_spots < n_dimensions + 1:
        raise ValueError(
            f"{_capital(slice_name)} has {n_spots} spots; a Delaunay triangulation in {n_dimensions} dimensions needs "
            f"at least {n_dimensions + 1}: {advice}."
        )
    n_repeated = int((positions[1:] == positions[:-1]).all(axis=1).sum())
    if n_repeated:
        raise ValueError(
            f"{_capital(slice_name)} has {n_repeated} spots at a position that another spot has already, which a "
            f"Delaunay triangulation leaves out: {advice}."
        )
    # Moved to the origin, because large offsets cost the triangulation its precision.
    centred = positions - positions.mean(axis=0)
    spread = np.linalg.svd(centred, compute_uv=False)
    flat = ValueError(
        f"The spots of {slice_name} lie on one {'line' if n_dimensions == 2 else 'plane'}, so there is no Delaunay "
        f"triangulation in {n_dimensions} dimensions: "
        + (advice if n_dimensions == 2 else f"pass two coordinates, or {advice}")
        + "."
    )
    if spread[-1] <= 1e-9 * spread[0]:
        raise flat
    try:
        triangulation = Delaunay(centred)
    except QhullError:
        raise flat from None
    if triangulation.coplanar.size:
        raise ValueError(
            f"{_capital(slice_name)} has {len(triangulation.coplanar)} spots too close to another spot for a Delaunay "
            f"triangulation: {advice}."
        )
    starts, cols = triangulation.vertex_neighbor_vertices
    rows = np.repeat(np.arange(n_spots, dtype=np.int32), np.diff(starts))
    if radius is None:
        return rows, cols
    keep = np.linalg.norm(positions[rows] - positions[cols], axis=1) <= _reach(positions, radius)
    return rows[keep], cols[keep]


def _tree(positions: Positions) -> KDTree:
    # Halving cells instead of points: faster to build, and not slowed down by coincident spots and lattices.
    return KDTree(positions, balanced_tree=False)


def _reach(positions: Positions, radius: float) -> float:
    """Convert a multiple of the median distance to the nearest other position into a length."""
    distinct = positions[np.append(True, (positions[1:] != positions[:-1]).any(axis=1))]
    nearest, _ = _tree(distinct).query(distinct, k=2, workers=-1)
    return float(radius * np.median(nearest[:, 1]) * (1 + RADIUS_SLACK))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
