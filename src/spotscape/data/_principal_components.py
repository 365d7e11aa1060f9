"""Principal components of a sparse matrix, centred without making it dense."""

import warnings

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, eigsh

# Up to this many genes (or spots) the exact decomposition of a small matrix is faster than an iterative one.
_EXACT_SIZE = 1000
_BLOCK = 1024


def principal_axes(scaled: sparse.csr_matrix, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Principal axes ``(n_genes, k)`` and variances ``(k,)`` of a sparse matrix centred implicitly, largest first."""
    n_spots, n_genes = scaled.shape
    mean = np.asarray(scaled.mean(axis=0)).ravel()
    if n_genes <= min(n_spots, _EXACT_SIZE):
        strength, axes = _largest(_gram(scaled) / n_spots - np.outer(mean, mean), n_components)
    elif n_spots <= _EXACT_SIZE:
        cross = scaled @ mean
        gram = _gram(scaled.T.tocsr()) - cross[:, None] - cross[None] + mean @ mean
        strength, spots = _largest(gram / n_spots, n_components)
        axes = scaled.T @ spots - np.outer(mean, spots.sum(axis=0))
    else:
        transposed = scaled.T.tocsr()
        operator = LinearOperator(
            (n_genes, n_genes),
            matvec=lambda v: (transposed @ (scaled @ v.ravel())) / n_spots - mean * (mean @ v.ravel()),
            dtype=np.float64,
        )
        start = np.random.default_rng(0).standard_normal(n_genes)
        strength, axes = eigsh(operator, k=n_components, v0=start, ncv=2 * n_components + 20, tol=1e-6)
    order = np.argsort(-strength, kind="stable")
    order = order[strength[order] > 1e-9 * max(strength.max(), 1e-12)]
    if len(order) == 0:
        raise ValueError("No selected gene varies between spots; pass expression that differs between spots.")
    if len(order) < n_components:
        warnings.warn(
            f"The expression has only {len(order)} independent components, not {n_components}; these are used.",
            UserWarning,
            stacklevel=3,
        )
    strength, axes = strength[order], axes[:, order]
    axes = axes / np.linalg.norm(axes, axis=0)
    largest = np.abs(axes).argmax(axis=0)
    return axes * np.sign(axes[largest, np.arange(len(order))]), strength


def _gram(matrix: sparse.csr_matrix) -> np.ndarray:
    """``matrix.T @ matrix`` through blocks of rows, whose dense products are faster than sparse ones."""
    result = np.zeros((matrix.shape[1], matrix.shape[1]))
    for start in range(0, matrix.shape[0], _BLOCK):
        block = matrix[start : start + _BLOCK].toarray()
        result += block.T @ block
    return result


def _largest(matrix: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    return linalg.eigh(matrix, subset_by_index=[len(matrix) - n, len(matrix) - 1])
