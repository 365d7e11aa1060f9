"""Which slice each spot is of, as the user's data has it."""

import pandas as pd
from anndata import AnnData


def find_slice_key(adata: AnnData, slice_key: str | None) -> str | None:
    """Column of ``adata.obs`` that names the slices.

    Parameters
    ----------
    adata
        Annotated data.
    slice_key
        What the user named. ``None``: the key with which the spatial graph was built, otherwise ``"slice"``.

    Returns
    -------
    The key, or ``None`` if the user named none and there is no such column.

    Raises
    ------
    KeyError
        If the user named a column that is missing.
    """
    if slice_key is None:
        params = adata.uns.get("spatial_neighbors", {}).get("params", {})
        recorded = [params.get("slice_key"), params.get("library_key"), "slice"]
        return next((key for key in recorded if isinstance(key, str) and key in adata.obs.columns), None)
    if slice_key not in adata.obs.columns:
        raise KeyError(
            f"`slice_key` is {slice_key!r}, which is not in `adata.obs`; there are {list(adata.obs.columns)}."
        )
    return slice_key


def need_slice_key(adata: AnnData, slice_key: str | None) -> str:
    """Do as :func:`find_slice_key`, where slices are needed: that there is no column raises ``KeyError`` as well."""
    found = find_slice_key(adata, slice_key)
    if found is None:
        there = list(adata.obs.columns)
        raise KeyError(f"`slice_key` is None, and there is no column 'slice' in `adata.obs`; name one of {there}.")
    return found


def read_slices(adata: AnnData, slice_key: str) -> pd.Series:
    """Slice of each spot, as a categorical column of strings without unused categories. ``(n_spots,)``.

    Raises
    ------
    ValueError
        If a spot has no slice.
    """
    column = adata.obs[slice_key]
    n_missing = int(column.isna().sum())
    if n_missing:
        raise ValueError(f"`adata.obs[{slice_key!r}]` is missing for {n_missing} spots; give each spot its slice.")
    # The order of the categories is the user's; names that are the same as text are one slice.
    names = column.astype("category").cat.remove_unused_categories().cat.categories
    return column.astype(str).astype(pd.CategoricalDtype(list(dict.fromkeys(map(str, names)))))
