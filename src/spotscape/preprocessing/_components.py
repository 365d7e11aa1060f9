"""Principal components of a sparse matrix, centred without making it dense."""

import warnings

import numpy as np
from scipy import linalg, sparse
from sklearn.decomposition import PCA

from spotscape.preprocessing._row_blocks import RowBlocks
from spotscape.preprocessing._subsample import evenly_spaced_rows

# Up to this many genes the exact decomposition of a small matrix is faster than an iterative one.
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
        covariance = gram / n_spots - np.outer(mean, mean)
        strength, axes = linalg.eigh(covariance, subset_by_index=[n_genes - n_components, n_genes - 1])
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
    if n_components >= min(n_spots, n_genes):
        # An iterative solver finds at most all components but one.
        pca = PCA(n_components, svd_solver="full").fit(scaled.toarray())
    else:
        # scikit-learn centres a sparse matrix implicitly for this solver.
        pca = PCA(n_components, svd_solver="arpack", random_state=0).fit(scaled)
    return pca.explained_variance_ * ((n_spots - 1) / n_spots), pca.components_.T


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
