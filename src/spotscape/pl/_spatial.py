"""Maps of the tissue, one panel per slice."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, cast

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape._validate import check_choice, check_name, check_text, optional, share_above_zero
from spotscape.pl._coloring import color_spots, draw_guide
from spotscape.pl._colors import Palette, as_categorical
from spotscape.pl._figure import savefig_or_show
from spotscape.pl._image import tissue_images
from spotscape.pl._lattice import SHAPES
from spotscape.pl._map import draw_map, panel_shape, read_coordinates
from spotscape.pl._matching import palettes
from spotscape.pl._panels import panel_groups, panel_titles
from spotscape.pl._values import color_keys, color_values, label_of, slice_codes

#: Default opacity of spots on an image.
_ALPHA_ON_IMAGE = 0.7


def spatial(
    adata: AnnData,
    color: str | Sequence[str] = "spatial_domain",
    *,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    layer: str | None = None,
    unit: str | None = None,
    image: bool | None = None,
    image_key: str | None = None,
    shape: str = "auto",
    spot_size: float | None = None,
    alpha: float | None = None,
    match_colors_to: str | None = None,
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
    r"""Draw maps of the tissue by domain, other columns or genes, one panel per slice.

    Spots tile the tissue at any size of the figure: as hexagons if they are on a hexagonal lattice (Visium), as squares
    if they are on a square one (bins), both turned as the lattice is, otherwise as circles (cells). Their size is that
    of the spacing of neighbours in each slice. The tissue image of a slice in
    ``adata.uns["spatial"][slice]``, with its scale factor, lies beneath. The y axis points down, as in images. Spots
    without a value are light grey, and names are drawn as they are, also if they have dollar signs.

    Parameters
    ----------
    adata
        Annotated data.
    color
        Column of ``adata.obs`` or name of a gene, or a list of them.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. If ``None``, the one with which the spatial graph was
        built, otherwise ``"slice"`` if there is such a column, otherwise all spots are drawn in one panel.
    spatial_key
        Key of the coordinates in ``adata.obsm``; the first two columns are drawn.
    layer
        Layer of the values of genes, which titles name. If ``None``, ``adata.X``.
    unit
        Unit of the numbers, for titles and colour bars. If ``None``, ``"counts"`` for genes whose values are whole
        numbers, otherwise none.
    image
        Whether to draw the tissue image beneath the spots. If ``None``, where there is one.
    image_key
        Key of the image in ``adata.uns["spatial"][slice]["images"]``. If ``None``, ``"hires"`` or else ``"lowres"``.
    shape
        ``"hexagon"``, ``"square"`` or ``"circle"``. ``"auto"``: by the lattice of each slice.
    spot_size
        Distance between opposite sides of a spot, or its diameter, in the unit of the coordinates. If ``None``, the
        spacing of neighbours on a lattice, and nine tenths of the distance to the fourth neighbour otherwise.
    alpha
        Opacity of the spots, above 0 and at most 1. If ``None``, 1, or 0.7 on an image.
    match_colors_to
        Column of ``adata.obs``, such as an annotation. Each domain takes the colour of the category that it overlaps
        most, in one-to-one pairs that have the largest number of spots in common.
    ncols
        Maximum number of panels per row. With several colours and slices, each colour starts a row.
    palette
        Colours of categories: name of a matplotlib colour map, list of colours, or mapping of categories to colours. If
        ``None``, those in ``adata.uns[f"{color}_colors"]``, otherwise 24 colours suitable for colour-blind readers.
        With ``match_colors_to``, the colours of that column.
    cmap
        Colour map of numbers. If ``None``, ``"viridis"``.
    vmin, vmax
        Limits of the colour map. If ``None``, the smallest and the largest number of each colour over all slices.
    legend
        Whether to draw legends of categories and colour bars of numbers.
    title
        Title of the figure, or list of one title per panel. If ``None``, panels have the name of their slice, their
        colour with its layer and unit, or both.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"spatial"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``. Sets
    ``adata.uns[f"{color}_colors"]`` for each categorical column.

    Raises
    ------
    KeyError
        If a key is missing, or an image that was asked for.
    TypeError
        If an argument has the wrong type.
    ValueError
        If coordinates are missing, or an argument applies to none of ``color``.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> panels = sps.pl.spatial(adata, color="domain", show=False)
    >>> [panel.get_title() for panel in panels]
    ['slice_1', 'slice_2']
    >>> section = adata[adata.obs["slice"] == "slice_1"].copy()
    >>> panels = sps.pl.spatial(section, color=["domain", "gene_01"], layer="counts", show=False)
    >>> [panel.get_title() for panel in panels[:2]]
    ['domain', 'gene_01 (counts)']
    """
    check_call(spatial, locals(), title=_check_title)
    keys = color_keys(color)
    slices, names = slice_codes(adata, slice_key)
    coordinates = read_coordinates(adata, spatial_key)
    check_choice(shape, ("auto", *SHAPES), "shape")
    optional(share_above_zero)(alpha, "alpha")
    columns = [color_values(adata, key, None if key in adata.obs.columns else layer) for key in keys]
    numeric = [as_categorical(values) is None for values in columns]
    _check_used(adata, keys, numeric, layer=layer, unit=unit, palette=palette, limits=(cmap, vmin, vmax))
    images = tissue_images(adata, names, image, image_key)
    labels = [label_of(adata, values, layer, unit) for values in columns]
    titles = panel_titles(title, names, labels)
    own = palettes(adata, keys, numeric, palette, match_colors_to)
    limits: dict[str, Any] = {"cmap": cmap, "vmin": vmin, "vmax": vmax}
    colorings = [
        color_spots(adata, values, palette=colors, **limits) for values, colors in zip(columns, own, strict=True)
    ]

    spots = [np.flatnonzero(slices == code) for code in range(max(1, len(names)))]
    groups = panel_groups(colorings, len(spots), ncols, panel_shape(coordinates, spots), legend=legend)
    for group, coloring, label in zip(groups, colorings, labels, strict=True):
        for panel, drawn, picture in zip(group.panels, spots, images, strict=True):
            opacity = alpha if alpha is not None else 1.0 if picture is None else _ALPHA_ON_IMAGE
            draw_map(panel, coordinates, coloring, drawn, spot_size, shape=shape, alpha=opacity)
            if picture is not None:
                picture.draw(panel)
        if legend:
            bar = label if len(spots) > 1 else None
            draw_guide(coloring, group.where, group.panels, n_rows=group.n_legend_rows, label=bar)
        if len(groups) > 1 and len(spots) > 1 and title is None:
            group.where.suptitle(label, fontsize=12)
    axes = [panel for group in groups for panel in group.panels]
    for panel, text in zip(axes, titles, strict=True):
        panel.set_title(fill(text, group.title_length), fontsize=11)
    figure = cast(Figure, axes[0].get_figure(root=True))
    if isinstance(title, str) and len(axes) > 1:
        figure.suptitle(title, fontsize=13)
    for key, values, coloring in zip(keys, columns, colorings, strict=True):
        # A view that is written to becomes a copy, with a warning.
        if isinstance(values.dtype, pd.CategoricalDtype) and not adata.is_view:
            adata.uns[f"{key}_colors"] = coloring.colors[: len(values.cat.categories)]
    return savefig_or_show(figure, axes, "spatial", show=show, save=save, return_fig=return_fig)


def _check_title(value: Any, name: str) -> None:
    """Raise ``TypeError`` unless ``value`` is a text, or a list of texts."""
    for one in value if isinstance(value, list | tuple) else [value]:
        check_text(one, name)


def _check_used(
    adata: AnnData,
    keys: list[str],
    numeric: list[bool],
    *,
    layer: str | None,
    unit: str | None,
    palette: Palette,
    limits: tuple[Any, ...],
) -> None:
    """Raise for arguments that apply to none of the colours."""
    shown = f"{keys[0]!r}" if len(keys) == 1 else f"every one of {keys}"
    if layer is not None and all(key in adata.obs.columns for key in keys):
        raise ValueError(f"`layer` is {layer!r}, but {shown} is a column of `adata.obs`; omit `layer`.")
    if unit is not None:
        check_name(unit, "unit", "the unit of the numbers")
    if palette is not None and all(numeric):
        raise ValueError(f"`palette` was given, but {shown} contains numbers; pass `cmap` instead.")
    if not any(numeric) and any(value is not None for value in (*limits, unit)):
        raise ValueError(f"`cmap`, `vmin`, `vmax`, `unit` are for numbers, but {shown} has categories; pass `palette`.")
