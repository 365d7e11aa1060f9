"""Colours of categories: one palette for the package, stored in ``uns`` as by scanpy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib import colormaps
from matplotlib.colors import is_color_like, to_hex

# Seven colours of Okabe and Ito and a violet. Each further colour is the farthest in OKLab from all previous ones, from
# white and from the grey of unannotated spots. The distance is the smallest over normal vision, protanopia and
# deuteranopia.
PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#6A3D9A",
    "#5C3D00", "#8F7AFF", "#A3335C", "#66CC8F", "#7A005C", "#A3470A", "#99CCFF", "#ADEB99",
    "#F55C70", "#4766E0", "#7A8FD6", "#5C0A8F", "#1F667A", "#CCCC5C", "#00CCCC", "#0052C2",
)  # fmt: skip
UNANNOTATED = "#D9D9D9"

Palette = str | Sequence[str] | Mapping[Any, str] | None


def category_colors(adata: AnnData, key: str, categories: Sequence[Any], palette: Palette = None) -> list[str]:
    """Return the hexadecimal colour of each category.

    Parameters
    ----------
    adata
        Annotated data. Its ``uns[f"{key}_colors"]`` are used if ``palette`` is ``None`` and there are enough of them.
    key
        Column of the categories.
    categories
        All categories of the column, in order.
    palette
        Name of a matplotlib colour map, which is sampled evenly, or colour by colour if it is a list of colours; a list
        of colours in the order of the categories; or a mapping of categories to colours. If ``None``, the colours in
        ``uns``, otherwise 24 colours suitable for colour-blind readers, or evenly sampled colours for more categories.

    Returns
    -------
    List of one colour per category.

    Raises
    ------
    ValueError
        If the palette has too few colours, or a colour or colour map does not exist.
    """
    n_colors = len(categories)
    if palette is None:
        kept = list(adata.uns.get(f"{key}_colors", []))
        if n_colors and len(kept) >= n_colors and all(is_color_like(color) for color in kept):
            return [to_hex(color) for color in kept[:n_colors]]
        palette = PALETTE if n_colors <= len(PALETTE) else "turbo"
    if isinstance(palette, str):
        if palette not in colormaps:
            raise ValueError(f"`palette` is {palette!r}, which is not a matplotlib colour map; try 'viridis'.")
        return _sample_colors(palette, n_colors)
    if isinstance(palette, Mapping):
        missing = [category for category in categories if category not in palette]
        if missing:
            raise ValueError(f"`palette` has no colour for {missing[0]!r} of {key!r}; pass one for each category.")
        colors = [palette[category] for category in categories]
    else:
        colors = list(palette)[:n_colors]
        if len(colors) < n_colors:
            raise ValueError(f"`palette` has {len(colors)} colours for {n_colors} categories of {key!r}; pass more.")
    wrong = [color for color in colors if not is_color_like(color)]
    if wrong:
        raise ValueError(f"`palette` has {wrong[0]!r}, which is not a matplotlib colour; pass one such as '#0072B2'.")
    return [to_hex(color) for color in colors]


def as_categorical(values: pd.Series) -> pd.Categorical | None:
    """Return a categorical, text or boolean column as categories, and ``None`` for a column of numbers."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.array
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        return None
    # Missing values among text and booleans stay missing.
    text = values.astype(object).map(str, na_action="ignore")
    return pd.Categorical(text, categories=sorted(text.dropna().unique()))


def _sample_colors(name: str, n_colors: int) -> list[str]:
    color_map = colormaps[name]
    listed = getattr(color_map, "colors", None)
    if listed is not None and n_colors <= len(listed) <= 20:
        return [to_hex(color) for color in listed[:n_colors]]
    return [to_hex(color) for color in color_map(np.linspace(0.03, 0.97, n_colors))]
