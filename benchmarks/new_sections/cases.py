"""Sections made less like those that a model knows: fewer genes, fewer counts, wrong names, an unknown domain."""

from collections.abc import Iterator

import numpy as np
from anndata import AnnData

from benchmarks.common.counts import thin


def keep_genes(adata: AnnData, share: float, seed: int) -> AnnData:
    """Leave a random share of the genes, as a smaller panel would."""
    return adata[:, np.random.default_rng(seed).random(adata.n_vars) < share].copy()


def shuffle_gene_names(adata: AnnData, seed: int) -> AnnData:
    """Give the genes each other's names."""
    shuffled = adata.copy()
    shuffled.var_names = np.random.default_rng(seed).permutation(np.asarray(adata.var_names))
    return shuffled


def with_totals(adata: AnnData, size_factor_key: str | None) -> AnnData:
    """Add the totals over all genes where the file holds all genes, so that a model that wants them can be asked."""
    if size_factor_key is not None and size_factor_key not in adata.obs:
        adata.obs[size_factor_key] = np.asarray(adata.X.sum(axis=1)).ravel()
    return adata


def novelty_cases(
    query: AnnData, others: list[AnnData], seed: int, size_factor_key: str | None
) -> Iterator[tuple[str, bool, AnnData]]:
    """Name of each case, whether it should be found out of distribution, and the section."""
    yield "another section of the donor", False, query
    yield "30% of its genes", False, keep_genes(query, 0.3, seed)
    yield "25% of its counts", False, thin(query, 0.25, np.random.default_rng(seed), size_factor_key)
    yield "gene names shuffled", True, shuffle_gene_names(query, seed)
    for other in others:
        yield f"other tissue, {other.obs['slice'].iloc[0]}", True, with_totals(other, size_factor_key)
