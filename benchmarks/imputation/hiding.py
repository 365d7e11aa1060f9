"""Counts that are hidden from a method."""

from typing import NamedTuple

import numpy as np
from anndata import AnnData
from scipy import sparse

#: Ways of hiding, and the share of the entries that are held out; ``None`` where molecules are.
CASES = {"thinning": None, "hold-out 10 %": 0.1, "hold-out 20 %": 0.2, "hold-out 30 %": 0.3}


class Hidden(NamedTuple):
    """Data to fit to, with the counts in X, and what was taken out of it."""

    adata: AnnData
    counts: sparse.csr_matrix


def hide(adata: AnnData, case: str, seed: int) -> Hidden:
    """Hide counts in one of the ways of :data:`CASES`."""
    rate = CASES[case]
    return thin(adata, seed) if rate is None else hold_out(adata, seed, rate)


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
