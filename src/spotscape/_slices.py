"""The slice of each spot, as stored in the user's AnnData."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._validate import check_present


def find_slice_key(adata: AnnData, slice_key: str | None) -> str | None:
    """Return the column of ``adata.obs`` that names the slices.

    Parameters
    ----------
    adata
        Annotated data.
    slice_key
        Column given by the user. If ``None``, the one with which the spatial graph was built, otherwise ``"slice"``.

    Returns
    -------
    The column, or ``None`` if the user gave none and none of these exists.

    Raises
    ------
    KeyError
        If the column given by the user does not exist.
    """
    if slice_key is None:
        params = adata.uns.get("spatial_neighbors", {}).get("params", {})
        recorded = [params.get("slice_key"), params.get("library_key"), "slice"]
        return next((key for key in recorded if isinstance(key, str) and key in adata.obs.columns), None)
    check_present(slice_key, "slice_key", adata.obs.columns, "adata.obs")
    return slice_key


def need_slice_key(adata: AnnData, slice_key: str | None) -> str:
    """Return the column as :func:`find_slice_key` does, but raise ``KeyError`` if there is none."""
    found = find_slice_key(adata, slice_key)
    if found is None:
        columns = list(adata.obs.columns)
        raise KeyError(f"`slice_key` is None, and `adata.obs` has no column 'slice'; pass one of {columns}.")
    return found


def read_slices(adata: AnnData, slice_key: str) -> pd.Series:
    """Return the slice of each spot as a categorical series of text without unused categories. ``(n_spots,)``.

    Raises
    ------
    ValueError
        If a spot has no slice.
    """
    column = adata.obs[slice_key]
    n_missing = int(column.isna().sum())
    if n_missing:
        raise ValueError(f"`adata.obs[{slice_key!r}]` is missing for {n_missing} spots; assign each spot to a slice.")
    return slice_names(column)


def slice_names(column: pd.Series) -> pd.Series:
    """Names of slices as text: numbers, truth values, dates, intervals and anything else by their text.

    Names that are equal as text, such as 1, 1.0 and ``"1"``, are one slice. Categories keep their order; other slices
    are sorted.

    Parameters
    ----------
    column
        Slice of each spot, without missing values. ``(n_spots,)``.

    Returns
    -------
    Categorical series of text without unused categories. ``(n_spots,)``.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.cat.remove_unused_categories().cat
        codes, values = used.codes.to_numpy(), used.categories
    else:
        try:
            codes, values = pd.factorize(column, sort=True)
        except TypeError:
            codes, values = pd.factorize(column)
    texts = pd.Index([name_of_slice(value) for value in values])
    names = texts.unique()
    return pd.Series(
        pd.Categorical.from_codes(names.get_indexer(texts)[codes], names), index=column.index, name=column.name
    )


def requested_slices(names: Any) -> list[str]:
    """Names of slices that were given as an argument, one or several, as text: 1 is the slice ``"1"``."""
    several = isinstance(names, Iterable) and not isinstance(names, str | bytes)
    return [name_of_slice(name) for name in (names if several else [names])]


def name_of_slice(value: object) -> str:
    """Name of a slice as text."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, pd.Timestamp) and value == value.normalize():
        return str(value.date())
    return str(value)
