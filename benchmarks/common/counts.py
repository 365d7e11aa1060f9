"""Counts as a shallower sequencing would have given them."""

import numpy as np
from anndata import AnnData
from scipy import sparse


def thin(adata: AnnData, share: float, rng: np.random.Generator, size_factor_key: str | None) -> AnnData:
    """Keep each molecule with a probability, those of genes that are not in the file too.

    Parameters
    ----------
    adata
        Raw counts in ``X``; left as it is.
    share
        The probability.
    rng
        Generator of the draws.
    size_factor_key
        Column of ``obs`` with each spot's total over all genes, which is thinned as well. ``None``: there is none.

    Returns
    -------
    A copy.
    """
    thinned, counts = adata.copy(), sparse.csr_matrix(adata.X, copy=True)
    before = np.asarray(counts.sum(axis=1)).ravel()
    counts.data = rng.binomial(counts.data.astype(np.int64), share).astype(np.float32)
    counts.eliminate_zeros()
    thinned.X = counts
    if size_factor_key is not None:
        elsewhere = np.maximum(adata.obs[size_factor_key].to_numpy() - before, 0).astype(np.int64)
        thinned.obs[size_factor_key] = np.asarray(counts.sum(axis=1)).ravel() + rng.binomial(elsewhere, share)
    return thinned
