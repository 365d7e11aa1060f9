"""The numbers behind the picture of one spot's similarity to all others."""

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._validate import check_integer
from spotscape.pl._colors import as_categorical, category_colors


def representation_keys(adata: AnnData, use_rep: str | Sequence[str], center: bool) -> list[str]:
    keys = [use_rep] if isinstance(use_rep, str) else list(use_rep)
    if not keys:
        raise ValueError("`use_rep` is empty; pass at least one key of `adata.obsm`.")
    if not isinstance(center, (bool, np.bool_)):
        raise TypeError(f"`center` is {center!r}; pass True or False.")
    for key in keys:
        if not isinstance(key, str):
            raise TypeError(f"`use_rep` has {key!r}; pass keys of `adata.obsm`.")
        if keys.count(key) > 1:
            raise ValueError(f"`use_rep` has {key!r} {keys.count(key)} times; name each representation once.")
        if not center and (key == "X" or sparse.issparse(adata.obsm.get(key))):
            raise ValueError(
                f"`center` is False, but {key!r} may be reduced to principal components, which are centred; "
                "leave `center` out, or store a dense representation in `adata.obsm`."
            )
    return keys


def domain_of(adata: AnnData, domain_key: str) -> pd.Categorical:
    if domain_key not in adata.obs.columns:
        there = list(adata.obs.columns)
        raise KeyError(f"`domain_key` is {domain_key!r}, which is not in `adata.obs`; there are {there}.")
    domains = as_categorical(adata.obs[domain_key])
    if domains is None:
        raise ValueError(f"`adata.obs[{domain_key!r}]` holds numbers; make it categorical, or pass another column.")
    if (domains.codes < 0).all():
        raise ValueError(f"`adata.obs[{domain_key!r}]` is missing for every spot; leave `domain_key` out.")
    return domains


def spot_position(adata: AnnData, spot: str | int | None, slices: np.ndarray, coordinates: np.ndarray) -> int:
    if spot is None:
        largest = np.flatnonzero(slices == np.bincount(slices).argmax())
        offsets = coordinates[largest] - coordinates[largest].mean(axis=0)
        return int(largest[(offsets**2).sum(axis=1).argmin()])
    if not isinstance(spot, str):
        check_integer(spot, "spot", minimum=0, maximum=adata.n_obs - 1)
        return int(spot)
    found = np.flatnonzero(adata.obs_names == spot)
    if not len(found):
        close = get_close_matches(spot, adata.obs_names, n=3) or list(adata.obs_names[:3])
        raise KeyError(f"`spot` is {spot!r}, which is not in `adata.obs_names`; names are like {close}.")
    if len(found) > 1:
        raise ValueError(f"{len(found)} spots are called {spot!r}; pass the position of one, such as {found[0]}.")
    return int(found[0])


def cosines_to(representation: np.ndarray, position: int, key: str, *, center: bool) -> np.ndarray:
    """Cosine similarity of one spot to every spot, missing where a vector is zero. ``(n_spots,)``."""
    vectors = representation.astype(np.float64)
    zero = 1e-12 * np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max())
    if center:
        vectors -= vectors.mean(axis=0)
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    # Rounding leaves a vector that equals the mean a little away from zero, in a direction that means nothing.
    norms[norms <= zero] = np.nan
    if np.isnan(norms[position]):
        what = "equals the mean of all spots" if center else "is zero"
        raise ValueError(f"`{key}` of spot {position} {what}, so it has no cosine similarity; choose another `spot`.")
    return np.clip(vectors @ (vectors[position] / norms[position]) / norms, -1.0, 1.0)


def by_distance(cosines: np.ndarray, distances: np.ndarray, n_bins: int) -> pd.DataFrame:
    """Mean distance, and mean and quantiles of the similarity, of each bin of distances that holds spots."""
    width = distances.max() / n_bins
    bins = np.minimum(distances / width, n_bins - 1).astype(np.int64) if width > 0 else np.zeros(len(distances), int)
    defined = np.isfinite(cosines)
    groups = pd.DataFrame({"distance": distances[defined], "cosine": cosines[defined]}).groupby(bins[defined])
    means, quantiles = groups.mean(), groups["cosine"].quantile([0.1, 0.9]).unstack()
    return pd.DataFrame(
        {
            "distance": means["distance"],
            "mean": means["cosine"],
            "low": quantiles.get(0.1, means["cosine"]),
            "high": quantiles.get(0.9, means["cosine"]),
        }
    )


def by_domain(cosines: np.ndarray, domains: pd.Categorical) -> pd.DataFrame:
    """Quantiles of the similarity of each domain that has spots, the highest median last."""
    defined = np.isfinite(cosines) & (domains.codes >= 0)
    names = pd.Series(domains[defined].astype(str))
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    table = pd.Series(cosines[defined]).groupby(names.to_numpy()).quantile(levels).unstack()
    return table.reindex(columns=levels).sort_values(0.5, kind="stable")


def own_color(adata: AnnData, domain_key: str, domains: pd.Categorical, position: int) -> dict[str, str]:
    """Name of the spot's domain and its colour; nothing where the spot has no domain."""
    own = domains.codes[position]
    colors = category_colors(adata, domain_key, list(domains.categories))
    return {str(domains.categories[own]): colors[own]} if own >= 0 else {}
