"""Colours of spots by the values of a column or gene, and the legend or colour bar that explains them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba_array
from matplotlib.figure import FigureBase

from spotscape._validate import check_number
from spotscape.pl._colors import UNANNOTATED, Palette, as_categorical, category_colors
from spotscape.pl._figure import draw_color_bar, draw_legend

UNANNOTATED_NAME = "not annotated"


class Coloring(NamedTuple):
    """Colours of the spots, and the content of the legend or colour bar."""

    faces: np.ndarray
    """Colour of each spot. ``(n_spots, 4)``."""
    rank: np.ndarray
    """Drawing order of the spots: those without a value first, large numbers last. ``(n_spots,)``."""
    names: list[str]
    """Legend entries: the categories, and the spots without one; empty for numbers."""
    colors: list[str]
    """Colours of the legend entries."""
    mappable: ScalarMappable | None
    """Content of the colour bar, ``None`` for categories."""


def color_spots(
    adata: AnnData,
    values: pd.Series,
    *,
    palette: Palette = None,
    cmap: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
) -> Coloring:
    """Color spots by categories with a palette, or by numbers with a colour map."""
    categorical = as_categorical(values)
    if categorical is None:
        return color_numbers(values, cmap, vmin, vmax)
    colors = category_colors(adata, str(values.name), list(categorical.categories), palette)
    codes = categorical.codes
    names = [str(name) for name in categorical.categories]
    unannotated = [] if (codes >= 0).all() else [UNANNOTATED_NAME]
    return Coloring(
        faces=to_rgba_array([*colors, UNANNOTATED])[codes],
        rank=np.where(codes < 0, -np.inf, 0.0),
        names=names + unannotated,
        colors=[*colors, UNANNOTATED][: len(names) + len(unannotated)],
        mappable=None,
    )


def draw_guide(
    coloring: Coloring, where: FigureBase | Axes, panels: list[Axes], *, n_rows: int = 16, label: str | None = None
) -> None:
    """Draw the legend of categories at a figure or panel, or the colour bar of numbers at some panels."""
    if coloring.mappable is None:
        draw_legend(where, coloring.names, coloring.colors, n_rows)
    else:
        draw_color_bar(panels, coloring.mappable, label)


def color_numbers(
    values: pd.Series, cmap: str | None, vmin: float | None = None, vmax: float | None = None
) -> Coloring:
    """Color spots by numbers. Limits default to the smallest and the largest number."""
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = ~np.isfinite(numbers)
    if missing.all():
        raise ValueError(f"{values.name!r} is missing for all spots; pass a column or gene with values.")
    for name, limit in (("vmin", vmin), ("vmax", vmax)):
        if limit is not None:
            check_number(limit, name)
    low = float(numbers[~missing].min() if vmin is None else vmin)
    high = float(numbers[~missing].max() if vmax is None else vmax)
    if low > high:
        raise ValueError(f"`vmin` is {low} and `vmax` is {high}; `vmin` must not be larger.")
    mappable = ScalarMappable(Normalize(low, high), "viridis" if cmap is None else cmap)
    faces = np.asarray(mappable.to_rgba(np.where(missing, low, numbers)))
    faces[missing] = to_rgba_array(UNANNOTATED)
    return Coloring(faces, np.where(missing, -np.inf, numbers), [], [], mappable)
