"""Rows of an expression matrix of any kind, in memory or in a file, read block by block."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from spotscape._bars import progress_bar

# A CSR or CSC matrix or array of scipy (which has no types of its own), a dense numpy array, or one of those in a
# file: a dask array, or what AnnData holds in backed mode. Spots by genes.
Matrix = Any

# Stored values in a block: large enough that Python costs nothing, small enough for a few of them in any memory.
_VALUES_IN_BLOCK = 1 << 20
# What a spot costs beyond its values: it has a row of principal components.
_VALUES_OF_A_SPOT = 32
# Chunks of a dask array are read together up to this many entries of a block, stored or not.
_SPARSENESS = 8
_READERS = min(4, os.cpu_count() or 1)


@dataclass(eq=False)
class RowBlocks:
    """Rows of a matrix in canonical CSR format, in blocks that are read in advance.

    Parameters
    ----------
    shape
        ``(n_spots, n_genes)``.
    bounds
        First row of each block, and ``n_spots``. ``(n_blocks + 1,)``.
    read_span
        Function that reads the rows from a start (included) to a stop (excluded).
    source
        The matrix.
    is_lazy
        Whether the rows are read from a file.
    """

    shape: tuple[int, int]
    bounds: np.ndarray
    read_span: Callable[[int, int], sparse.csr_matrix]
    source: Matrix
    is_lazy: bool

    def __iter__(self) -> Iterator[tuple[slice, sparse.csr_matrix]]:
        """Yield the rows of each block as a slice, and the block, in order."""
        for where, (block,) in self.map(lambda where, block: (block,)):
            yield where, block

    def map(self, function: Callable[[slice, sparse.csr_matrix], Any]) -> Iterator[tuple[slice, Any]]:
        """Yield the result of a function for each block, in order. Blocks are processed in parallel.

        Parameters
        ----------
        function
            Takes the rows of the block, as a slice, and the block. It must not have side effects.

        Yields
        ------
        The rows of the block, as a slice, and the result of the function.
        """
        spans = list(pairwise(self.bounds.tolist()))

        def work(start: int, stop: int) -> tuple[slice, Any]:
            return slice(start, stop), function(slice(start, stop), self.read_span(start, stop))

        if len(spans) == 1:
            yield work(*spans[0])
            return
        # Small products on several threads each, in several threads, wait for each other more than they work.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(_READERS) as pool:
            ahead: deque[Future] = deque()
            # Expression in memory is read fast.
            bar = progress_bar(
                spans, desc="Reading expression", unit="block", leave=False, delay=2, hidden=not self.is_lazy
            )
            for span in bar:
                ahead.append(pool.submit(work, *span))
                if len(ahead) > _READERS:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def mapped(self, function: Callable[[slice, sparse.csr_matrix], sparse.csr_matrix], n_columns: int) -> "RowBlocks":
        """Row blocks that are the results of a function, which is applied whenever a block is read.

        Parameters
        ----------
        function
            As in :meth:`map`. It returns the same number of rows.
        n_columns
            Number of columns of the result.

        Returns
        -------
        The row blocks.
        """

        def read_span(start: int, stop: int) -> sparse.csr_matrix:
            return function(slice(start, stop), self.read_span(start, stop))

        return replace(self, shape=(self.shape[0], n_columns), read_span=read_span)

    def read(self, rows: np.ndarray) -> sparse.csr_matrix:
        """Rows of these numbers, in this order; blocks without any of them are left unread.

        Parameters
        ----------
        rows
            Row numbers, shape ``(n_rows,)``.

        Returns
        -------
        CSR matrix of shape ``(n_rows, n_genes)``.
        """
        order = np.argsort(rows, kind="stable")
        wanted = np.asarray(rows)[order]
        pieces = []
        for first, last in pairwise(np.searchsorted(wanted, self.bounds)):
            if first < last:
                here = wanted[first:last]
                pieces.append(self.read_span(int(here[0]), int(here[-1]) + 1)[here - here[0]])
        return sparse.vstack(pieces, format="csr")[np.argsort(order)]


def row_blocks(matrix: Matrix) -> RowBlocks:
    """Check the format of a matrix, and divide it into row blocks.

    Parameters
    ----------
    matrix
        Expression: scipy CSR or CSC, a numpy array, a dask array of CSR or numpy blocks, the CSR or dense matrix of a
        backed AnnData, or row blocks, which are returned unchanged. ``(n_spots, n_genes)``.

    Returns
    -------
    The row blocks. Nothing is read yet.

    Raises
    ------
    TypeError
        If the matrix has another format or does not contain numbers.
    ValueError
        If the matrix has no spots or no genes, or is stored in a file as CSC.
    """
    if isinstance(matrix, RowBlocks):
        return matrix
    kind = _check_format(matrix)
    read: Callable[[int, int], sparse.csr_matrix] = partial(_read_slice, matrix)
    if kind == "sparse":
        rows = sparse.csr_matrix(matrix)
        bounds, read = _cuts(rows.indptr), partial(_read_csr, rows)
    elif kind == "dask":
        bounds, read = _grouped_chunks(matrix), _reader_of_dask(matrix)
    elif kind == "sparse file":
        bounds = _cuts(matrix.group["indptr"][:])
    else:
        bounds = _cuts(np.arange(matrix.shape[0] + 1) * matrix.shape[1])
    is_lazy = kind not in ("sparse", "dense")
    n_spots, n_genes = map(int, matrix.shape)
    return RowBlocks((n_spots, n_genes), bounds, read, matrix, is_lazy)


def _check_format(matrix: Matrix) -> str:
    """Check the format, shape and type of a matrix, and return the kind of its storage."""
    kind = _recognise_format(matrix)
    if len(matrix.shape) != 2:
        raise ValueError(f"The expression has {len(matrix.shape)} dimension(s); pass a matrix of spots by genes.")
    n_spots, n_genes = matrix.shape
    if n_spots == 0 or n_genes == 0:
        raise ValueError(f"The expression has {n_spots} spots and {n_genes} genes; pass at least one of each.")
    if matrix.dtype.kind not in "iuf":
        raise TypeError(f"The expression has dtype {matrix.dtype}; pass integers or floating-point numbers.")
    return kind


def _recognise_format(matrix: Matrix) -> str:
    if sparse.issparse(matrix):
        if matrix.format not in ("csr", "csc"):
            raise TypeError(f"The expression is a sparse {matrix.format.upper()} matrix; convert it with `.tocsr()`.")
        return "sparse"
    if isinstance(matrix, np.ndarray):
        return "dense"
    # The libraries that read from files are not imported to find out that something else was passed.
    library = type(matrix).__module__.partition(".")[0]
    stored_as = getattr(getattr(matrix, "_meta", matrix), "format", "dense")
    if stored_as == "csc":
        raise ValueError(
            "The expression is kept in a file gene by gene (CSC), from which some spots cannot be read by themselves; "
            "write it to the file as CSR, or load it with `adata.to_memory()`."
        )
    if hasattr(matrix, "dask") and hasattr(matrix, "chunks"):
        if np.isnan(matrix.shape).any():
            raise ValueError("The dask array does not know its shape; call `.compute_chunk_sizes()` on it first.")
        return "dask"
    if library == "anndata" and stored_as == "csr" and hasattr(matrix, "group"):
        return "sparse file"
    if library in ("h5py", "zarr") and hasattr(matrix, "dtype"):
        return "dense file"
    raise TypeError(
        f"The expression is a {type(matrix).__name__}; pass a scipy CSR or CSC matrix, a numpy array, or a dask array."
    )


def _cuts(indptr: np.ndarray) -> np.ndarray:
    """First row of each block, from the number of values stored before each row."""
    cost = np.asarray(indptr, dtype=np.int64) + _VALUES_OF_A_SPOT * np.arange(len(indptr))
    cuts = np.searchsorted(cost, np.arange(_VALUES_IN_BLOCK, cost[-1], _VALUES_IN_BLOCK))
    return np.unique(np.concatenate([[0], cuts, [len(indptr) - 1]]))


def _canonical(rows: Any) -> sparse.csr_matrix:
    """CSR in which each entry is stored once. Otherwise each part of an entry would get its own logarithm."""
    result = sparse.csr_matrix(_with_native_type(rows))
    if not result.has_canonical_format:
        result = result.copy()
        result.sum_duplicates()
    return result


def _with_native_type(rows: Any) -> Any:
    """Values in a type that scipy has: half precision and the byte order of other machines are converted."""
    if rows.dtype == np.float16:
        return rows.astype(np.float32)
    return rows if rows.dtype.isnative else rows.astype(rows.dtype.newbyteorder("="))


def _read_csr(matrix: sparse.csr_matrix, start: int, stop: int) -> sparse.csr_matrix:
    # Slicing would copy the values.
    indptr = matrix.indptr[start : stop + 1]
    stored = slice(indptr[0], indptr[-1])
    values = (matrix.data[stored], matrix.indices[stored], indptr - indptr[0])
    return _canonical(sparse.csr_matrix(values, shape=(stop - start, matrix.shape[1])))


def _read_slice(matrix: Matrix, start: int, stop: int) -> sparse.csr_matrix:
    return _canonical(matrix[start:stop])


def _grouped_chunks(array: Any) -> np.ndarray:
    """Rows at which blocks begin, all of them at chunks of the array, so that no chunk is read twice in a pass."""
    ends = np.cumsum(array.chunks[0])
    at_once = max(1, _SPARSENESS * _VALUES_IN_BLOCK // array.shape[1])
    bounds = [0]
    for end, following in zip(ends, [*ends[1:], np.inf], strict=True):
        if end > bounds[-1] and following - bounds[-1] > at_once:
            bounds.append(int(end))
    return np.array(bounds)


def _reader_of_dask(array: Any) -> Callable[[int, int], sparse.csr_matrix]:
    import dask

    ends = np.cumsum(array.chunks[0])
    chunks = array.to_delayed(optimize_graph=False)

    def read(start: int, stop: int) -> sparse.csr_matrix:
        first, last = np.searchsorted(ends, [start, stop - 1], side="right")
        parts = dask.compute(*chunks[first : last + 1].tolist())
        parts = [[_with_native_type(part) for part in row] for row in parts]
        rows = [row[0] if len(row) == 1 else sparse.hstack([sparse.csr_matrix(part) for part in row]) for row in parts]
        whole = sparse.vstack([sparse.csr_matrix(row) for row in rows], format="csr")
        before = int(ends[first - 1]) if first else 0
        return _canonical(whole[start - before : stop - before])

    return read
