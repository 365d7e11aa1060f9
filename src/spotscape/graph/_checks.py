"""Checks of coordinates, slices and graphs from other tools."""

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from spotscape._places import ROWS, Places
from spotscape._slices import name_of_slice

# Squares of more are infinite.
_LARGEST_POSITION = 1e150


def check_coordinates(coordinates: ArrayLike | pd.DataFrame, slices: ArrayLike | None = None) -> NDArray[np.float64]:
    """Check the coordinates of the spots, and convert them to an array.

    Parameters
    ----------
    coordinates
        Coordinates of the spots, in any unit, as an array or a data frame. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    slices
        Slice of each spot, as codes or labels. ``None``: all spots belong to one slice. ``(n_spots,)``.

    Returns
    -------
    Coordinates as float64. ``(n_spots, 2)`` or ``(n_spots, 3)``.

    Raises
    ------
    ValueError
        If the coordinates are not numbers, not finite, or do not have 2 or 3 columns; if the number of slices differs,
        or some are missing; or if more than half of the spots of a slice share their position with another spot. In
        that case several sections probably overlap in one coordinate system, and their slices were not given.

    Warns
    -----
    UserWarning
        If fewer spots share their position. They remain distinct spots at distance 0.

    Examples
    --------
    >>> import spotscape as sps
    >>> sps.graph.check_coordinates([[0, 0], [0, 100]])
    array([[  0.,   0.],
           [  0., 100.]])
    """
    positions = as_positions(coordinates)
    codes, labels = encode_slices(slices, positions.shape[0])
    check_coincident(positions, codes, labels, sort_spots(positions, codes))
    return positions


def validate_graph(
    connectivities: Any, slices: ArrayLike | None = None, *, weighted: bool = False
) -> sparse.csr_matrix:
    """Check a graph from another tool, and make it symmetric.

    Parameters
    ----------
    connectivities
        Sparse matrix. Each value above 0 is an edge. ``(n_spots, n_spots)``.
    slices
        Slice of each spot, as codes or labels. ``None``: all spots belong to one slice. ``(n_spots,)``.
    weighted
        Whether the weights of the edges are kept. Otherwise all are 1.

    Returns
    -------
    Symmetric matrix, float32 CSR, without diagonal and with sorted indices. An edge in one direction becomes an edge in
    both; of two weights, the larger is kept. The input is not changed. ``(n_spots, n_spots)``.

    Raises
    ------
    ValueError
        If the graph is not sparse, not square, or does not match ``slices``; if it has negative or non-finite weights;
        or if it has edges between two slices.

    Examples
    --------
    >>> from scipy import sparse
    >>> import spotscape as sps
    >>> sps.graph.validate_graph(sparse.csr_matrix([[0, 0.7, 0], [0, 0, 0], [0.2, 0, 0]])).toarray()
    array([[0., 1., 1.],
           [1., 0., 0.],
           [1., 0., 0.]], dtype=float32)
    """
    if not sparse.issparse(connectivities):
        raise ValueError(
            f"The spatial graph is a {type(connectivities).__name__}; pass a sparse matrix, for example "
            "`scipy.sparse.csr_matrix(graph)`."
        )
    n_spots = connectivities.shape[0]
    if connectivities.ndim != 2 or connectivities.shape[1] != n_spots:
        raise ValueError(f"The spatial graph has shape {connectivities.shape}; it must be square, spots by spots.")
    codes, _ = encode_slices(slices, n_spots)
    graph = sparse.csr_matrix(connectivities, copy=True)
    graph.sum_duplicates()
    n_bad = int(np.count_nonzero(~np.isfinite(graph.data)))
    if n_bad:
        raise ValueError(f"The spatial graph has {n_bad} NaN or infinite weights; remove these edges.")
    n_bad = int(np.count_nonzero(graph.data < 0))
    if n_bad:
        raise ValueError(f"The spatial graph has {n_bad} negative weights; connectivities must not be negative.")
    rows = edge_rows(graph)
    # A stored zero is no edge, and self-loops are the business of whoever normalises the graph.
    graph.data[rows == graph.indices] = 0
    graph.eliminate_zeros()
    weights = graph.data.astype(np.float32) if weighted else np.ones(graph.nnz, dtype=np.float32)
    graph = sparse.csr_matrix((weights, graph.indices, graph.indptr), shape=graph.shape)
    graph.sort_indices()

    # Nearest neighbours are not mutual, and squidpy leaves them so: an edge in either direction joins the two spots.
    graph = graph.maximum(graph.T).tocsr()
    graph.sort_indices()
    n_bad = int(np.count_nonzero(codes[edge_rows(graph)] != codes[graph.indices]))
    if n_bad:
        raise ValueError(
            f"The spatial graph has {n_bad // 2} edges that join two slices; build it inside each slice, for example "
            "with `spotscape.pp.spatial_neighbors(adata, slice_key=...)` or "
            "`squidpy.gr.spatial_neighbors(adata, library_key=...)`."
        )
    return graph


