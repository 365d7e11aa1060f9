"""Expectations of hidden counts that need no model."""

from collections.abc import Iterator

import numpy as np
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from benchmarks.imputation.hiding import CASES, Hidden
from benchmarks.imputation.scores import log_normalized, score_hold_out, score_thinning

#: Numbers of spots that are averaged, the spot itself among them.
N_NEAREST = {"spatial kNN, k = 6": 6, "spatial kNN, k = 18": 18}
IN_EXPRESSION = "expression kNN"
FLOORS = ("gene mean", "mean of non-zeros", *N_NEAREST, IN_EXPRESSION)


def floor_scores(hidden: Hidden, case: str, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and scores of each of them."""
    counts, n_spots = hidden.adata.X, hidden.adata.n_obs
    totals = np.asarray(counts.sum(axis=1)).ravel()
    if CASES[case] is None:
        shown, score = sparse.csr_matrix(sparse.diags(1 / np.maximum(totals, 1)) @ counts), score_thinning
        mean = np.asarray(counts.sum(axis=0)).ravel() / counts.sum()
    else:
        shown, score = log_normalized(counts, totals), score_hold_out
        mean = np.asarray(shown.mean(axis=0)).ravel()
        n_seen = np.maximum(np.diff(shown.tocsc().indptr), 1)
        yield "mean of non-zeros", score(np.broadcast_to(mean * n_spots / n_seen, shown.shape), hidden)
    yield "gene mean", score(np.broadcast_to(mean, shown.shape), hidden)
    for name, average in averages(hidden.adata, seed).items():
        yield name, score((average @ shown).toarray(), hidden)


def averages(adata: AnnData, seed: int) -> dict[str, sparse.csr_matrix]:
    """Averages over spots that the floors take, each a matrix ``(n_spots, n_spots)`` whose rows sum to 1."""
    totals = np.asarray(adata.X.sum(axis=1)).ravel()
    found = {}
    for name, k in N_NEAREST.items():
        found[name] = _nearest(adata, k)
    components = PCA(min(30, min(adata.shape) - 1), random_state=seed).fit_transform(
        log_normalized(adata.X, totals).toarray()
    )
    found[IN_EXPRESSION] = _average(NearestNeighbors(n_neighbors=15).fit(components).kneighbors(components)[1])
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
