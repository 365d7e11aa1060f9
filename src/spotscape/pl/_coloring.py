"""How the values of a column or gene become the colours of spots and the entries of a legend."""

from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba_array

from spotscape._validate import check_number
from spotscape.pl._colors import UNANNOTATED, Palette, as_categorical, category_colors

UNANNOTATED_NAME = "not annotated"


class Coloring(NamedTuple):
    """Colours of the spots, and what a legend or a colour bar needs to explain them."""

    faces: np.ndarray
    """Colour of each spot. ``(n_spots, 4)``."""
    rank: np.ndarray
    """Rank of each spot in the order of drawing: spots without a value below, large numbers on top. ``(n_spots,)``."""
    names: list[str]
    """Entries of the legend; empty for numbers."""
    colors: list[str]
    """Colours of these entries."""
    n_categories: int
    """Number of categories, which are the first of the entries."""
    mappable: ScalarMappable | None
    """What a colour bar shows; ``None`` for categories."""

    @property
    def annotated(self) -> np.ndarray:
        """Whether each spot has a value. ``(n_spots,)``."""
        return np.isfinite(self.rank)


def color_categories(adata: AnnData, values: pd.Series, palette: Palette) -> Coloring:
    """Color a categorical, text or boolean column."""
    categorical = cast(pd.Categorical, as_categorical(values))
    colors = category_colors(adata, str(values.name), list(categorical.categories), palette)
    codes = categorical.codes
    names = [str(name) for name in categorical.categories]
    unannotated = [] if (codes >= 0).all() else [UNANNOTATED_NAME]
    return Coloring(
        faces=to_rgba_array([*colors, UNANNOTATED])[codes],
        rank=np.where(codes < 0, -np.inf, 0.0),
        names=names + unannotated,
        colors=[*colors, UNANNOTATED][: len(names) + len(unannotated)],
        n_categories=len(names),
        mappable=None,
    )


def color_numbers(
    values: pd.Series, cmap: str | None, vmin: float | None = None, vmax: float | None = None
) -> Coloring:
    """Color a numeric column or a gene, between its extremes where no limits are given."""
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = ~np.isfinite(numbers)
    if missing.all():
        raise ValueError(f"{values.name!r} is missing for every spot; there is nothing to draw.")
    for name, limit in (("vmin", vmin), ("vmax", vmax)):
        if limit is not None:
            check_number(limit, name)
    low = float(numbers[~missing].min() if vmin is None else vmin)
    high = float(numbers[~missing].max() if vmax is None else vmax)
    if low > high:
        raise ValueError(f"`vmin` is {low} and `vmax` {high}; the first must be the smaller.")
    mappable = ScalarMappable(Normalize(low, high), "viridis" if cmap is None else cmap)
    faces = np.asarray(mappable.to_rgba(np.where(missing, low, numbers)))
    faces[missing] = to_rgba_array(UNANNOTATED)
    return Coloring(faces, np.where(missing, -np.inf, numbers), [], [], 0, mappable)
