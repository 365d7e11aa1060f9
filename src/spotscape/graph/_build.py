"""The spatial graph: which spots are neighbours, always inside one slice."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.graph._checks import as_positions, check_coincident, edge_rows, encode_slices, sort_spots
from spotscape.graph._defaults import default_n_neighbors
from spotscape.graph._edges import delaunay_edges, knn_edges, radius_edges

METHODS = ("knn", "radius", "delaunay")
BUILDER = "spotscape"
DEFAULT_RADIUS = 1.5


@dataclass(frozen=True, eq=False)
class SpatialGraph:
    """Neighbouring spots, with their distances and how they were found.

    Parameters
    ----------
    connectivities
        Symmetric binary matrix, float32, shape ``(n_spots, n_spots)``: 1 where two spots are neighbours, nothing
        stored elsewhere and on the diagonal.
    distances
        Euclidean distances of the neighbours in the unit of the coordinates, float64, with the same stored entries.
        Coincident neighbours are stored entries of value 0.
    params
        How the graph was built, in plain types.
    """

    connectivities: sparse.csr_matrix
    distances: sparse.csr_matrix
    params: dict[str, Any] = field(default_factory=dict)


def build_spatial_graph(
    coordinates: ArrayLike | pd.DataFrame,
    slices: ArrayLike | None = None,
    *,
    method: str = "knn",
    n_neighbors: int | None = None,
    radius: float | None = None,
) -> SpatialGraph:
    """Find the spatial neighbours of every spot inside its slice.

    Parameters
    ----------
    coordinates
        Positions of the spots, shape ``(n_spots, 2)`` or ``(n_spots, 3)``, in any unit.
    slices
        Slice of each spot, shape ``(n_spots,)``; codes or labels. ``None`` (the default) means one slice.
    method
        ``"knn"`` (the default: every spot has neighbours, whatever the density): the nearest spots, joined where
        either of the two is among the nearest of the other. ``"radius"``: all spots within a distance.
        ``"delaunay"``: spots whose Voronoi cells touch :cite:p:`Delaunay1934`.
    n_neighbors
        For ``"knn"``: number of nearest spots. ``None`` (the default) follows the size of each slice, see
        :func:`default_n_neighbors`, so that a slice has the same neighbours whichever slices stand beside it.
    radius
        A multiple of the median distance from a position to the nearest other position of the slice, so it has no
        unit. For ``"radius"``: the reach, by default 1.5, which on a hexagonal or square lattice takes the 6 or 8
        spots around. For ``"delaunay"``: longer edges, which a triangulation has along the outline of a section, are
        dropped; none by default.

    Returns
    -------
    The graph. Spots that have no other spot within ``radius`` have no neighbours.

    Raises
    ------
    ValueError
        If the coordinates or slices are unusable (see :func:`check_coordinates`), a slice has a single spot, a slice
        has too few spots for ``n_neighbors``, its spots cannot be triangulated, a radius reaches more than 1,000
        spots on average, or an argument does not belong to the method.

    Notes
    -----
    Ties are broken by position, so permuting the spots permutes the graph (coincident spots aside).
    """
    positions = as_positions(coordinates)
    codes, labels = encode_slices(slices, positions.shape[0])
    params = graph_parameters(positions, codes, method=method, n_neighbors=n_neighbors, radius=radius)
    counts = np.bincount(codes, minlength=len(labels))
    _check_sizes(counts, labels, n_neighbors)
    order = sort_spots(positions, codes)
    check_coincident(positions, codes, labels, order)

    edges = []
    for spots, label in zip(np.split(order, np.cumsum(counts)[:-1]), labels, strict=True):
        inside = positions[spots]
        if method == "knn":
            rows, cols = knn_edges(inside, n_neighbors or default_n_neighbors(spots.size))
        elif method == "radius":
            rows, cols = radius_edges(inside, params["radius"], label)
        else:
            rows, cols = delaunay_edges(inside, radius, label)
        spots = spots.astype(np.int32)
        edges.append((spots[rows], spots[cols]))
    rows, cols = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    connectivities = _join(rows, cols, positions.shape[0])
    return SpatialGraph(connectivities, _measure(connectivities, positions), params)


def normalize_adjacency(connectivities: sparse.csr_matrix) -> sparse.csr_matrix:
    r"""Add self-loops and normalise symmetrically, as graph convolutions need it :cite:p:`Kipf2017`.

    .. math::

        \hat A = \tilde D^{-1/2} (A + I)\, \tilde D^{-1/2}, \qquad \tilde D_{ii} = \sum_j (A + I)_{ij}

    Always on the full graph, so that a mini-batch of it has the weights of the full graph.

    Parameters
    ----------
    connectivities
        :math:`A`: sparse symmetric matrix without negative values and with an empty diagonal, shape
        ``(n_spots, n_spots)``.

    Returns
    -------
    :math:`\hat A` as float32 in compressed sparse row format with sorted indices, shape ``(n_spots, n_spots)``.

    Raises
    ------
    ValueError
        If the matrix is not sparse and square, or has self-loops already, which would count twice.
    """
    if not sparse.issparse(connectivities) or connectivities.ndim != 2 or len(set(connectivities.shape)) != 1:
        raise ValueError(f"The connectivities have shape {np.shape(connectivities)}; pass a sparse square matrix.")
    if connectivities.diagonal().any():
        raise ValueError("The connectivities have self-loops, which are added here; pass them with an empty diagonal.")
    graph = sparse.csr_matrix(connectivities)
    graph = (graph + sparse.identity(graph.shape[0], dtype=graph.dtype, format="csr")).tocsr()
    graph.sort_indices()
    scale = 1 / np.sqrt(np.asarray(graph.sum(axis=1, dtype=np.float64)).ravel())
    # One factor at a time: the product over an edge then needs one temporary array, not three.
    weights = np.repeat(scale, np.diff(graph.indptr))
    weights *= scale[graph.indices]
    weights *= graph.data
    return sparse.csr_matrix((weights.astype(np.float32), graph.indices, graph.indptr), shape=graph.shape)


def graph_parameters(
    positions: NDArray[np.float64],
    codes: NDArray[np.int32],
    *,
    method: str,
    n_neighbors: int | None,
    radius: float | None,
) -> dict[str, Any]:
    """Check the settings and return what identifies the graph they give on these spots, in plain types."""
    check_choice(method, METHODS, "method")
    if n_neighbors is not None:
        if method != "knn":
            raise ValueError(f'`n_neighbors` is {n_neighbors}, but "{method}" does not use it; leave it out.')
        check_integer(n_neighbors, "n_neighbors", minimum=1)
    if radius is not None:
        if method == "knn":
            raise ValueError(f'`radius` is {radius}, but "knn" does not use it; leave it out.')
        check_number(radius, "radius")
        if radius <= 0:
            raise ValueError(f"`radius` is {radius}; it must be above 0.")
    elif method == "radius":
        radius = DEFAULT_RADIUS
    digest = hashlib.blake2b(f"{positions.shape}".encode(), digest_size=16)
    digest.update(positions.astype("<f8", copy=False).tobytes())
    digest.update(codes.astype("<i4", copy=False).tobytes())
    return {
        "builder": BUILDER,
        "method": method,
        "n_neighbors": None if n_neighbors is None else int(n_neighbors),
        "radius": None if radius is None else float(radius),
        "fingerprint": digest.hexdigest(),
    }


def _check_sizes(counts: NDArray[np.intp], labels: list[str], n_neighbors: int | None) -> None:
    smallest = int(np.argmin(counts))
    if counts[smallest] == 1:
        raise ValueError(f"There is a single spot in {labels[smallest]}, which has no neighbours; remove it.")
    if n_neighbors is not None and n_neighbors > counts[smallest] - 1:
        raise ValueError(
            f"`n_neighbors` is {n_neighbors}, but there are only {counts[smallest]} spots in {labels[smallest]}; pass "
            f"at most {counts[smallest] - 1}, leave it out so that it follows the size of each slice, or remove the "
            "slice."
        )


def _join(rows: NDArray[np.int32], cols: NDArray[np.int32], n_spots: int) -> sparse.csr_matrix:
    """Make the symmetric binary matrix whose entries are these edges and their reverse."""
    ones = np.ones(rows.size, dtype=np.float32)
    one_way = sparse.csr_matrix((ones, (rows, cols)), shape=(n_spots, n_spots))
    graph = one_way.maximum(one_way.T).tocsr()
    graph.sort_indices()
    return graph


def _measure(connectivities: sparse.csr_matrix, positions: NDArray[np.float64]) -> sparse.csr_matrix:
    """Give every edge its length, keeping those of length 0 as stored entries."""
    rows = edge_rows(connectivities)
    squares = np.zeros(rows.size)
    for axis in positions.T:
        step = axis[rows]
        step -= axis[connectivities.indices]
        step *= step
        squares += step
    lengths = np.sqrt(squares, out=squares)
    return sparse.csr_matrix(
        (lengths, connectivities.indices.copy(), connectivities.indptr.copy()), shape=connectivities.shape
    )
