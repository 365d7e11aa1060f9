"""Pairs of slices to align: two sections as they are, and with one of them as another technology would have seen it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.cluster import KMeans

from benchmarks.common import counts

#: Angle of the rotated query in degrees. No symmetry of a lattice comes near it.
ANGLE = 137.0
DEPTH = 0.25
SPOTS_MERGED = 4
MISSING = 1 / 3


@dataclass(frozen=True)
class Case:
    """What happens to the query before a model sees it, and how many seeds of the model are wanted."""

    name: str
    alterations: tuple[Callable[[AnnData, np.random.Generator], AnnData], ...] = ()
    n_seeds: int = 3
    both_directions: bool = False
    same_representation_as: str | None = None


def rotate(query: AnnData, rng: np.random.Generator) -> AnnData:
    """Turn the positions by a fixed angle and move them."""
    query = query.copy()
    angle = np.deg2rad(ANGLE)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    query.obsm["spatial"] = query.obsm["spatial"] @ matrix.T + [3e4, -1e4]
    return query


def crop(query: AnnData, rng: np.random.Generator) -> AnnData:
    """Keep the two thirds of the spots with the smallest first coordinate."""
    first = query.obsm["spatial"][:, 0]
    return query[first <= np.quantile(first, 1 - MISSING)].copy()


def thin(query: AnnData, rng: np.random.Generator) -> AnnData:
    """Keep each molecule with probability 0.25, those of genes that are not in the file too."""
    query = counts.thin(query, DEPTH, rng, "total_umi_full")
    # A spot needs a size, and one molecule is the smallest that it can have.
    query.obs["total_umi_full"] = np.maximum(query.obs["total_umi_full"], 1.0)
    return query


def halve_panel(query: AnnData, rng: np.random.Generator) -> AnnData:
    """Keep a random half of the genes."""
    return query[:, np.sort(rng.choice(query.n_vars, query.n_vars // 2, replace=False))].copy()


def merge(query: AnnData, rng: np.random.Generator) -> AnnData:
    """Add up groups of about four spots that lie together; a group has the label of most of its spots."""
    n_groups = query.n_obs // SPOTS_MERGED
    group = KMeans(n_groups, n_init=1, random_state=0).fit_predict(query.obsm["spatial"])
    members = sparse.csr_matrix((np.ones(query.n_obs), (group, np.arange(query.n_obs))))
    size = np.bincount(group)
    labels = (
        query.obs["domain"]
        .astype(object)
        .groupby(group)
        .agg(lambda of: of.mode().iloc[0] if of.notna().any() else np.nan)
    )
    merged = AnnData(
        sparse.csr_matrix(members @ query.X, dtype=np.float32),
        obs=pd.DataFrame(
            {
                "slice": pd.Categorical([query.obs["slice"].iloc[0]] * n_groups),
                "domain": pd.Categorical(labels),
                "total_umi_full": members @ query.obs["total_umi_full"].to_numpy(np.float64),
            },
            index=[f"group{number}" for number in range(n_groups)],
        ),
        var=query.var.copy(),
    )
    merged.obsm["spatial"] = (members @ query.obsm["spatial"]) / size[:, None]
    return merged


CASES = (
    Case("plain", n_seeds=10, both_directions=True),
    Case("rotated", (rotate,), n_seeds=10, same_representation_as="plain"),
    Case("missing third", (crop,)),
    Case("25 % of counts", (thin,)),
    Case("half of genes", (halve_panel,)),
    Case("coarse", (merge,)),
    Case("rotated, missing third, 25 % of counts", (rotate, crop, thin), n_seeds=10),
)


def make_pair(case: Case, reference: AnnData, query: AnnData) -> AnnData:
    """Join reference and altered query on their common genes.

    Parameters
    ----------
    case
        What happens to the query.
    reference, query
        Slices with raw counts, ``obsm["spatial"]`` and the columns ``slice``, ``domain`` and ``total_umi_full``.

    Returns
    -------
    Both, with those columns only.
    """
    rng = np.random.default_rng(0)
    for alter in case.alterations:
        query = alter(query, rng)
    genes = reference.var_names[reference.var_names.isin(query.var_names)]
    columns = ["slice", "domain", "total_umi_full"]
    both = [part[:, genes] for part in (reference, query)]
    obs = pd.concat([part.obs[columns].astype({"slice": str, "domain": object}) for part in both])
    obs.index = obs.index + "-" + obs["slice"]
    obs["slice"], obs["domain"] = pd.Categorical(obs["slice"]), pd.Categorical(obs["domain"])
    obs["total_umi_full"] = obs["total_umi_full"].astype(np.float64)
    pair = AnnData(
        sparse.vstack([sparse.csr_matrix(part.X, dtype=np.float32) for part in both], format="csr"),
        obs=obs,
        var=pd.DataFrame(index=genes),
    )
    pair.obsm["spatial"] = np.concatenate([np.asarray(part.obsm["spatial"], dtype=np.float64)[:, :2] for part in both])
    return pair