def as_positions(coordinates: ArrayLike | pd.DataFrame, places: Places = ROWS) -> NDArray[np.float64]:
    """Convert coordinates to a finite float64 array with 2 or 3 columns, or raise ``ValueError``."""
    array = np.asarray(coordinates)
    if array.dtype.kind == "O" and not any(isinstance(value, str) for value in array.flat):
        # Data frames with mixed number types and lists of numbers arrive as objects; text and None stay an error.
        with suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"The coordinates are of type {array.dtype}; they must be numbers.")
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise ValueError(f"The coordinates have shape {array.shape}; they must have one row a spot and 2 or 3 columns.")
    if array.shape[0] == 0:
        raise ValueError("The coordinates are empty; there is no spot to connect.")
    largest = np.abs(array[np.isfinite(array)].astype(np.float64)).max(initial=0)
    if largest > _LARGEST_POSITION:
        raise ValueError(f"The largest coordinate is {largest:g}, whose distances are not numbers; pass the positions.")
    # Adding 0 makes -0.0 and 0.0 one position, in the comparison of bytes too.
    positions = np.ascontiguousarray(array, dtype=np.float64) + 0.0
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if bad.size:
        raise ValueError(
            f"The coordinates of {bad.size} spots are NaN or infinite (the first is {places.spot(bad[0])}); remove "
            "these spots or give them a position."
        )
    return positions


def encode_slices(slices: ArrayLike | None, n_spots: int, places: Places = ROWS) -> tuple[NDArray[np.int32], list[str]]:
    """Slice code of each spot, in the order of first appearance, and the name of each slice for messages."""
    if slices is None:
        return np.zeros(n_spots, dtype=np.int32), ["the section"]
    values = slices if isinstance(slices, pd.Series | pd.Categorical | pd.Index) else np.asarray(slices)
    if values.ndim != 1 or len(values) != n_spots:
        raise ValueError(f"The slices have shape {values.shape} for {n_spots} spots; pass one slice label a spot.")
    codes, labels = pd.factorize(values)
    missing = np.flatnonzero(codes < 0)
    if missing.size:
        raise ValueError(
            f"The slice of {missing.size} spots is missing (the first is {places.spot(missing[0])}); remove these "
            "spots or give them a slice."
        )
    same, names = pd.factorize(np.array([name_of_slice(label) for label in labels], dtype=object))
    return same[codes].astype(np.int32), [f"slice '{name}'" for name in names]


def sort_spots(positions: NDArray[np.float64], codes: NDArray[np.int32]) -> NDArray[np.intp]:
    """Order of the spots by slice and position, which does not depend on the order of the input."""
    return np.lexsort((*positions.T[::-1], codes))


def check_coincident(
    positions: NDArray[np.float64], codes: NDArray[np.int32], labels: list[str], order: NDArray[np.intp]
) -> None:
    """Raise if most spots of a slice share their position with another spot, and warn if some do."""
    same = (np.diff(codes[order]) == 0) & (positions[order[1:]] == positions[order[:-1]]).all(axis=1)
    shared = np.zeros(order.size, dtype=bool)
    shared[1:] |= same
    shared[:-1] |= same
    n_shared = np.bincount(codes[order[shared]], minlength=len(labels))
    n_spots = np.bincount(codes, minlength=len(labels))
    worst = int(np.argmax(n_shared / n_spots))
    if 2 * n_shared[worst] > n_spots[worst]:
        raise ValueError(
            f"In {labels[worst]}, {n_shared[worst]} of {n_spots[worst]} spots share their position with another spot; "
            "several sections probably lie in one coordinate system, so pass the column that tells them apart as "
            "`slice_key`."
        )
    if n_shared.any():
        warnings.warn(
            f"{n_shared.sum()} of {order.size} spots share their position with another spot of their slice; they are "
            "kept as neighbours at distance 0.",
            UserWarning,
            stacklevel=3,
        )


def edge_rows(graph: sparse.csr_matrix) -> NDArray[np.int32]:
    """Row of each stored entry, in storage order."""
    return np.repeat(np.arange(graph.shape[0], dtype=np.int32), np.diff(graph.indptr))
