"""Rank-sum tests over spots."""

import numpy as np
import pandas as pd
from scipy import sparse, stats

from spotscape.tl.expression._counts import Counts

#: Fewest spots of a group that can be tested.
MIN_SPOTS = 3


def rank_sum_tests(
    counts: Counts, labels: pd.Categorical, groups: list[str], reference: str, rows: np.ndarray | None = None
) -> pd.DataFrame:
    r"""Test each group of spots against the others, or against one of them, by the Wilcoxon rank-sum test.

    Parameters
    ----------
    counts
        Counts.
    labels
        Group of each spot; spots without one are left out. ``(n_spots,)``.
    groups
        Groups to test, each of at least three spots, and with as many spots in its reference.
    reference
        Group that they are compared with, or ``"rest"``: all others.
    rows
        Spots to use, as a mask. If ``None``, all with a label. ``(n_spots,)``.

    Returns
    -------
    One row per group and gene, by decreasing score: ``group``, ``gene``, ``score`` (z, corrected for ties),
    ``log2_fold_change``, ``p_value``, ``p_adjusted`` (BH, per group), ``fraction`` and ``fraction_reference`` (spots
    with a count), ``mean`` and ``mean_reference`` (normalised counts). The fold change is that of the means, each
    raised by half a count in the smaller of the two groups, so that it stays finite.
    """
    used = labels.notna() if rows is None else labels.notna() & rows
    inside = labels[used].remove_unused_categories()
    sizes = np.bincount(inside.codes, minlength=len(inside.categories))
    matrix = counts.log_normalized()[used]
    if reference == "rest":
        sums, ties = _rank_sums(matrix, inside.codes, sizes)
    means, fractions = _group_means(counts, inside, used)
    tables = []
    for group in groups:
        code = inside.categories.get_loc(group)
        others = np.arange(len(sizes)) != code
        if reference != "rest":
            others = np.arange(len(sizes)) == inside.categories.get_loc(reference)
            pair = (inside.codes == code) | others[inside.codes]
            is_other = others[inside.codes[pair]].astype(np.intp)
            sums, ties = _rank_sums(matrix[pair], is_other, np.bincount(is_other))
        n, m = sizes[code], sizes[others].sum()
        own = sums[code if reference == "rest" else 0]
        # Genes without variance have a score of 0 and a p value of 1.
        variance = ties * n * m * (n + m + 1) / 12
        score = np.zeros(len(own))
        np.divide(own - n * (n + m + 1) / 2, np.sqrt(variance), out=score, where=variance > 0)
        p_value = 2 * stats.norm.sf(np.abs(score))
        weights = (sizes * others) / m
        half = 0.5 / min(n, m)
        mean, mean_reference = means[code], weights @ means
        table = pd.DataFrame(
            {
                "group": group,
                "gene": counts.genes.to_numpy(str),
                "score": score,
                "log2_fold_change": np.log2((mean + half) / (mean_reference + half)),
                "p_value": p_value,
                "p_adjusted": stats.false_discovery_control(p_value),
                "fraction": fractions[code],
                "fraction_reference": weights @ fractions,
                "mean": mean,
                "mean_reference": mean_reference,
            }
        )
        tables.append(table.iloc[np.argsort(-score, kind="stable")])
    return pd.concat(tables, ignore_index=True)


def _rank_sums(matrix: sparse.csr_matrix, codes: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Sum of the ranks of each gene in each group, and its factor of the variance for ties.

    Only the values above zero are sorted. The :math:`n_0` zeros are tied at the rank :math:`(n_0 + 1) / 2`, and raise
    the ranks of the others by :math:`n_0`. With :math:`t` spots in each tie, the factor is
    :math:`1 - \sum (t^3 - t) / (n^3 - n)`.

    Parameters
    ----------
    matrix
        Values, none below zero. ``(n_spots, n_genes)``.
    codes
        Group of each spot. ``(n_spots,)``.
    sizes
        Number of spots of each group. ``(n_groups,)``.

    Returns
    -------
    ``(n_groups, n_genes)`` and ``(n_genes,)``.
    """
    by_gene = matrix.tocsc()
    n_spots, n_genes = matrix.shape
    sums, ties = np.empty((len(sizes), n_genes)), np.empty(n_genes)
    for gene in range(n_genes):
        inside = slice(by_gene.indptr[gene], by_gene.indptr[gene + 1])
        values, groups = by_gene.data[inside], codes[by_gene.indices[inside]]
        if not values.all():
            values, groups = values[values > 0], groups[values > 0]
        n_zero = n_spots - len(values)
        order = np.argsort(values)
        values, groups = values[order], groups[order]
        starts = np.flatnonzero(np.diff(values, prepend=-1.0))
        lengths = np.diff(starts, append=len(values))
        ranks = np.repeat(n_zero + starts + (lengths + 1) / 2, lengths)
        zeros = sizes - np.bincount(groups, minlength=len(sizes))
        sums[:, gene] = np.bincount(groups, weights=ranks, minlength=len(sizes)) + zeros * (n_zero + 1) / 2
        tied = np.append(lengths[lengths > 1], n_zero).astype(np.float64)
        ties[gene] = 1 - np.sum(tied**3 - tied) / max(float(n_spots) ** 3 - n_spots, 1.0)
    return sums, ties


def _group_means(counts: Counts, labels: pd.Categorical, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean normalised counts and share of spots with a count. ``(n_groups, n_genes)`` each."""
    n_groups = len(labels.categories)
    sizes = np.bincount(labels.codes, minlength=n_groups)
    spots = np.flatnonzero(used)
    members = sparse.csr_matrix(
        (1.0 / sizes[labels.codes], (labels.codes, spots)), shape=(n_groups, counts.matrix.shape[0])
    )
    detected = sparse.csr_matrix((counts.matrix.data > 0, counts.matrix.indices, counts.matrix.indptr), dtype=float)
    detected.resize(counts.matrix.shape)
    return (members @ counts.normalized()).toarray(), (members @ detected).toarray()
