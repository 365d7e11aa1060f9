"""An alignment of slices: how a slice lies on the reference before and after, and how alike the coupled spots are."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from spotscape.pl._coloring import Coloring, color_categories, color_numbers
from spotscape.pl._colors import PALETTE, as_categorical
from spotscape.pl._figure import draw_color_bar, draw_legend, finish, legend_rows, legend_width
from spotscape.pl._map import draw_spots, panel_shape, read_coordinates, tiling_diameter
from spotscape.pl._values import color_values

_REFERENCE, _QUERY = "#B8B8B8", PALETTE[5]
_WIDTH = 3.0


def alignment(
    adata: AnnData,
    key: str = "alignment",
    *,
    color: str | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw what :func:`spotscape.tl.align` found, one row a query.

    The panels are: the query on the reference with their own coordinates, the same after the alignment, and the query
    coloured by the similarity of each spot to those it is coupled with, grey where it has no counterpart. With
    ``color``, reference and aligned query follow, coloured alike.

    Parameters
    ----------
    adata
        Annotated data that was aligned.
    key
        ``key_added`` of :func:`spotscape.tl.align`.
    color
        Column of ``adata.obs``, such as spatial domains, or name of a gene.
    show
        Show the figure. If ``None``, as ``scanpy.settings.autoshow`` says, unless it is saved.
    save
        ``True``, or a text without folder that is appended to ``"alignment"``: saved in ``scanpy.settings.figdir``. A
        :class:`~pathlib.Path`, or a text with a folder: the file itself.
    return_fig
        Return the figure, and do not show it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If there is no such alignment, or a key that it names is missing.
    ValueError
        If the slices were coupled without a transformation.
    """
    params = _read_params(adata, key)
    slices = adata.obs[params["slice_key"]].astype(str).to_numpy(str)
    there = slices == params["reference"]
    queries = [slices == name for name in params["query"]]
    drawn = np.any([there, *queries], axis=0)
    before = read_coordinates(adata, params["spatial_key"])
    after = np.full_like(before, np.nan)
    after[drawn] = read_coordinates(adata[drawn], f"{params['spatial_key']}_aligned")
    similarity = color_numbers(adata.obs[f"{key}_similarity"], None)
    coloring = None if color is None else _coloring(adata, color)

    n_rows, n_columns = len(queries), 3 if coloring is None else 5
    height = _WIDTH * panel_shape(after, [there, *queries]) + 0.35
    rows_of_legend = legend_rows(height * n_rows)
    right = 1.0 if coloring is None or coloring.mappable is not None else legend_width(coloring.names, rows_of_legend)
    figure, grid = plt.subplots(
        n_rows,
        n_columns,
        figsize=(n_columns * _WIDTH + right + 0.6, n_rows * height),
        squeeze=False,
        layout="constrained",
    )
    for row, query, name, quality in zip(grid, queries, params["query"], params["quality"], strict=True):
        _overlay(row[0], before, there, query, f"{name} on {params['reference']}, before")
        _overlay(row[1], after, there, query, f"after, quality {quality:.2f}")
        _map(row[2], after, query, similarity.faces, "similarity")
        if coloring is not None:
            _map(row[3], after, there, coloring.faces, f"{params['reference']}, {color}")
            _map(row[4], after, query, coloring.faces, f"{name}, {color}")
        _share_view(list(row[1:]), after[there | query])
    if similarity.mappable is not None:
        draw_color_bar(list(grid[:, 2]), similarity.mappable)
    if coloring is not None and coloring.mappable is not None:
        draw_color_bar(list(grid[:, 4]), coloring.mappable)
    elif coloring is not None:
        draw_legend(figure, coloring.names, coloring.colors, rows_of_legend)
    return finish(figure, list(grid.flat), "alignment", show=show, save=save, return_fig=return_fig)


def _read_params(adata: AnnData, key: str) -> dict[str, Any]:
    params = adata.uns.get(key)
    if not isinstance(params, dict) or "coupling" not in params:
        raise KeyError(f"`key` is {key!r}, but `adata.uns` has no such alignment; call `spotscape.tl.align` first.")
    if params["transform"] == "none":
        raise ValueError(
            f"The alignment {key!r} was made with `transform=None`, so no slice was moved; draw "
            f"`spotscape.pl.domains(adata, color={f'{key}_similarity'!r})` instead."
        )
    return params


def _coloring(adata: AnnData, color: str) -> Coloring:
    values: pd.Series = color_values(adata, color)
    return color_numbers(values, None) if as_categorical(values) is None else color_categories(adata, values, None)


def _overlay(axes: Axes, coordinates: np.ndarray, there: np.ndarray, query: np.ndarray, title: str) -> None:
    # The query is drawn small, so that the reference below it stays in sight.
    draw_spots(axes, coordinates[there], _repeat(_REFERENCE, there), tiling_diameter(coordinates[there]))
    draw_spots(axes, coordinates[query], _repeat(_QUERY, query), 0.45 * tiling_diameter(coordinates[query]))
    _share_view([axes], coordinates[there | query])
    axes.set_title(title, fontsize=10)


def _map(axes: Axes, coordinates: np.ndarray, spots: np.ndarray, faces: np.ndarray, title: str) -> None:
    draw_spots(axes, coordinates[spots], faces[spots], tiling_diameter(coordinates[spots]))
    axes.set_title(title, fontsize=10)


def _share_view(panels: list[Axes], coordinates: np.ndarray) -> None:
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    margin = 0.02 * (high - low).max()
    for axes in panels:
        axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(high[1] + margin, low[1] - margin))


def _repeat(color: str, spots: np.ndarray) -> np.ndarray:
    return np.tile(to_rgba(color), (int(spots.sum()), 1))
