"""Similarity of one spot to all others: as a map, against distance, and by domain."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape._validate import check_integer, check_positive
from spotscape.pl._coloring import color_numbers, draw_guide
from spotscape.pl._colors import PALETTE, UNANNOTATED
from spotscape.pl._figure import savefig_or_show, style_axes
from spotscape.pl._map import draw_map, panel_shape, read_coordinates
from spotscape.pl._similarity_values import (
    by_distance,
    by_domain,
    check_representation_keys,
    color_of_domain,
    cosines_to,
    find_spot,
    read_domains,
)
from spotscape.pl._values import slice_codes
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
    r"""Draw the similarity of one spot to all others, one row per representation.

    A row has a map of each slice, in which a star marks the spot :cite:p:`Oh2025`; the similarity against the distance
    in the tissue; and, with ``domain_key``, the similarity by domain. All rows have the same scales, so a model can be
    compared with baselines such as principal components. ``adata`` is not changed.

    Parameters
    ----------
    adata
        Annotated data.
    spot
        Name in ``adata.obs_names``, or row number from 0. If ``None``, the spot nearest to the centre of the largest
        slice.
    use_rep
        Keys of representations in ``adata.obsm``, or ``"X"``, one row each. ``"X"`` and sparse matrices of more than 50
        columns are reduced to 50 principal components.
    domain_key
        Column of ``adata.obs`` with the domain of each spot; spots without a domain are not included in its panel. If
        ``None``, there is no such panel.
    slice_key
        Column of ``adata.obs`` with the slice of each spot. If ``None``, as in :func:`spotscape.pl.spatial`.
    spatial_key
        Key of the coordinates in ``adata.obsm``; the first two columns are used.
    center
        Whether to subtract the mean representation of all spots first. Representations often have a large mean, which
        without centring makes all similarities close to 1.
    n_bins
        Number of distance bins of equal width, from 0 to the largest distance. Bins without spots are omitted.
    spot_size
        Diameter of a spot in the unit of the coordinates. If ``None``, as in :func:`spotscape.pl.spatial`.
    ncols
        Maximum number of maps per line; with more slices, each representation has several lines of maps.
    cmap
        Colour map of the similarity. If ``None``, ``"RdBu_r"`` if ``center``, else ``"viridis"``.
    vmin, vmax
        Limits of the colour map. If ``None``, -1 and 1 if ``center``, else the smallest similarity over all rows and 1.
    legend
        Whether to draw the colour bars, one per row.
    title
        Title of the figure. If ``None``, the name of the spot and its domain.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"similarity"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels (row by row: maps, distance, domains) if ``show=False``, otherwise
    ``None``.

    Raises
    ------
    KeyError
        If the spot or a key does not exist.
    ValueError
        If coordinates are missing, the representation of the spot is zero, or its slice has no other spot.

    Notes
    -----
    The similarity of spot :math:`i` to spot :math:`r` is the cosine

    .. math::

        s_i = \frac{(z_i - \bar z)^\top (z_r - \bar z)}{\lVert z_i - \bar z \rVert\, \lVert z_r - \bar z \rVert},

    with the mean :math:`\bar z` over all spots of all slices if ``center``, otherwise :math:`\bar z = 0`. If
    :math:`z_i = \bar z`, it is undefined and the spot is grey. Against distance, the line is the mean in each bin over
    the slice of the spot, and the band is from the 10 % to the 90 % quantile. Boxes of domains, over all slices, show
    median and quartiles, with whiskers from the 10 % to the 90 % quantile. Neither includes the spot itself.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=10)
    >>> panels = sps.pl.similarity(adata, use_rep="X_pca", domain_key="domain", show=False)
    >>> [panel.get_title() for panel in panels]
    ['X_pca', 'mean, 10–90 % of spots', 'by domain']
    """
    check_call(similarity, locals())
    keys = check_representation_keys(adata, use_rep, center)
    slices, names = slice_codes(adata, slice_key)
    coordinates = read_coordinates(adata, spatial_key)
    check_integer(n_bins, "n_bins", minimum=1)
    check_integer(ncols, "ncols", minimum=1)
    if spot_size is not None:
        check_positive(spot_size, "spot_size")
    if title is not None and not isinstance(title, str):
        raise TypeError(f"`title` is {title!r}; pass a string.")
    domains = None if domain_key is None else read_domains(adata, domain_key)
    position = find_spot(adata, spot, slices, coordinates)
    others = np.flatnonzero(slices == slices[position])
    others = others[others != position]
    if not len(others):
        raise ValueError(f"Spot {adata.obs_names[position]!r} is the only one in its slice; pass another `spot`.")
    rows = {key: cosines_to(read_representation(adata, key), position, key, center=center) for key in keys}
    if vmin is None:
        vmin = -1.0 if center else float(min(np.nanmin(cosines) for cosines in rows.values()))
    vmax = 1.0 if vmax is None else vmax
    cmap = cmap or ("RdBu_r" if center else "viridis")
    colorings = {key: color_numbers(pd.Series(cosines, name=key), cmap, vmin, vmax) for key, cosines in rows.items()}

    highlighted = {} if domains is None else color_of_domain(adata, str(domain_key), domains, position)
    panels = [np.flatnonzero(slices == code) for code in range(max(1, len(names)))]
    distances = np.linalg.norm(coordinates[others] - coordinates[position], axis=1)
    n_domains = 0 if domains is None else len(domains.categories)
    figure, grid = _make_panels(len(rows), len(panels), ncols, panel_shape(coordinates, panels), n_domains)
    for (key, cosines), row in zip(rows.items(), grid, strict=True):
        for panel, name, spots in zip(row.maps, names or [key], panels, strict=True):
            draw_map(panel, coordinates, colorings[key], spots, spot_size)
            panel.set_title(name if len(panels) > 1 else key, fontsize=11)
        if len(panels) > 1:
            row.maps[0].set_ylabel(key, fontsize=11)
        x, y = coordinates[position]
        row.maps[slices[position]].plot(x, y, "*", color="black", markeredgecolor="white", markersize=13)
        if legend:
            draw_guide(colorings[key], figure, row.maps)
        _draw_curve(row.curve, by_distance(cosines[others], distances, n_bins), center)
        if domains is not None and row.boxes is not None:
            table = by_domain(np.delete(cosines, position), domains[np.arange(adata.n_obs) != position])
            _draw_boxes(row.boxes, table, highlighted, center)
            row.boxes.set_title(f"by {domain_key}", fontsize=10)
    _share_limits([row.curve for row in grid], "y")
    _share_limits([row.boxes for row in grid if row.boxes is not None], "x")
    if title is None:
        title = f"Cosine similarity to spot {adata.obs_names[position]}" + "".join(f" ({name})" for name in highlighted)
    figure.suptitle(title, fontsize=12)
    axes = [panel for row in grid for panel in (*row.maps, row.curve, row.boxes) if panel is not None]
    return savefig_or_show(figure, axes, "similarity", show=show, save=save, return_fig=return_fig)


class _Row(NamedTuple):
    """Panels of one representation."""

    maps: list[Axes]
    """Map of each slice."""
    curve: Axes
    """Similarity against distance."""
    boxes: Axes | None
    """Similarity by domain, if there is a domain column."""


def _make_panels(n_rows: int, n_maps: int, ncols: int, shape: float, n_domains: int) -> tuple[Figure, list[_Row]]:
    """Make the panels of each representation: maps in lines of ``ncols``, and the others as high as all lines."""
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
    # Markers, because a single bin has no line.
    axes.plot(table["distance"], table["mean"], "o-", color=PALETTE[0], linewidth=1.8, markersize=3)
    axes.set_xlim(left=0.0)
    axes.set_title("mean, 10–90 % of spots", fontsize=10)
    style_axes(axes, "distance from the spot", "cosine similarity")
    if center:
        axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)


def _draw_boxes(axes: Axes, table: pd.DataFrame, highlighted: dict[str, str], center: bool) -> None:
    rank = np.arange(len(table))
    colors = [highlighted.get(name, UNANNOTATED) for name in table.index]
    axes.hlines(rank, table[0.1], table[0.9], color="0.3", linewidth=1.0)
    axes.barh(rank, table[0.75] - table[0.25], left=table[0.25], height=0.7, color=colors, edgecolor="0.3", zorder=2)
    axes.vlines(table[0.5], rank - 0.35, rank + 0.35, color="black", linewidth=1.8, zorder=3)
    axes.set_yticks(rank, [str(name) for name in table.index])
    style_axes(axes, "cosine similarity")
    if center:
        axes.axvline(0.0, color="0.6", linewidth=0.8, zorder=0)


def _share_limits(axes: list[Axes], direction: Literal["x", "y"]) -> None:
    """Give all panels the same limits, which include the data of each."""
    limits = np.array([panel.get_xlim() if direction == "x" else panel.get_ylim() for panel in axes])
    for panel in axes:
        panel.set(**{f"{direction}lim": (limits[:, 0].min(), limits[:, 1].max())})
