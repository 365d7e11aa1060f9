"""Rank-sum tests over spots, by scanpy."""

import warnings

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

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
    from scanpy.get import rank_genes_groups_df
    from scanpy.tools import rank_genes_groups

    used = labels.notna() if rows is None else labels.notna() & rows
    inside = labels[used].remove_unused_categories()
    matrix = counts.log_normalized()[used]
    obs = pd.DataFrame({"group": inside}, index=np.arange(len(inside)).astype(str))
    work = AnnData(matrix, obs=obs, var=pd.DataFrame(index=counts.genes))
    with warnings.catch_warnings():
        # scanpy inserts the columns of its result one by one, and divides by the variance of constant genes.
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        rank_genes_groups(work, "group", groups=groups, reference=reference, method="wilcoxon", tie_correct=True)
    means, fractions, sizes = _group_means(counts, inside, used)
    tables = []
    for group in groups:
        found = rank_genes_groups_df(work, group)
        order = counts.genes.get_indexer(found["names"])
        code = inside.categories.get_loc(group)
        others = np.arange(len(sizes)) != code
        if reference != "rest":
            others = np.arange(len(sizes)) == inside.categories.get_loc(reference)
        weights = (sizes * others) / sizes[others].sum()
        half = 0.5 / min(sizes[code], sizes[others].sum())
        mean, mean_reference = means[code], weights @ means
        # A gene that is zero in all spots has no variance, and scanpy gives no p value.
        p_values = found["pvals"].fillna(1.0).to_numpy()
        tables.append(
            pd.DataFrame(
                {
                    "group": group,
                    "gene": found["names"].to_numpy(str),
                    "score": found["scores"].fillna(0.0).to_numpy(float),
                    "log2_fold_change": np.log2((mean + half) / (mean_reference + half))[order],
                    "p_value": p_values,
                    "p_adjusted": found["pvals_adj"].fillna(1.0).to_numpy(),
                    "fraction": fractions[code][order],
                    "fraction_reference": (weights @ fractions)[order],
                    "mean": mean[order],
                    "mean_reference": mean_reference[order],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _group_means(counts: Counts, labels: pd.Categorical, used: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean normalised counts and share of spots with a count, ``(n_groups, n_genes)`` each, and number of spots."""
    n_groups = len(labels.categories)
    sizes = np.bincount(labels.codes, minlength=n_groups)
    spots = np.flatnonzero(used)
    members = sparse.csr_matrix(
        (1.0 / sizes[labels.codes], (labels.codes, spots)), shape=(n_groups, counts.matrix.shape[0])
    )
    detected = sparse.csr_matrix((counts.matrix.data > 0, counts.matrix.indices, counts.matrix.indptr), dtype=float)
    detected.resize(counts.matrix.shape)
    return (members @ counts.normalized()).toarray(), (members @ detected).toarray(), sizes
