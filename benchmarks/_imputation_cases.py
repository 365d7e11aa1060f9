"""Counts that are hidden from a method, methods that need no model, and how well hidden counts are told."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

#: Weight of the gene mean that is mixed into the shares of every method, so that no count is impossible.
PSEUDO_WEIGHT = 0.05
#: A gene is correlated if so many of its molecules, or of its entries, are hidden.
MIN_HIDDEN = 50
_BLOCK = 512


class Hidden(NamedTuple):
    """Data to fit to, with the counts in X, and what was taken out of it."""

    adata: AnnData
    counts: sparse.csr_matrix


def thin(adata: AnnData, seed: int, share: float = 0.8) -> Hidden:
    """Give each molecule to the data to fit to with a probability of ``share``."""
    shown = adata.X.copy()
    shown.data = np.random.default_rng(seed).binomial(adata.X.data.astype(np.int64), share).astype(np.float32)
    return _split(adata, shown)


def hold_out(adata: AnnData, seed: int, rate: float) -> Hidden:
    """Set a random share of the non-zero entries to zero."""
    shown = adata.X.copy()
    shown.data = np.where(np.random.default_rng(seed).random(shown.nnz) < rate, 0, shown.data).astype(np.float32)
    return _split(adata, shown)


def _split(adata: AnnData, shown: sparse.csr_matrix) -> Hidden:
    counts = sparse.csr_matrix(adata.X - shown)
    for matrix in (counts, shown):
        matrix.eliminate_zeros()
    fitted = AnnData(shown, obs=adata.obs[["slice"]].copy(), var=adata.var[[]].copy())
    fitted.obsm["spatial"] = np.asarray(adata.obsm["spatial"])
    return Hidden(fitted, counts)


def log_normalized(counts: sparse.csr_matrix, totals: np.ndarray) -> sparse.csr_matrix:
    """Counts at the median total, as ``log(1 + x)``."""
    return sparse.csr_matrix(sparse.diags(np.median(totals) / np.maximum(totals, 1)) @ counts).log1p()


def averages(adata: AnnData, seed: int) -> dict[str, sparse.csr_matrix]:
    """Averages over spots that the floors take, each a matrix ``(n_spots, n_spots)`` whose rows sum to 1."""
    totals = np.asarray(adata.X.sum(axis=1)).ravel()
    found = {}
    for k in (6, 18):
        # The spot itself is one of the k.
        found[f"spatial kNN, k = {k}"] = _nearest(adata, k)
    components = PCA(min(30, min(adata.shape) - 1), random_state=seed).fit_transform(
        log_normalized(adata.X, totals).toarray()
    )
    found["expression kNN"] = _average(NearestNeighbors(n_neighbors=15).fit(components).kneighbors(components)[1])
    return found


def _nearest(adata: AnnData, k: int) -> sparse.csr_matrix:
    positions, neighbours = adata.obsm["spatial"], np.empty((adata.n_obs, k), dtype=np.int64)
    for spots in adata.obs.groupby("slice", observed=True).indices.values():
        neighbours[spots] = spots[NearestNeighbors(n_neighbors=k).fit(positions[spots]).kneighbors(positions[spots])[1]]
    return _average(neighbours)


def _average(neighbours: np.ndarray) -> sparse.csr_matrix:
    n_spots, k = neighbours.shape
    values = np.full(neighbours.size, 1 / k, dtype=np.float32)
    return sparse.csr_matrix((values, neighbours.ravel(), np.arange(0, n_spots * k + 1, k)), (n_spots, n_spots))


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
    ``"deviance"``, ``"pearson"`` and ``"spearman"``.
    """
    shown = np.asarray(hidden.adata.X.sum(axis=0, dtype=np.float64)).ravel() + 1
    mean, totals = shown / shown.sum(), np.asarray(hidden.counts.sum(axis=1))
    deviance, pearson, spearman = 0.0, [], []
    for start in range(0, len(mean), _BLOCK):
        genes = slice(start, start + _BLOCK)
        observed = hidden.counts[:, genes].toarray().astype(np.float64)
        expected = totals * (np.maximum(shares[:, genes], 0) + PSEUDO_WEIGHT * mean[genes]) / (1 + PSEUDO_WEIGHT)
        deviance += poisson_deviance(observed, expected)
        often = observed.sum(axis=0) >= MIN_HIDDEN
        pearson += list(correlation(observed[:, often], expected[:, often]))
        ranks = (pd.DataFrame(matrix[:, often]).rank().to_numpy() for matrix in (observed, expected))
        spearman += list(correlation(*ranks))
    means = {"pearson": float(np.mean(pearson)), "spearman": float(np.mean(spearman))}
    return {"deviance": deviance / hidden.counts.data.sum(dtype=np.float64)} | means


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
