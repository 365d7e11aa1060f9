"""Fitting of the preprocessing to expression that is read block by block."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import linalg, sparse

from spotscape.preprocessing._components import principal_axes
from spotscape.preprocessing._defaults import default_n_components, default_scale_power
from spotscape.preprocessing._gene_selection import GeneSums, select_by_sums
from spotscape.preprocessing._row_blocks import Matrix, RowBlocks
from spotscape.preprocessing._values import log_expression

# Products of blocks with more stored values than this are faster when the block is made dense.
_DENSE_SHARE = 0.1


def fit_expression(
    rows: RowBlocks,
    kind: str,
    factors: np.ndarray,
    codes: np.ndarray,
    *,
    n_top_genes: int,
    n_components: int | None,
    scale_power: float | None,
    target_sum: float | None,
    max_value: float,
) -> dict[str, Any]:
    """Fit the gene selection, scaling, components and loadings, in three passes over the expression.

    Parameters
    ----------
    rows
        Expression. If there are more genes than ``n_top_genes``, it is read once more.
    kind
        ``"counts"``, ``"normalized"`` or ``"log-normalized"``.
    factors
        Size factor of each spot. ``(n_spots,)``.
    codes
        Slice code of each spot, from 0. ``(n_spots,)``.
    n_top_genes, n_components, scale_power, target_sum, max_value
        As in :class:`Preprocessor`.

    Returns
    -------
    Parameters for :meth:`Preprocessor.transform` and :meth:`Preprocessor.inverse_transform`.
    """
    median = float(np.median(factors[factors > 0]))
    target = median if target_sum is None else target_sum
    constant = target / median if kind == "normalized" else 1.0

    def logarithm(where: slice, block: sparse.csr_matrix) -> sparse.csr_matrix:
        return log_expression(block, kind, factors[where], target, constant)

    expression = rows.mapped(logarithm, rows.shape[1])
    selected, mean, variance, share = _select(rows, logarithm, kind, codes, n_top_genes)
    n_components = _count_components(n_components, codes, len(selected))
    deviation = np.sqrt(variance[selected])
    varies = deviation > 0
    ceiling = np.where(varies, mean[selected] + max_value * deviation, np.inf).astype(np.float32)
    weight = np.divide(1.0, deviation, out=np.zeros(len(selected)), where=varies)

    def scale_selected(_: slice, block: sparse.csr_matrix) -> sparse.csr_matrix:
        chosen = clip(select_columns(block, selected), ceiling)
        return sparse.csr_matrix((chosen.data * weight[chosen.indices], chosen.indices, chosen.indptr), chosen.shape)

    axes, strength, scaled_mean = principal_axes(expression.mapped(scale_selected, len(selected)), n_components)
    power = default_scale_power(int(np.median(np.bincount(codes)))) if scale_power is None else scale_power
    scale = strength ** (power / 2) * np.sqrt(np.mean(strength ** (1 - power)))
    projection = weight[:, None] * axes / scale
    offset = (scaled_mean @ axes) / scale

    def scores(block: sparse.csr_matrix) -> np.ndarray:
        return _product(clip(select_columns(block, selected), ceiling), projection) - offset

    return {
        "target_sum": target,
        "constant": constant,
        "selected": selected,
        "ceiling": ceiling,
        "projection": projection,
        "offset": offset,
        "mean": mean,
        "loadings": _loadings(expression, scores, mean),
        # For sections that lack some of the genes.
        "centre": scaled_mean * deviation,
        "strength": strength,
        "share": share / factors.sum(),
    }


def check_names(gene_names: Sequence[str], matrix: Matrix) -> list[str]:
    """Names of the genes as strings, after checking that they are unique and one per column of the matrix."""
    names = [str(name) for name in gene_names]
    if np.ndim(matrix) == 2 and len(names) != matrix.shape[1]:
        raise ValueError(f"`gene_names` has {len(names)} names for {matrix.shape[1]} genes; pass one for every gene.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"`gene_names` holds {twice!r} more than once; call `adata.var_names_make_unique()` first.")
    return names


def select_columns(block: sparse.csr_matrix, selected: np.ndarray) -> sparse.csr_matrix:
    """Selected columns; the block itself if all are selected."""
    return block if len(selected) == block.shape[1] else block[:, selected]


def clip(expression: Matrix, ceiling: np.ndarray) -> Matrix:
    """Expression, limited to the ceiling of each gene."""
    if not sparse.issparse(expression):
        return np.minimum(expression, ceiling)
    # Zeros lie below every ceiling, so only stored values can exceed it.
    data = np.minimum(expression.data, ceiling[expression.indices])
    return sparse.csr_matrix((data, expression.indices, expression.indptr), shape=expression.shape)


def _product(block: Any, matrix: np.ndarray) -> np.ndarray:
    """``block @ matrix`` by the faster method, in single precision if that is the dense one."""
    if block.nnz > _DENSE_SHARE * block.shape[0] * block.shape[1]:
        return (block.toarray() @ matrix.astype(np.float32)).astype(np.float64)
    return block @ matrix


def _select(
    rows: RowBlocks, logarithm: Callable, kind: str, codes: np.ndarray, n_top_genes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Columns of the selected genes; mean and variance of the log expression of all genes; and their totals."""
    n_genes = rows.shape[1]
    overall = GeneSums(n_genes, np.zeros_like(codes))
    within = GeneSums(n_genes, codes) if n_genes > n_top_genes else overall
    total = np.zeros(n_genes)
    by_counts = kind == "counts"
    for where, (block, logged) in rows.map(lambda where, block: (block, logarithm(where, block))):
        overall.add(where, logged)
        total += np.bincount(block.indices, block.data, minlength=n_genes)
        if within is not overall:
            within.add(where, block if by_counts else logged)
    mean, variance = overall.moments()
    selected = select_by_sums(rows if by_counts else rows.mapped(logarithm, n_genes), within, n_top_genes)
    return selected, mean[0], variance[0], total


def _count_components(asked: int | None, codes: np.ndarray, n_selected: int) -> int:
    limit = min(len(codes) - 1, n_selected)
    if limit < 1:
        raise ValueError("The expression has a single spot; pass at least two.")
    if asked is None:
        sizes = np.bincount(codes)
        return min(limit, default_n_components(int(np.median(sizes)), n_selected, len(sizes)))
    if asked > limit:
        raise ValueError(
            f"`n_components` is {asked}; {len(codes)} spots and {n_selected} selected genes allow at most {limit}."
        )
    return asked


def _loadings(expression: RowBlocks, scores: Callable[[sparse.csr_matrix], np.ndarray], mean: np.ndarray) -> np.ndarray:
    """Least squares regression of all genes on centred scores, float32. ``(n_components, n_genes)``."""

    def sums(_: slice, block: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = scores(block)
        return found.T @ found, _product(block.T, found), found.sum(axis=0)

    gram, cross, total = 0.0, 0.0, 0.0
    for _, (block_gram, block_cross, block_total) in expression.map(sums):
        gram, cross, total = gram + block_gram, cross + block_cross, total + block_total
    return linalg.solve(gram, (cross - np.outer(mean, total)).T).astype(np.float32)
