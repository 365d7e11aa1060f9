"""What a picture is coloured by: a column of ``obs`` or a gene."""

from difflib import get_close_matches

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from spotscape._slices import find_slice_key, read_slices


def color_values(adata: AnnData, color: str, layer: str | None = None) -> pd.Series:
    """Take the value of each spot of a column of ``obs`` or, where there is none, of a gene.

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
    Series. ``(n_spots,)``.

    Raises
    ------
    KeyError
        If there is no such column, gene or layer.
    ValueError
        If ``layer`` is given for a column of ``obs``, or the gene's name is not unique.
    """
    if not isinstance(color, str):
        raise TypeError(f"`color` is {color!r}; pass the name of one column of `adata.obs` or of one gene.")
    if color in adata.obs.columns:
        if layer is not None:
            raise ValueError(f"`layer` is {layer!r}, but {color!r} is a column of `adata.obs`; leave `layer` out.")
        return adata.obs[color]
    if color not in adata.var_names:
        names = [*adata.obs.columns.astype(str), *adata.var_names]
        close = get_close_matches(color, names, n=3)
        hint = f"did you mean {', '.join(map(repr, close))}" if close else f"columns are {list(adata.obs.columns)}"
        raise KeyError(f"`color` is {color!r}, which is neither a column of `adata.obs` nor a gene; {hint}?")
    if layer is not None and layer not in adata.layers:
        raise KeyError(f"`layer` is {layer!r}, which is not in `adata.layers`; there are {list(adata.layers)}.")
    column = np.flatnonzero(adata.var_names == color)
    if len(column) > 1:
        raise ValueError(f"{len(column)} genes are called {color!r}; run `adata.var_names_make_unique()` first.")
    matrix = adata.X if layer is None else adata.layers[layer]
    if matrix is None:
        raise ValueError(f"`adata.X` is None, so there are no values of gene {color!r}; pass `layer`.")
    values = matrix[:, column]
    values = values.toarray() if sparse.issparse(values) else np.asarray(values)
    return pd.Series(values.ravel(), index=adata.obs_names, name=color)


def drawn_slices(adata: AnnData, slice_key: str | None) -> tuple[np.ndarray, list[str]]:
    """Encode the slice of each spot, and the names of the slices.

    Where ``slice_key`` is ``None``, it is the key with which the spatial graph was built, otherwise ``"slice"`` if
    there is such a column, otherwise all spots are one slice.
    """
    key = find_slice_key(adata, slice_key)
    if key is None:
        return np.zeros(adata.n_obs, dtype=np.int64), []
    slices = read_slices(adata, key)
    return slices.cat.codes.to_numpy().astype(np.int64), list(slices.cat.categories)
