"""Values that determine colours, and the slices that are drawn."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._slices import find_slice_key, read_slices
from spotscape._validate import check_name, check_present


def color_values(adata: AnnData, color: str, layer: str | None = None) -> pd.Series:
    """Return the values of a column of ``obs`` or, if there is no such column, of a gene.

    Parameters
    ----------
    adata
        Annotated data.
    color
        Column of ``adata.obs`` or name of a gene.
    layer
        Layer of the gene's values. If ``None``, ``adata.X``.

    Returns
    -------
    Values of the spots. ``(n_spots,)``.

    Raises
    ------
    KeyError
        If there is no such column, gene or layer.
    ValueError
        If ``layer`` is given for a column of ``obs``, or the name of the gene is not unique.
    """
    if not isinstance(color, str):
        raise TypeError(f"`color` is {color!r}; pass the name of one column of `adata.obs` or of one gene.")
    if color in adata.obs.columns:
        if layer is not None:
            raise ValueError(f"`layer` is {layer!r}, but {color!r} is a column of `adata.obs`; omit `layer`.")
        return adata.obs[color]
    if color not in adata.var_names:
        names = [*adata.obs.columns.astype(str), *adata.var_names]
        close = get_close_matches(color, names, n=3)
        hint = f"did you mean {', '.join(map(repr, close))}?" if close else f"pass one of {list(adata.obs.columns)}"
        raise KeyError(f"`color` is {color!r}, which is neither a column of `adata.obs` nor a gene; {hint}.")
    if layer is not None:
        check_present(layer, "layer", adata.layers, "adata.layers")
    column = np.flatnonzero(adata.var_names == color)
    if len(column) > 1:
        raise ValueError(f"{len(column)} genes are called {color!r}; run `adata.var_names_make_unique()` first.")
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        raise ValueError(f"`adata.X` is None and has no values of gene {color!r}; pass `layer`.")
    values = matrix[:, column]
    values = values.toarray() if sparse.issparse(values) else np.asarray(values)
    return pd.Series(values.ravel(), index=adata.obs_names, name=color)


def color_keys(color: str | Sequence[str]) -> list[str]:
    """Return one or several colours as a list of names.

    Raises
    ------
    TypeError
        If a colour is no name.
    ValueError
        If there is none, or one twice.
    """
    keys = [color] if isinstance(color, str) or not isinstance(color, Iterable) else list(color)
    if not keys:
        raise ValueError("`color` is empty; pass at least one column of `adata.obs` or gene.")
    for key in keys:
        check_name(key, "color", "a column of `adata.obs` or of a gene, or a list of names")
    if len(set(keys)) < len(keys):
        raise ValueError(f"`color` is {keys}, which has a name twice; pass each once.")
    return keys


def label_of(adata: AnnData, values: pd.Series, layer: str | None = None, unit: str | None = None) -> str:
    """Name of a column or gene with its layer and its unit, for titles.

    Parameters
    ----------
    adata
        Annotated data.
    values
        Result of :func:`color_values`.
    layer
        Layer of a gene's values.
    unit
        Unit of numbers. If ``None``, ``"counts"`` for genes with whole numbers, otherwise none.
    """
    name = str(values.name)
    is_gene = values.name not in adata.obs.columns
    if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return name
    if unit is None and is_gene:
        numbers = values.to_numpy()
        unit = "counts" if (numbers >= 0).all() and (numbers == np.floor(numbers)).all() else None
    parts = [f"layer {layer}"] if is_gene and layer not in (None, unit) else []
    parts += [] if unit is None else [unit]
    return f"{name} ({', '.join(parts)})" if parts else name


def slice_codes(adata: AnnData, slice_key: str | None) -> tuple[np.ndarray, list[str]]:
    """Return the slice of each spot as a number, and the names of the slices.

    If ``slice_key`` is ``None``, it is the one with which the spatial graph was built, otherwise ``"slice"`` if there
    is such a column, otherwise all spots are one slice without a name.
    """
    key = find_slice_key(adata, slice_key)
    if key is None:
        return np.zeros(adata.n_obs, dtype=np.int64), []
    slices = read_slices(adata, key)
    return slices.cat.codes.to_numpy().astype(np.int64), list(slices.cat.categories)
