"""Map of the tissue, one panel a slice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._validate import check_integer, check_number
from spotscape.pl._coloring import color_categories, color_numbers
from spotscape.pl._colors import Palette, as_categorical
from spotscape.pl._figure import (
    draw_color_bar,
    draw_legend,
    finish,
    legend_rows,
    legend_width,
    panel_grid,
)
from spotscape.pl._map import draw_spots, panel_shape, read_coordinates, tiling_diameter
from spotscape.pl._values import color_values, drawn_slices


def domains(
    adata: AnnData,
    color: str = "spatial_domain",
    *,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    layer: str | None = None,
    spot_size: float | None = None,
    ncols: int = 4,
    palette: Palette = None,
    cmap: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    legend: bool = True,
    title: str | Sequence[str] | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw a map of the tissue coloured by domain, by any other column or by a gene, one panel a slice.

    Spots are drawn in the unit of the coordinates, so that they tile the tissue at any size of the figure. The y axis
    points down, as in images. Spots without a value are light grey.

    Parameters
    ----------
    adata
        Annotated data.
    color
        Column of ``adata.obs`` or name of a gene.
    slice_key
        Column of ``adata.obs`` that names the slice of each spot. If ``None``, the one with which the spatial graph was
        built, otherwise ``"slice"`` if there is such a column, otherwise all spots are drawn in one panel.
    spatial_key
        Key of the coordinates in ``adata.obsm``; the first two columns are drawn.
    layer
        Layer of the gene's values. If ``None``, ``adata.X``.
    spot_size
        Diameter of a spot in the unit of the coordinates. If ``None``, in each slice the one at which the spots of a
        grid leave no gap, taken from the distances to the nearest neighbours.
    ncols
        Largest number of panels in a row.
    palette
        Colours of the categories: name of a matplotlib colour map, list of colours, or a colour for each category. If
        ``None``, those kept in ``adata.uns[f"{color}_colors"]``, and otherwise 24 colours that colour-blind readers
        tell apart.
    cmap
        Colour map of numbers. If ``None``, ``"viridis"``.
    vmin, vmax
        Numbers at the ends of the colour map. If ``None``, the smallest and the largest of all slices.
    legend
        Draw the legend of the categories or the colour bar of the numbers.
    title
        Title of the figure, or of each panel. If ``None``, panels are called as their slices, or as ``color`` where
        there is one panel.
    show
        Show the figure. If ``None``, as ``scanpy.settings.autoshow`` says, unless it is saved.
    save
        ``True``, or a text without folder that is appended to ``"domains"``: saved in ``scanpy.settings.figdir``. A
        :class:`~pathlib.Path`, or a text with a folder: the file itself.
    return_fig
        Return the figure, and do not show it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``. Sets
    ``adata.uns[f"{color}_colors"]`` where the column is categorical.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError
        If coordinates are missing, or an argument does not go with the kind of ``color``.
    """
    values = color_values(adata, color, layer)
    slices, names = drawn_slices(adata, slice_key)
    coordinates = read_coordinates(adata, spatial_key)
    if spot_size is not None:
        check_number(spot_size, "spot_size")
        if spot_size <= 0:
            raise ValueError(f"`spot_size` is {spot_size}; it must be positive.")
    check_integer(ncols, "ncols", minimum=1)
    titles = _titles(title, names, color)
    if as_categorical(values) is None:
        if palette is not None:
            raise ValueError(f"`palette` was given, but {color!r} holds numbers; pass `cmap` instead.")
        coloring = color_numbers(values, cmap, vmin, vmax)
    else:
        if not (cmap is None and vmin is None and vmax is None):
            raise ValueError(f"`cmap`, `vmin`, `vmax` are for numbers, but {color!r} holds categories; use `palette`.")
        coloring = color_categories(adata, values, palette)

    n_panels = max(1, len(names))
    panels = [np.flatnonzero(slices == code) for code in range(n_panels)]
    width = 4.6 if n_panels == 1 else 3.2
    height = width * panel_shape(coordinates, panels) + 0.3
    n_rows = legend_rows(height * -(-n_panels // ncols))
    right = 0.0 if not legend else 0.9 if coloring.mappable is not None else legend_width(coloring.names, n_rows)
    figure, axes = panel_grid(n_panels, ncols, panel_size=(width, height), right=right)
    for panel, name, spots in zip(axes, titles, panels, strict=True):
        drawn = spots[np.argsort(coloring.rank[spots], kind="stable")]
        diameter = tiling_diameter(coordinates[spots]) if spot_size is None else spot_size
        draw_spots(panel, coordinates[drawn], coloring.faces[drawn], diameter)
        panel.set_title(name, fontsize=11)
    if isinstance(title, str) and n_panels > 1:
        figure.suptitle(title, fontsize=13)
    if legend and coloring.mappable is not None:
        draw_color_bar(axes, coloring.mappable, label=color if n_panels > 1 else None)
    elif legend:
        draw_legend(figure, coloring.names, coloring.colors, n_rows)
    if isinstance(values.dtype, pd.CategoricalDtype):
        adata.uns[f"{color}_colors"] = coloring.colors[: coloring.n_categories]
    return finish(figure, axes, "domains", show=show, save=save, return_fig=return_fig)


def _titles(title: str | Sequence[str] | None, names: list[str], color: str) -> list[str]:
    n_panels = max(1, len(names))
    if title is None:
        return names if n_panels > 1 else [color]
    if isinstance(title, str):
        return names if n_panels > 1 else [title]
    if len(title) != n_panels:
        raise ValueError(f"`title` has {len(title)} entries for {n_panels} panels; pass one a panel, or one text.")
    return list(title)
