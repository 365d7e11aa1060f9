"""Columns of domains and of their confidence, as they are stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData


def as_categorical(codes: np.ndarray, names: Sequence[str] | None = None) -> pd.Categorical:
    """Domains with their numbers from 1 as categories, or with other names."""
    names = [str(number + 1) for number in range(codes.max() + 1)] if names is None else names
    return pd.Categorical.from_codes(codes, categories=names)


def merged_domains(codes: np.ndarray, confidences: np.ndarray, merged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coarser domain of each spot, and the confidence in it.

    Parameters
    ----------
    codes
        Domain of each spot. ``(n_spots,)``.
    confidences
        Confidence in each domain. ``(n_spots, n_domains)``.
    merged
        Coarser domain of each domain. ``(n_domains,)``.

    Returns
    -------
    Coarser domains and confidences. ``(n_spots,)`` each.
    """
    coarse = merged[codes]
    return coarse, (confidences @ np.eye(merged.max() + 1)[merged])[np.arange(len(coarse)), coarse]


def store_domains(adata: AnnData, key: str, columns: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Write columns and parameters, and remove those of an earlier call."""
    for name in _columns_of(adata, key) - set(columns):
        del adata.obs[name]
        adata.uns.pop(f"{name}_colors", None)
    for name, column in columns.items():
        adata.obs[name] = column
        # Colours of an earlier answer with another number of domains, which squidpy refuses.
        colors = adata.uns.get(f"{name}_colors")
        if colors is not None and len(colors) != len(getattr(column, "categories", colors)):
            del adata.uns[f"{name}_colors"]
    adata.uns[key] = dict(result)


def _columns_of(adata: AnnData, key: str) -> set[str]:
    """Columns that describe the domains of an earlier call, besides the domains themselves."""
    if key not in adata.uns:
        return set()
    levels = np.asarray(adata.uns[key].get("levels", []), dtype=int).tolist()
    names = [f"{key}_confidence", *(f"{key}_{level}{end}" for level in levels for end in ("", "_confidence"))]
    return {name for name in names if name in adata.obs}
