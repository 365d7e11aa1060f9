"""Tissue whose replicates vary, with and without a difference between conditions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape.datasets import synthetic_tissue


@dataclass(frozen=True)
class Variation:
    """How replicates differ, in natural logarithms.

    Parameters
    ----------
    between
        Standard deviation of a gene between replicates, in all domains alike.
    within
        Standard deviation of a gene in a domain of a replicate, in addition.
    df
        Degrees of freedom of the inverse chi-squared distribution by which the variances differ between genes.
    """

    between: float = 0.2
    within: float = 0.1
    df: float = 8.0


@dataclass(frozen=True)
class Planted:
    """A difference between conditions.

    Parameters
    ----------
    domain
        Domain with the difference.
    log2_fold_change
        Its size. Half of the genes are raised, the others lowered.
    share
        Share of the genes that differ.
    """

    domain: str
    log2_fold_change: float
    share: float = 0.1


def base_tissue(n_slices: int, n_spots: int, n_genes: int, seed: int) -> AnnData:
    """Slices that differ by chance only, since the variation is added by :func:`simulate`."""
    return synthetic_tissue(n_slices, n_spots, n_genes=n_genes, batch_effect="none", seed=seed)


def simulate(
    tissue: AnnData, variation: Variation, planted: Planted | None, rng: np.random.Generator
) -> tuple[AnnData, np.ndarray]:
    """Draw conditions, the variation of replicates and the planted difference.

    Each count is thinned: kept with a probability that depends on gene, slice and domain. A thinned negative binomial
    count is a negative binomial count with a smaller mean.

    Parameters
    ----------
    tissue
        Result of :func:`base_tissue`; left as it is.
    variation, planted
        What is drawn. Without ``planted``, conditions do not differ.
    rng
        Generator of the draws.

    Returns
    -------
    Counts with ``obs["condition"]``, and whether each gene differs. ``(n_genes,)``.
    """
    slices, domains = tissue.obs["slice"].cat, tissue.obs["domain"].cat
    n_slices, n_domains, n_genes = len(slices.categories), len(domains.categories), tissue.n_vars
    treated = rng.permutation(np.arange(n_slices) % 2).astype(bool)
    scale = np.sqrt(variation.df / rng.chisquare(variation.df, n_genes))
    logs = variation.between * rng.standard_normal((n_slices, 1, n_genes)) * scale
    logs = logs + variation.within * rng.standard_normal((n_slices, n_domains, n_genes)) * scale
    differs = np.zeros(n_genes, dtype=bool)
    if planted is not None:
        chosen = rng.choice(n_genes, round(planted.share * n_genes), replace=False)
        differs[chosen] = True
        sign = np.where(np.arange(len(chosen)) % 2, 1.0, -1.0)
        domain = domains.categories.get_loc(planted.domain)
        logs[np.ix_(np.flatnonzero(treated), [domain], chosen)] += sign * planted.log2_fold_change * np.log(2)
    # The largest probability of each gene is 1, so that no more counts are lost than needed.
    keep = np.exp(logs - logs.max(axis=(0, 1)))
    counts = sparse.csr_matrix(tissue.layers["counts"], copy=True)
    rows = np.repeat(np.arange(tissue.n_obs), np.diff(counts.indptr))
    probability = keep[slices.codes.to_numpy()[rows], domains.codes.to_numpy()[rows], counts.indices]
    counts.data = rng.binomial(counts.data.astype(np.int64), probability).astype(np.float32)
    counts.eliminate_zeros()
    obs = tissue.obs[["slice", "domain"]].copy()
    names = np.where(treated[slices.codes.to_numpy()], "treated", "control")
    obs["condition"] = pd.Categorical(names, categories=["control", "treated"])
    return AnnData(counts, obs=obs, var=tissue.var[[]].copy(), obsm={"spatial": tissue.obsm["spatial"]}), differs


def random_halves(adata: AnnData, rng: np.random.Generator) -> pd.Categorical:
    """Halves of the spots of each slice on either side of a random line, which differ by chance only."""
    side = np.zeros(adata.n_obs, dtype=int)
    for rows in adata.obs.groupby("slice", observed=True).indices.values():
        angle = rng.uniform(0, 2 * np.pi)
        along = adata.obsm["spatial"][rows] @ np.array([np.cos(angle), np.sin(angle)])
        side[rows] = along > np.median(along)
    return pd.Categorical.from_codes(side, categories=["left", "right"])
