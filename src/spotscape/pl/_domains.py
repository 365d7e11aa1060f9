"""Map of the tissue, one panel per slice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape._validate import check_integer, check_positive, check_text
from spotscape.pl._coloring import color_spots, draw_guide
from spotscape.pl._colors import Palette, as_categorical
from spotscape.pl._figure import legend_rows, legend_width, panel_grid, savefig_or_show
from spotscape.pl._map import draw_map, panel_shape, read_coordinates
from spotscape.pl._values import color_values, slice_codes


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
    """Draw a map of the tissue coloured by domain, another column or a gene, one panel per slice.

    The size of spots is in the unit of the coordinates, so they tile the tissue at any size of the figure. The y axis
    points down, as in images. Spots without a value are light grey.

    Parameters
    ----------
    adata
        Annotated data.
    color
        Column of ``adata.obs`` or name of a gene.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. If ``None``, the one with which the spatial graph was
        built, otherwise ``"slice"`` if there is such a column, otherwise all spots are drawn in one panel.
    spatial_key
        Key of the coordinates in ``adata.obsm``; the first two columns are drawn.
    layer
        Layer of the gene's values. If ``None``, ``adata.X``.
    spot_size
        Diameter of a spot in the unit of the coordinates. If ``None``, it is chosen in each slice from the distances to
        the nearest neighbours, so that the spots of a grid leave no gaps.
    ncols
        Maximum number of panels per row.
    palette
        Colours of categories: name of a matplotlib colour map, list of colours, or mapping of categories to colours. If
        ``None``, those in ``adata.uns[f"{color}_colors"]``, otherwise 24 colours suitable for colour-blind readers.
    cmap
        Colour map of numbers. If ``None``, ``"viridis"``.
    vmin, vmax
        Limits of the colour map. If ``None``, the smallest and the largest number over all slices.
    legend
        Whether to draw the legend of categories or the colour bar of numbers.
    title
        Title of the figure, or list of one title per panel. If ``None``, the name of each slice, or ``color`` if there
        is only one panel.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"domains"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``. Sets
    ``adata.uns[f"{color}_colors"]`` if the column is categorical.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError
        If coordinates are missing, or an argument does not apply to the type of ``color``.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> panels = sps.pl.domains(adata, color="domain", show=False)
    >>> [panel.get_title() for panel in panels]
    ['slice_1', 'slice_2']
    """
    check_call(domains, locals(), title=_check_title)
    values = color_values(adata, color, layer)
    slices, names = slice_codes(adata, slice_key)
    coordinates = read_coordinates(adata, spatial_key)
    if spot_size is not None:
        check_positive(spot_size, "spot_size")
    check_integer(ncols, "ncols", minimum=1)
    titles = _titles(title, names, color)
    is_numeric = as_categorical(values) is None
    if is_numeric and palette is not None:
        raise ValueError(f"`palette` was given, but {color!r} contains numbers; pass `cmap` instead.")
    if not is_numeric and not (cmap is None and vmin is None and vmax is None):
        raise ValueError(f"`cmap`, `vmin`, `vmax` are for numbers, but {color!r} has categories; pass `palette`.")
    coloring = color_spots(adata, values, palette=palette, cmap=cmap, vmin=vmin, vmax=vmax)

    n_panels = max(1, len(names))
    panels = [np.flatnonzero(slices == code) for code in range(n_panels)]
    width = 4.6 if n_panels == 1 else 3.2
    height = width * panel_shape(coordinates, panels) + 0.3
    n_rows = legend_rows(height * -(-n_panels // ncols))
    right = 0.0 if not legend else 0.9 if is_numeric else legend_width(coloring.names, n_rows)
    figure, axes = panel_grid(n_panels, ncols, panel_size=(width, height), right=right)
    for panel, name, spots in zip(axes, titles, panels, strict=True):
        draw_map(panel, coordinates, coloring, spots, spot_size)
        panel.set_title(name, fontsize=11)
    if isinstance(title, str) and n_panels > 1:
        figure.suptitle(title, fontsize=13)
    if legend:
        draw_guide(coloring, figure, axes, n_rows=n_rows, label=color if n_panels > 1 else None)
    if isinstance(values.dtype, pd.CategoricalDtype):
        adata.uns[f"{color}_colors"] = coloring.colors[: len(values.cat.categories)]
    return savefig_or_show(figure, axes, "domains", show=show, save=save, return_fig=return_fig)


def _check_title(value: Any, name: str) -> None:
    """Raise ``TypeError`` unless ``value`` is a text, or a list of texts."""
    for one in value if isinstance(value, list | tuple) else [value]:
        check_text(one, name)


def _titles(title: str | Sequence[str] | None, names: list[str], color: str) -> list[str]:
    n_panels = max(1, len(names))
    if title is None or isinstance(title, str):
        return names if n_panels > 1 else [color if title is None else title]
    if len(title) != n_panels:
        raise ValueError(f"`title` has {len(title)} entries for {n_panels} panels; pass one per panel, or one string.")
    return list(title)
