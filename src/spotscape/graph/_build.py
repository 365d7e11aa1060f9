"""Spatial graphs: the neighbours of each spot within its slice."""

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
    """Spatial graph: neighbouring spots, their distances and how they were found.

    Parameters
    ----------
    connectivities
        Symmetric binary matrix, float32, with an empty diagonal. 1 if two spots are neighbours. ``(n_spots, n_spots)``.
    distances
        Euclidean distances of the neighbours in the unit of the coordinates, float64, with the same stored entries.
        Neighbours at the same position have a stored entry of 0. ``(n_spots, n_spots)``.
    params
        How the graph was built, in plain types.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> graph = sps.graph.build_spatial_graph(np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]]), n_neighbors=1)
    >>> graph.connectivities.toarray()
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    >>> graph.distances.toarray()
    array([[0., 1., 0.],
           [1., 0., 2.],
           [0., 2., 0.]])
    >>> graph.params["method"], graph.params["n_neighbors"]
    ('knn', 1)
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
    """Find the spatial neighbours of each spot within its slice.

    Parameters
    ----------
    coordinates
        Coordinates of the spots, in any unit. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    slices
        Slice of each spot, as codes or labels. ``None``: all spots belong to one slice. ``(n_spots,)``.
    method
        ``"knn"``: the nearest spots. Two spots are neighbours if one is among the nearest spots of the other. This is
        the default, because each spot has neighbours at any density. ``"radius"``: all spots within a distance.
        ``"delaunay"``: spots whose Voronoi cells touch :cite:p:`Delaunay1934`.
    n_neighbors
        Number of nearest spots for ``"knn"``. ``None``: chosen from the number of spots of each slice by
        :func:`default_n_neighbors`, so the graph of a slice does not depend on the other slices.
    radius
        Distance as a multiple of the median distance to the nearest other position in the slice. For ``"radius"`` the
        default is 1.5, which gives the 6 or 8 adjacent spots on a hexagonal or square lattice. For ``"delaunay"``,
        longer edges are removed, such as those along the outline of a section; the default is to remove none.

    Returns
    -------
    The graph. Spots without another spot within ``radius`` have no neighbours. Ties are broken by position, so
    permuting the spots permutes the graph, except for spots at the same position.

    Raises
    ------
    ValueError
        If the coordinates or slices cannot be used (see :func:`check_coordinates`), a slice has one spot only or too
        few for ``n_neighbors``, its spots cannot be triangulated, a radius gives more than 1,000 neighbours on average,
        or an argument does not apply to the method.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> graph = sps.graph.build_spatial_graph(adata.obsm["spatial"], method="radius")
    >>> graph.connectivities.shape, int(graph.connectivities.sum(axis=1).max())
    ((60, 60), 6)
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
    r"""Add self-loops and normalise symmetrically, for graph convolutions :cite:p:`Kipf2017`.

    .. math::

        \hat A = \tilde D^{-1/2} (A + I)\, \tilde D^{-1/2}, \qquad \tilde D_{ii} = \sum_j (A + I)_{ij}

    Mini-batches take their rows from the normalised full graph, so they have the same weights.

    Parameters
    ----------
    connectivities
        :math:`A`, a sparse symmetric matrix without negative values and with an empty diagonal. ``(n_spots, n_spots)``.

    Returns
    -------
    :math:`\hat A`, float32 CSR with sorted indices. ``(n_spots, n_spots)``.

    Raises
    ------
    ValueError
        If the matrix is not sparse and square, or already has self-loops.

    Examples
    --------
    >>> from scipy import sparse
    >>> import spotscape as sps
    >>> sps.graph.normalize_adjacency(sparse.csr_matrix([[0, 1, 0], [1, 0, 1], [0, 1, 0]])).toarray()
    array([[0.5   , 0.4082, 0.    ],
           [0.4082, 0.3333, 0.4082],
           [0.    , 0.4082, 0.5   ]], dtype=float32)
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
    """Check the parameters of a graph; return them in plain types with a fingerprint of the coordinates and slices."""
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
    """Symmetric binary matrix with the given edges."""
    ones = np.ones(rows.size, dtype=np.float32)
    one_way = sparse.csr_matrix((ones, (rows, cols)), shape=(n_spots, n_spots))
    graph = one_way.maximum(one_way.T).tocsr()
    graph.sort_indices()
    return graph


def _measure(connectivities: sparse.csr_matrix, positions: NDArray[np.float64]) -> sparse.csr_matrix:
    """Length of each edge. Edges of length 0 remain stored entries."""
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
