"""What is checked of an AnnData before anything is registered or written."""

from collections.abc import Collection

import pandas as pd
from anndata import AnnData

from spotscape.preprocessing._row_blocks import RowBlocks, row_blocks
from spotscape.preprocessing._values import Values, check_size_factors, check_values, find


def check_setup(
    adata: AnnData,
    *,
    layer: str | None,
    values: str,
    slice_key: str | None,
    spatial_key: str,
    size_factor_key: str | None,
) -> Values:
    """Raise, in one sentence that says what to do, if the data cannot be set up; nothing is changed.

    Parameters
    ----------
    adata
        Spots and genes.
    layer, values, slice_key, spatial_key, size_factor_key
        As in :meth:`spotscape.SPOTSCAPE.setup_anndata`.

    Returns
    -------
    What the expression is: ``"counts"``, ``"normalized"`` or ``"log-normalized"``.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError, TypeError
        If what it names cannot be used.
    """
    if not isinstance(adata.obs, pd.DataFrame):
        raise TypeError(
            "The spots of the AnnData (`adata.obs`) are still in a file; read it with "
            "`spotscape.io.read_sections(paths, lazy=True)`, which leaves the expression there and loads the rest."
        )
    if adata.isbacked and adata.is_view:
        raise ValueError("The AnnData is a view of one in a file; load it into memory with `adata.to_memory()`.")
    if adata.n_vars == 0:
        raise ValueError("The AnnData has no genes; check how it was subset.")
    if adata.n_obs < 2:
        raise ValueError(f"The AnnData has {adata.n_obs} spot(s); a spatial graph needs at least two.")
    for axis, names in (("obs", adata.obs_names), ("var", adata.var_names)):
        if not names.is_unique:
            example = names[names.duplicated()][0]
            raise ValueError(
                f"`adata.{axis}_names` are not unique ({example!r} occurs more than once); call "
                f"`adata.{axis}_names_make_unique()`."
            )
    if layer is not None:
        _check_key(layer, adata.layers.keys(), "layers", "layer")
    elif adata.X is None:
        raise ValueError("`adata.X` is empty; name the layer with the counts in `layer`.")
    _check_key(spatial_key, adata.obsm.keys(), "obsm", "spatial_key")
    if slice_key is not None:
        _check_key(slice_key, adata.obs, "obs", "slice_key")
        n_missing = int(adata.obs[slice_key].isna().sum())
        if n_missing:
            raise ValueError(
                f"`adata.obs[{slice_key!r}]` has {n_missing} missing value(s); every spot must belong to a slice, so "
                "fill them in or drop those spots."
            )
    # Found once for all that is checked.
    rows = row_blocks(adata.X if layer is None else adata.layers[layer])
    kind = check_values(rows, values)
    if size_factor_key is not None:
        _check_size_factors(adata, size_factor_key, rows, kind)
    return kind


def _check_key(key: str, mapping: Collection[str], attribute: str, argument: str) -> None:
    if key not in mapping:
        # Newer AnnData lists `X` among the layers, under no name.
        there = ", ".join(repr(name) for name in mapping if name is not None) or "nothing"
        raise KeyError(f"{key!r} is not in `adata.{attribute}`, which holds {there}; see the argument `{argument}`.")


def _check_size_factors(adata: AnnData, size_factor_key: str, rows: RowBlocks, kind: str) -> None:
    _check_key(size_factor_key, adata.obs, "obs", "size_factor_key")
    column = adata.obs[size_factor_key]
    if not pd.api.types.is_numeric_dtype(column):
        raise TypeError(f"`adata.obs[{size_factor_key!r}]` is of type {column.dtype}; size factors must be numbers.")
    check_size_factors(column.to_numpy(dtype=float), find(rows).totals, kind)
