"""Agreement of a trajectory with the known order of the layers."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

import spotscape as sps
from benchmarks.common.reading import Section
from benchmarks.common.results import Row

FLOOR = "PCA, 2 hops"
REP = "X_represented"
#: Number of neighbours of ``tl.trajectory``, and others: the default of scanpy, and more.
DEFAULT = 30
N_NEIGHBORS = (DEFAULT, 15, 50)


def annotated(section: Section, latent: NDArray[np.floating], order: Sequence[str] | None) -> AnnData:
    """Section with its representation, and its labels as an ordered categorical in ``obs["label"]``."""
    obs = pd.DataFrame(index=section.adata.obs_names.astype(str))
    names = sorted(set(section.labels)) if order is None else list(order)
    obs["label"] = pd.Categorical(section.labels_of_all, categories=names, ordered=True)
    return AnnData(obs=obs, obsm={REP: latent, "spatial": section.adata.obsm["spatial"]})


def measure(adata: AnnData, root: str, numbers: Sequence[int]) -> Iterator[Row]:
    """Scores of trajectories from the annotated root and from the domain that overlaps with it most."""
    n_domains = adata.obs["label"].nunique()
    sps.tl.domains(adata, REP, n_domains)
    agreement = sps.metrics.adjusted_rand_index(adata.obs["label"], adata.obs["spatial_domain"])
    for kind, domain_key, name in (
        ("annotated", "label", root),
        ("predicted", "spatial_domain", overlapping(adata, root)),
    ):
        for n_neighbors in numbers:
            sps.tl.trajectory(adata, name, use_rep=REP, domain_key=domain_key, n_neighbors=n_neighbors)
            scores = sps.metrics.trajectory_scores(adata.obs["pseudotime"], adata.obs["label"])
            result = adata.uns["pseudotime"]
            levels = _mean_levels(adata, domain_key, result["domains"])
            yield {
                **{"root": kind, "n_neighbors": n_neighbors, "ari": agreement, "n_edges": n_domains - 1},
                **scores._asdict(),
                "consecutive": adjacent_edges(result["connectivities"], levels.argsort().argsort()),
                "adjacent": adjacent_edges(
                    result["connectivities"], _most_frequent(adata, domain_key, result["domains"])
                ),
            }


def overlapping(adata: AnnData, root: str) -> str:
    """Domain that has most spots of a label."""
    counts = adata.obs.loc[adata.obs["label"] == root, "spatial_domain"].value_counts()
    return str(counts.index[0])


def adjacent_edges(connectivities: NDArray[np.floating], positions: NDArray[np.integer]) -> int:
    """How many of the strongest edges, one fewer than domains, join domains of equal or adjacent positions.

    Parameters
    ----------
    connectivities
        ``(n_domains, n_domains)``.
    positions
        Position of each domain; those between which no domain lies are adjacent. ``(n_domains,)``.
    """
    _, positions = np.unique(positions, return_inverse=True)
    rows, columns = np.triu_indices(len(positions), 1)
    strongest = np.argsort(-connectivities[rows, columns], kind="stable")[: len(positions) - 1]
    return int((np.abs(positions[rows] - positions[columns])[strongest] <= 1).sum())


def _mean_levels(adata: AnnData, domain_key: str, domains: Sequence[str]) -> NDArray[np.float64]:
    levels = adata.obs["label"].cat.codes.astype(float).where(adata.obs["label"].notna())
    return levels.groupby(adata.obs[domain_key].astype(str)).mean().reindex(domains).to_numpy()


def _most_frequent(adata: AnnData, domain_key: str, domains: Sequence[str]) -> NDArray[np.integer]:
    levels = adata.obs["label"].cat.codes[adata.obs["label"].notna()]
    counts = pd.crosstab(adata.obs.loc[levels.index, domain_key].astype(str), levels)
    return counts.reindex(domains).idxmax(axis=1).to_numpy(dtype=int)
