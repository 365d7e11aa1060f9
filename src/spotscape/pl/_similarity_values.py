"""Values for the figure of the similarity of one spot to all others."""

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._validate import check_integer, check_present, shown
from spotscape.pl._colors import as_categorical, category_colors


def check_representation_keys(adata: AnnData, use_rep: str | Sequence[str], center: bool) -> list[str]:
    """Return the keys as a list, after a check of each and of its combination with ``center``."""
    if not isinstance(use_rep, Sequence):
        raise TypeError(f"`use_rep` is {shown(use_rep)}; pass one key of `adata.obsm`, or several.")
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
                "omit `center`, or store a dense representation in `adata.obsm`."
            )
    return keys


def read_domains(adata: AnnData, domain_key: str) -> pd.Categorical:
    """Return the domain of each spot. ``(n_spots,)``."""
    check_present(domain_key, "domain_key", adata.obs.columns, "adata.obs")
    domains = as_categorical(adata.obs[domain_key])
    if domains is None:
        raise ValueError(f"`adata.obs[{domain_key!r}]` contains numbers; make it categorical, or pass another column.")
    if (domains.codes < 0).all():
        raise ValueError(f"`adata.obs[{domain_key!r}]` is missing for all spots; omit `domain_key`.")
    return domains


def find_spot(adata: AnnData, spot: str | int | None, slices: np.ndarray, coordinates: np.ndarray) -> int:
    """Return the row number of the spot, by default the one nearest to the centre of the largest slice."""
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
        raise KeyError(
            f"`spot` is {spot!r}, which is not in `adata.obs_names`; pass a row number or a name such as {close}."
        )
    if len(found) > 1:
        raise ValueError(f"{len(found)} spots have the name {spot!r}; pass the row number of one, such as {found[0]}.")
    return int(found[0])


def cosines_to(representation: np.ndarray, position: int, key: str, *, center: bool) -> np.ndarray:
    """Cosine similarity of one spot to every spot, missing for vectors of zeros. ``(n_spots,)``."""
    vectors = representation.astype(np.float64)
    zero = 1e-12 * np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max())
    if center:
        vectors -= vectors.mean(axis=0)
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    # By rounding, a vector equal to the mean may be centred to a small vector of arbitrary direction.
    norms[norms <= zero] = np.nan
    if np.isnan(norms[position]):
        reason = "equals the mean of all spots" if center else "is zero"
        raise ValueError(f"`{key}` of spot {position} {reason} and has no cosine similarity; pass another `spot`.")
    return np.clip(vectors @ (vectors[position] / norms[position]) / norms, -1.0, 1.0)


def by_distance(cosines: np.ndarray, distances: np.ndarray, n_bins: int) -> pd.DataFrame:
    """Mean distance, and mean and quantiles of the similarity, in each distance bin that has spots."""
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
    """Quantiles of the similarity in each domain that has spots, in increasing order of the median."""
    defined = np.isfinite(cosines) & (domains.codes >= 0)
    names = pd.Series(domains[defined].astype(str))
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    table = pd.Series(cosines[defined]).groupby(names.to_numpy()).quantile(levels).unstack()
    return table.reindex(columns=levels).sort_values(0.5, kind="stable")


def color_of_domain(adata: AnnData, domain_key: str, domains: pd.Categorical, position: int) -> dict[str, str]:
    """Name and colour of the domain of a spot; empty if it has none."""
    code = domains.codes[position]
    colors = category_colors(adata, domain_key, list(domains.categories))
    return {str(domains.categories[code]): colors[code]} if code >= 0 else {}
