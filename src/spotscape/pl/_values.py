"""Values that determine colours, and the slices that are drawn."""

from difflib import get_close_matches

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._slices import find_slice_key, read_slices
from spotscape._validate import check_present


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
