"""Colours of categories: one palette for the whole package, kept in ``uns`` as scanpy keeps it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib import colormaps
from matplotlib.colors import is_color_like, to_hex

# Seven colours of Okabe and Ito and a violet. Each next one is the colour farthest in OKLab from all before it, from
# white and from the grey of unannotated spots, where the distance is the smallest of those seen with normal vision,
# without the red and without the green cones.
PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#6A3D9A",
    "#5C3D00", "#8F7AFF", "#A3335C", "#66CC8F", "#7A005C", "#A3470A", "#99CCFF", "#ADEB99",
    "#F55C70", "#4766E0", "#7A8FD6", "#5C0A8F", "#1F667A", "#CCCC5C", "#00CCCC", "#0052C2",
)  # fmt: skip
UNANNOTATED = "#D9D9D9"

Palette = str | Sequence[str] | Mapping[Any, str] | None


def category_colors(adata: AnnData, key: str, categories: Sequence[Any], palette: Palette = None) -> list[str]:
    """Choose the hexadecimal colour of each category.

    Parameters
    ----------
    adata
        Annotated data, whose ``uns[f"{key}_colors"]`` are taken where ``palette`` is ``None`` and they are enough.
    key
        Name of the column of the categories.
    categories
        All categories of the column, in order.
    palette
        Name of a matplotlib colour map, which is sampled evenly (or entry by entry where it is a list of colours);
        colours in the order of the categories; or a colour for each category. If ``None``, the colours kept in ``uns``,
        and otherwise 24 colours that colour-blind readers tell apart, or evenly spaced ones where there are more.

    Returns
    -------
    List of colours, one a category.

    Raises
    ------
    ValueError
        If the palette has too few colours, or names a colour or colour map that does not exist.
    """
    n_colors = len(categories)
    if palette is None:
        kept = list(adata.uns.get(f"{key}_colors", []))
        if n_colors and len(kept) >= n_colors and all(is_color_like(color) for color in kept):
            return [to_hex(color) for color in kept[:n_colors]]
        return (
            [to_hex(color) for color in PALETTE[:n_colors]] if n_colors <= len(PALETTE) else _sample("turbo", n_colors)
        )
    if isinstance(palette, str):
        if palette not in colormaps:
            raise ValueError(f"`palette` is {palette!r}, which is no colour map of matplotlib; try 'viridis'.")
        return _sample(palette, n_colors)
    if isinstance(palette, Mapping):
        missing = [category for category in categories if category not in palette]
        if missing:
            raise ValueError(f"`palette` has no colour for {missing[0]!r} of {key!r}; give one for every category.")
        colors = [palette[category] for category in categories]
    else:
        colors = list(palette)[:n_colors]
        if len(colors) < n_colors:
            raise ValueError(f"`palette` has {len(colors)} colours for the {n_colors} categories of {key!r}; add more.")
    wrong = [color for color in colors if not is_color_like(color)]
    if wrong:
        raise ValueError(f"`palette` has {wrong[0]!r}, which is no colour of matplotlib; write it as in '#0072B2'.")
    return [to_hex(color) for color in colors]


def as_categorical(values: pd.Series) -> pd.Categorical | None:
    """Take the categories of a column that is categorical, text or boolean; ``None`` where it holds numbers."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.array
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return None
    # Text and booleans may be mixed with missing values, which are kept as such.
    text = values.astype(object).map(str, na_action="ignore")
    return pd.Categorical(text, categories=sorted(text.dropna().unique()))


def _sample(name: str, n_colors: int) -> list[str]:
    color_map = colormaps[name]
    listed = getattr(color_map, "colors", None)
    if listed is not None and n_colors <= len(listed) <= 20:
        return [to_hex(color) for color in listed[:n_colors]]
    return [to_hex(color) for color in color_map(np.linspace(0.03, 0.97, n_colors))]
