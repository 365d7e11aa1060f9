"""Counts to preprocess, and what becomes of them by the slow, obvious definition."""

import numpy as np
from scipy import sparse

from spotscape.preprocessing import Preprocessor


def simulate(n_spots=120, n_genes=60, seed=0):
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(size=(n_spots, 3)) @ rng.normal(size=(3, n_genes)) * 0.5 + rng.normal(0.5, 0.5, n_genes))
    return sparse.csr_matrix(rng.poisson(rate).astype(np.float32))


def names(matrix):
    return [f"gene{i}" for i in range(matrix.shape[1])]


def fitted(matrix, *, values="counts", slices=None, size_factors=None, **parameters):
    return Preprocessor(**parameters).fit(
        matrix, names(matrix), values=values, slices=slices, size_factors=size_factors
    )


def dense_features(counts, n_components, scale_power, max_value, size_factors=None):
    """The slow, obvious definition, on all genes."""
    counts = counts.toarray().astype(float)
    totals = counts.sum(1) if size_factors is None else size_factors
    log = np.log1p(counts / totals[:, None] * np.median(totals))
    z = np.minimum((log - log.mean(0)) / log.std(0), max_value)
    z -= z.mean(0)
    left, singular, right = np.linalg.svd(z, full_matrices=False)
    right = right[:n_components]
    signs = np.sign(right[np.arange(n_components), np.abs(right).argmax(1)])
    scores = z @ right.T * signs
    scores = scores / scores.std(0) ** scale_power
    return scores / np.sqrt(scores.var(0).mean()), log
