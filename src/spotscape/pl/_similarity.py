"""How similar one spot is to all others: over the tissue, against distance, and by domain."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from spotscape._validate import check_integer, check_number
from spotscape.pl._coloring import color_numbers
from spotscape.pl._colors import PALETTE, UNANNOTATED
from spotscape.pl._figure import draw_color_bar, finish
from spotscape.pl._map import draw_spots, panel_shape, read_coordinates, tiling_diameter
from spotscape.pl._similarity_values import (
    by_distance,
    by_domain,
    cosines_to,
    domain_of,
    own_color,
    representation_keys,
    spot_position,
)
from spotscape.pl._values import drawn_slices
from spotscape.tl._representation import read_representation


def similarity(
    adata: AnnData,
    spot: str | int | None = None,
    use_rep: str | Sequence[str] = "X_spotscape",
    *,
    domain_key: str | None = None,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    center: bool = True,
    n_bins: int = 20,
    spot_size: float | None = None,
    ncols: int = 4,
    cmap: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    legend: bool = True,
    title: str | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    r"""Draw how similar the representation of one spot is to those of all others, one row a representation.

    A row has a map of each slice, in which a star marks the spot :cite:p:`Oh2025`; the similarity against the distance
    in the tissue; and, with ``domain_key``, the similarity by domain. Rows have the same scales, so that a model can be
    held against floors such as principal components. ``adata`` is left as it is.

    Parameters
    ----------
    adata
        Annotated data.
    spot
        Name in ``adata.obs_names``, or position from 0. If ``None``, the spot nearest to the mean position of the
        largest slice.
    use_rep
        Keys of representations in ``adata.obsm``, or ``"X"``; a row each. ``"X"`` and sparse matrices with more than 50
        columns are reduced to 50 principal components.
    domain_key
        Column of ``adata.obs`` with the domain of each spot; spots without one are left out of its panel. If ``None``,
        there is no such panel.
    slice_key
        Column of ``adata.obs`` that names the slice of each spot. If ``None``, as in :func:`spotscape.pl.domains`.
    spatial_key
        Key of the coordinates in ``adata.obsm``; the first two columns are used.
    center
        Subtract the mean representation of all spots first. Representations often share a large common part, and fill a
        narrow cone: without it, all similarities are near 1.
    n_bins
        Number of bins of equal width, from 0 to the largest distance, in which spots are summarised; bins without
        spots are left out.
    spot_size
        Diameter of a spot in the unit of the coordinates. If ``None``, as in :func:`spotscape.pl.domains`.
    ncols
        Largest number of maps beside each other; a representation of more slices has several rows of maps.
    cmap
        Colour map of the similarity. If ``None``, ``"RdBu_r"`` if ``center``, else ``"viridis"``.
    vmin, vmax
        Similarities at the ends of the colour map. If ``None``, -1 and 1 if ``center``, else the smallest of all rows
        and 1.
    legend
        Draw the colour bars, one a row.
    title
        Title of the figure. If ``None``, it names the spot and its domain.
    show
        Show the figure. If ``None``, as ``scanpy.settings.autoshow`` says, unless it is saved.
    save
        ``True``, or a text without folder that is appended to ``"similarity"``: saved in ``scanpy.settings.figdir``. A
        :class:`~pathlib.Path`, or a text with a folder: the file itself.
    return_fig
        Return the figure, and do not show it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels (row by row: maps, distance, domains) if ``show=False``, otherwise
    ``None``.

    Raises
    ------
    KeyError
        If the spot or a key is missing.
    ValueError
        If coordinates are missing, the representation of the spot is zero, or its slice has no other spot.

    Notes
    -----
    The similarity of spot :math:`i` to spot :math:`r` is the cosine

    .. math::

        s_i = \frac{(z_i - \bar z)^\top (z_r - \bar z)}{\lVert z_i - \bar z \rVert\, \lVert z_r - \bar z \rVert},

    with the mean :math:`\bar z` over all spots of all slices if ``center``, otherwise :math:`\bar z = 0`. Where
    :math:`z_i = \bar z` it is not defined, and the spot is grey. The line against distance is the mean of a bin, in the
    slice of the spot, and the band reaches from the 10 % to the 90 % quantile. Boxes of domains, over all slices, have
    median and quartiles, and whiskers from the 10 % to the 90 % quantile. The spot itself counts in neither.
    """
    keys = representation_keys(adata, use_rep, center)
    slices, names = drawn_slices(adata, slice_key)
    coordinates = read_coordinates(adata, spatial_key)
    check_integer(n_bins, "n_bins", minimum=1)
    check_integer(ncols, "ncols", minimum=1)
    if spot_size is not None:
        check_number(spot_size, "spot_size")
        if spot_size <= 0:
            raise ValueError(f"`spot_size` is {spot_size}; it must be positive.")
    if title is not None and not isinstance(title, str):
        raise TypeError(f"`title` is {title!r}; pass one text.")
    domains = None if domain_key is None else domain_of(adata, domain_key)
    position = spot_position(adata, spot, slices, coordinates)
    beside = np.flatnonzero(slices == slices[position])
    beside = beside[beside != position]
    if not len(beside):
        raise ValueError(f"Spot {adata.obs_names[position]!r} is the only one of its slice; choose another `spot`.")
    rows = {key: cosines_to(read_representation(adata, key), position, key, center=center) for key in keys}
    if vmin is None:
        vmin = -1.0 if center else float(min(np.nanmin(cosines) for cosines in rows.values()))
    vmax = 1.0 if vmax is None else vmax
    cmap = cmap or ("RdBu_r" if center else "viridis")
    colorings = {key: color_numbers(pd.Series(cosines, name=key), cmap, vmin, vmax) for key, cosines in rows.items()}

    highlighted = {} if domains is None else own_color(adata, str(domain_key), domains, position)
    panels = [np.flatnonzero(slices == code) for code in range(max(1, len(names)))]
    diameters = [tiling_diameter(coordinates[spots]) if spot_size is None else spot_size for spots in panels]
    distances = np.linalg.norm(coordinates[beside] - coordinates[position], axis=1)
    n_domains = 0 if domains is None else len(domains.categories)
    figure, grid = _figure(len(rows), len(panels), ncols, panel_shape(coordinates, panels), n_domains)
    for (key, cosines), row in zip(rows.items(), grid, strict=True):
        for panel, name, spots, diameter in zip(row.maps, names or [key], panels, diameters, strict=True):
            drawn = spots[np.argsort(colorings[key].rank[spots], kind="stable")]
            draw_spots(panel, coordinates[drawn], colorings[key].faces[drawn], diameter)
            panel.set_title(name if len(panels) > 1 else key, fontsize=11)
        if len(panels) > 1:
            row.maps[0].set_ylabel(key, fontsize=11)
        x, y = coordinates[position]
        row.maps[slices[position]].plot(x, y, "*", color="black", markeredgecolor="white", markersize=13)
        if legend:
            draw_color_bar(row.maps, cast(ScalarMappable, colorings[key].mappable))
        _draw_curve(row.curve, by_distance(cosines[beside], distances, n_bins), center)
        if domains is not None and row.boxes is not None:
            table = by_domain(np.delete(cosines, position), domains[np.arange(adata.n_obs) != position])
            _draw_boxes(row.boxes, table, highlighted, center)
            row.boxes.set_title(f"by {domain_key}", fontsize=10)
    _share_limits([row.curve for row in grid], "y")
    _share_limits([row.boxes for row in grid if row.boxes is not None], "x")
    figure.suptitle(_title(adata, position, highlighted) if title is None else title, fontsize=12)
    axes = [panel for row in grid for panel in (*row.maps, row.curve, row.boxes) if panel is not None]
    return finish(figure, axes, "similarity", show=show, save=save, return_fig=return_fig)


class _Row(NamedTuple):
    """Panels of one representation."""

    maps: list[Axes]
    """Map of each slice."""
    curve: Axes
    """Similarity against distance."""
    boxes: Axes | None
    """Similarity by domain, if asked for."""


def _title(adata: AnnData, position: int, highlighted: dict[str, str]) -> str:
    return f"Cosine similarity to spot {adata.obs_names[position]}" + "".join(f" ({name})" for name in highlighted)


def _figure(n_rows: int, n_maps: int, ncols: int, shape: float, n_domains: int) -> tuple[Figure, list[_Row]]:
    """Make the panels of each representation, its maps ``ncols`` a line and the others as high as all these lines."""
    n_columns = min(n_maps, ncols)
    n_lines = -(-n_maps // n_columns)
    width, summary_width = (3.8 if n_maps == 1 else 2.6), 3.0
    height = max(n_lines * (width * shape + 0.3), 2.6, 0.17 * n_domains + 0.9)
    widths = [width] * n_columns + [summary_width] * (2 if n_domains else 1)
    figure = plt.figure(figsize=(sum(widths) + 0.9, n_rows * height + 0.4), layout="constrained")
    cells = figure.add_gridspec(n_rows * n_lines, len(widths), width_ratios=widths)
    rows = []
    for first in range(0, n_rows * n_lines, n_lines):
        maps = [figure.add_subplot(cells[first + k // n_columns, k % n_columns]) for k in range(n_maps)]
        curve = figure.add_subplot(cells[first : first + n_lines, n_columns])
        boxes = figure.add_subplot(cells[first : first + n_lines, n_columns + 1]) if n_domains else None
        rows.append(_Row(maps, curve, boxes))
    return figure, rows


def _draw_curve(axes: Axes, table: pd.DataFrame, center: bool) -> None:
    axes.fill_between(table["distance"], table["low"], table["high"], color=PALETTE[0], alpha=0.2, linewidth=0)
    # One bin alone makes no line.
    axes.plot(table["distance"], table["mean"], "o-", color=PALETTE[0], linewidth=1.8, markersize=3)
    axes.set_xlim(left=0.0)
    axes.set_title("mean, 10–90 % of spots", fontsize=10)
    axes.set_xlabel("distance from the spot", fontsize=9)
    axes.set_ylabel("cosine similarity", fontsize=9)
    if center:
        axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
    _plain(axes)


def _draw_boxes(axes: Axes, table: pd.DataFrame, highlighted: dict[str, str], center: bool) -> None:
    rank = np.arange(len(table))
    colors = [highlighted.get(name, UNANNOTATED) for name in table.index]
    axes.hlines(rank, table[0.1], table[0.9], color="0.3", linewidth=1.0)
    axes.barh(rank, table[0.75] - table[0.25], left=table[0.25], height=0.7, color=colors, edgecolor="0.3", zorder=2)
    axes.vlines(table[0.5], rank - 0.35, rank + 0.35, color="black", linewidth=1.8, zorder=3)
    axes.set_yticks(rank, [str(name) for name in table.index])
    axes.set_xlabel("cosine similarity", fontsize=9)
    if center:
        axes.axvline(0.0, color="0.6", linewidth=0.8, zorder=0)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, length=3)


def _share_limits(axes: list[Axes], direction: Literal["x", "y"]) -> None:
    """Give all panels the limits that hold the data of each, so that rows can be compared."""
    limits = np.array([panel.get_xlim() if direction == "x" else panel.get_ylim() for panel in axes])
    for panel in axes:
        panel.set(**{f"{direction}lim": (limits[:, 0].min(), limits[:, 1].max())})
