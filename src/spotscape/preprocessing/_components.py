"""Principal components of a sparse matrix, centred without making it dense."""

import warnings

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from spotscape.preprocessing._row_blocks import RowBlocks
from spotscape.preprocessing._subsample import evenly_spaced_rows

# Up to this many genes (or spots) the exact decomposition of a small matrix is faster than an iterative one.
_EXACT_SIZE = 1000
# An iterative decomposition reads its matrix some hundred times, so that it has to be in memory.
_SPOTS_FOR_AXES = 200_000
_BLOCK = 1024


def principal_axes(scaled: RowBlocks, n_components: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal axes of a matrix, which is centred implicitly.

    They are computed from all rows if there are up to 1,000 columns, and from at most 200,000 evenly spaced rows
    otherwise.

    Parameters
    ----------
    scaled
        Rows of a matrix, which are read once. ``(n_spots, n_genes)``.
    n_components
        Number of axes, :math:`k`.

    Returns
    -------
    Axes ``(n_genes, k)`` and variances ``(k,)`` in descending order, and the mean of each column over all rows,
    ``(n_genes,)``.
    """
    n_spots, n_genes = scaled.shape
    if n_genes <= min(n_spots, _EXACT_SIZE):
        gram, mean = _gram(scaled)
        strength, axes = _largest(gram / n_spots - np.outer(mean, mean), n_components)
    else:
        sample, mean = _sample(scaled)
        strength, axes = _axes_in_memory(sample, n_components)
    order = np.argsort(-strength, kind="stable")
    order = order[strength[order] > 1e-9 * max(strength.max(), 1e-12)]
    if len(order) == 0:
        raise ValueError("No selected gene varies between spots; pass expression that differs between spots.")
    if len(order) < n_components:
        warnings.warn(
            f"The expression has only {len(order)} independent components, not {n_components}; these are used.",
            UserWarning,
            stacklevel=4,
        )
    strength, axes = strength[order], axes[:, order]
    axes = axes / np.linalg.norm(axes, axis=0)
    largest = np.abs(axes).argmax(axis=0)
    return axes * np.sign(axes[largest, np.arange(len(order))]), strength, mean


def _axes_in_memory(scaled: sparse.csr_matrix, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    n_spots, n_genes = scaled.shape
    mean = np.asarray(scaled.mean(axis=0)).ravel()
    if n_spots <= _EXACT_SIZE:
        dense = scaled.toarray() - mean
        strength, spots = _largest(dense @ dense.T / n_spots, n_components)
        return strength, dense.T @ spots
    # The transpose is a view, with which the product is as fast as with a copy in the other order.
    transposed = scaled.T
    operator = LinearOperator(
        (n_genes, n_genes),
        matvec=lambda v: (transposed @ (scaled @ v.ravel())) / n_spots - mean * (mean @ v.ravel()),
        dtype=np.float64,
    )
    start = np.random.default_rng(0).standard_normal(n_genes)
    return eigsh(operator, k=n_components, v0=start, ncv=2 * n_components + 20, tol=1e-6)


def _gram(rows: RowBlocks) -> tuple[np.ndarray, np.ndarray]:
    """``X.T @ X``, computed from dense blocks because that is faster, and the means of the columns."""
    n_spots, n_genes = rows.shape

    def products(_: slice, block: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        result, total = np.zeros((n_genes, n_genes)), np.zeros(n_genes)
        for start in range(0, block.shape[0], _BLOCK):
            dense = block[start : start + _BLOCK].toarray()
            result += dense.T @ dense
            total += dense.sum(axis=0)
        return result, total

    gram, total = np.zeros((n_genes, n_genes)), np.zeros(n_genes)
    for _, (block_gram, block_total) in rows.map(products):
        gram += block_gram
        total += block_total
    return gram, total / n_spots


def _sample(rows: RowBlocks) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Evenly spaced rows of the matrix, and the means of the columns over all rows."""
    n_spots, n_genes = rows.shape
    chosen = evenly_spaced_rows(n_spots, _SPOTS_FOR_AXES)
    kept, total = [], np.zeros(n_genes)
    for where, block in rows:
        first, last = np.searchsorted(chosen, [where.start, where.stop])
        kept.append(block if last - first == block.shape[0] else block[chosen[first:last] - where.start])
        total += np.bincount(block.indices, block.data, minlength=n_genes)
    return sparse.vstack(kept, format="csr"), total / n_spots


def _largest(matrix: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    return linalg.eigh(matrix, subset_by_index=[len(matrix) - n, len(matrix) - 1])
