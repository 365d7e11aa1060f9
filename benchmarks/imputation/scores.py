"""How well hidden counts are told."""

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.imputation.hiding import Hidden

#: Weight of the gene mean that is mixed into the shares of every method, so that no count is impossible.
PSEUDO_WEIGHT = 0.05
#: A gene is correlated if so many of its molecules, or of its entries, are hidden.
MIN_HIDDEN = 50
#: A gene is rare and strong if half of its molecules are in this share of the spots.
SHARE_OF_SPOTS = 0.02
#: Genes that are made dense at once.
N_GENES_BLOCK = 512


def log_normalized(counts: sparse.csr_matrix, totals: np.ndarray) -> sparse.csr_matrix:
    """Counts at the median total, as ``log(1 + x)``."""
    return sparse.csr_matrix(sparse.diags(np.median(totals) / np.maximum(totals, 1)) @ counts).log1p()


def score_thinning(shares: np.ndarray, hidden: Hidden) -> dict[str, float]:
    """Poisson deviance of the hidden molecules, for each of them, and mean correlations of genes.

    Parameters
    ----------
    shares
        Expected share of each gene in the library of each spot. ``(n_spots, n_genes)``.
    hidden
        Hidden molecules. Expected is the share, times the number of hidden molecules of the spot.

    Returns
    -------
    ``"deviance"``, ``"pearson"`` and ``"spearman"``, and ``"deviance_rare"``, the deviance for each hidden molecule of
    rare and strong genes; NaN if there are none.
    """
    shown = np.asarray(hidden.adata.X.sum(axis=0, dtype=np.float64)).ravel() + 1
    mean, totals = shown / shown.sum(), np.asarray(hidden.counts.sum(axis=1))
    rare = rare_and_strong(hidden.adata.X)
    deviance, deviance_rare, pearson, spearman = 0.0, 0.0, [], []
    for start in range(0, len(mean), N_GENES_BLOCK):
        genes = slice(start, start + N_GENES_BLOCK)
        observed = hidden.counts[:, genes].toarray().astype(np.float64)
        expected = totals * (np.maximum(shares[:, genes], 0) + PSEUDO_WEIGHT * mean[genes]) / (1 + PSEUDO_WEIGHT)
        deviance += poisson_deviance(observed, expected)
        deviance_rare += poisson_deviance(observed[:, rare[genes]], expected[:, rare[genes]])
        often = observed.sum(axis=0) >= MIN_HIDDEN
        pearson += list(correlation(observed[:, often], expected[:, often]))
        ranks = (pd.DataFrame(matrix[:, often]).rank().to_numpy() for matrix in (observed, expected))
        spearman += list(correlation(*ranks))
    means = {"pearson": float(np.mean(pearson)), "spearman": float(np.mean(spearman))}
    n_hidden = np.asarray(hidden.counts.sum(axis=0, dtype=np.float64)).ravel()
    means["deviance_rare"] = deviance_rare / n_hidden[rare].sum() if rare.any() else np.nan
    return {"deviance": deviance / n_hidden.sum()} | means


def rare_and_strong(counts: sparse.csr_matrix) -> np.ndarray:
    """Tell which genes have at least half of their molecules, 50 or more, in 2 % of the spots. ``(n_genes,)``."""
    columns = sparse.csc_matrix(counts)
    n_top = max(1, round(SHARE_OF_SPOTS * counts.shape[0]))
    found = np.zeros(counts.shape[1], dtype=bool)
    for gene, (start, stop) in enumerate(pairwise(columns.indptr)):
        values = np.sort(columns.data[start:stop])[::-1]
        found[gene] = values.sum() >= MIN_HIDDEN and 2 * values[:n_top].sum() >= values.sum()
    return found


def score_hold_out(predicted: np.ndarray, hidden: Hidden) -> dict[str, float]:
    """Errors of the hidden entries in log-normalised expression, and mean correlation of genes over them.

    Parameters
    ----------
    predicted
        Predicted log-normalised expression. ``(n_spots, n_genes)``.
    hidden
        Hidden entries, normalised by the totals of what was shown.
    """
    totals = np.asarray(hidden.adata.X.sum(axis=1)).ravel()
    truth = log_normalized(hidden.counts, totals).tocoo()
    found = predicted[truth.row, truth.col]
    error = found - truth.data
    table = pd.DataFrame({"gene": truth.col, "found": found, "truth": truth.data}).astype({"found": float})
    table = table[table.groupby("gene")["truth"].transform("size") >= MIN_HIDDEN]
    centred = table[["found", "truth"]] - table.groupby("gene")[["found", "truth"]].transform("mean")
    products = pd.DataFrame({"both": centred["found"] * centred["truth"]}).join(centred**2)
    sums = products.groupby(table["gene"]).sum()
    correlations = sums["both"] / np.sqrt(sums["found"] * sums["truth"]).clip(lower=1e-9)
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "l1": float(np.abs(error).mean()),
        "pearson": float(correlations.mean()),
    }


def poisson_deviance(observed: np.ndarray, expected: np.ndarray) -> float:
    """Twice the log likelihood that is missing to the perfect one, summed."""
    ratio = np.divide(observed, expected, out=np.ones_like(expected), where=observed > 0)
    return float(2 * (observed * np.log(ratio) - (observed - expected)).sum())


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column; 0 where one of them is constant."""
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    size = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    return np.divide((first * second).sum(axis=0), size, out=np.zeros_like(size), where=size > 1e-12)
