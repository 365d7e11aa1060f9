"""Figure of an alignment: slices on the reference before and after, and the similarity of coupled spots."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape.pl._coloring import Coloring, color_numbers, color_spots, draw_guide
from spotscape.pl._colors import PALETTE
from spotscape.pl._figure import legend_rows, legend_width, savefig_or_show
from spotscape.pl._map import draw_map, draw_spots, panel_shape, read_coordinates, tiling_diameter
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
    """Draw the result of :func:`spotscape.tl.align`, one row per query.

    The panels show the query on the reference before and after the alignment, and the similarity of each query spot to
    the spots it is coupled with, grey if there are none. With ``color``, two more panels show the reference and the
    aligned query in the same colours.

    Parameters
    ----------
    adata
        Annotated data with an alignment.
    key
        ``key_added`` of :func:`spotscape.tl.align`.
    color
        Column of ``adata.obs``, for example spatial domains, or name of a gene.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"alignment"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If there is no such alignment, or a key stored in it is missing.
    ValueError
        If the slices were coupled without a transformation.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> from anndata import AnnData
    >>> positions = np.indices((6, 5)).reshape(2, -1).T.astype(float)
    >>> adata = AnnData(obsm={"X_tissue": np.tile(positions, (2, 1))})
    >>> adata.obsm["spatial"] = np.concatenate([positions, positions + 3])
    >>> adata.obs["slice"] = np.repeat(["first", "second"], len(positions))
    >>> sps.tl.align(adata, reference="first", use_rep="X_tissue")
    >>> before, after, similarity = sps.pl.alignment(adata, show=False)
    """
    check_call(alignment, locals())
    params = _read_params(adata, key)
    slices = adata.obs[params["slice_key"]].astype(str).to_numpy(str)
    reference, *queries = (np.flatnonzero(slices == name) for name in (params["reference"], *params["query"]))
    drawn = np.concatenate([reference, *queries])
    before = read_coordinates(adata, params["spatial_key"])
    after = np.full_like(before, np.nan)
    after[drawn] = read_coordinates(adata[drawn], f"{params['spatial_key']}_aligned")
    similarity = color_numbers(adata.obs[f"{key}_similarity"], None)
    coloring = None if color is None else color_spots(adata, color_values(adata, color))

    n_rows, n_columns = len(queries), 3 if coloring is None else 5
    height = _WIDTH * panel_shape(after, [reference, *queries]) + 0.35
    n_entries = legend_rows(height * n_rows)
    right = 1.0 if coloring is None or coloring.mappable is not None else legend_width(coloring.names, n_entries)
    figure, grid = plt.subplots(
        n_rows,
        n_columns,
        figsize=(n_columns * _WIDTH + right + 0.6, n_rows * height),
        squeeze=False,
        layout="constrained",
    )
    for row, query, name, quality in zip(grid, queries, params["query"], params["quality"], strict=True):
        _draw_overlay(row[0], before, reference, query, f"{name} on {params['reference']}, before")
        _draw_overlay(row[1], after, reference, query, f"after, quality {quality:.2f}")
        _draw_titled_map(row[2], after, similarity, query, "similarity")
        if coloring is not None:
            _draw_titled_map(row[3], after, coloring, reference, f"{params['reference']}, {color}")
            _draw_titled_map(row[4], after, coloring, query, f"{name}, {color}")
        _set_limits(list(row[1:]), after[np.concatenate([reference, query])])
    draw_guide(similarity, figure, list(grid[:, 2]))
    if coloring is not None:
        draw_guide(coloring, figure, list(grid[:, 4]), n_rows=n_entries)
    return savefig_or_show(figure, list(grid.flat), "alignment", show=show, save=save, return_fig=return_fig)


def _read_params(adata: AnnData, key: str) -> dict[str, Any]:
    params = adata.uns.get(key)
    if not isinstance(params, dict) or "coupling" not in params:
        raise KeyError(f"`key` is {key!r}, but `adata.uns` has no such alignment; call `spotscape.tl.align` first.")
    if params["transform"] == "none":
        raise ValueError(
            f"The alignment {key!r} was made with `transform=None` and has no placement; draw "
            f"`spotscape.pl.spatial(adata, color={f'{key}_similarity'!r})` instead."
        )
    return params


def _draw_overlay(axes: Axes, coordinates: np.ndarray, reference: np.ndarray, query: np.ndarray, title: str) -> None:
    draw_spots(axes, coordinates[reference], _REFERENCE, tiling_diameter(coordinates[reference]))
    # Query spots are small, so that the reference below remains visible.
    draw_spots(axes, coordinates[query], _QUERY, 0.45 * tiling_diameter(coordinates[query]))
    _set_limits([axes], coordinates[np.concatenate([reference, query])])
    axes.set_title(title, fontsize=10)


def _draw_titled_map(axes: Axes, coordinates: np.ndarray, coloring: Coloring, spots: np.ndarray, title: str) -> None:
    draw_map(axes, coordinates, coloring, spots)
    axes.set_title(title, fontsize=10)


def _set_limits(panels: list[Axes], coordinates: np.ndarray) -> None:
    low, high = coordinates.min(axis=0), coordinates.max(axis=0)
    margin = 0.02 * (high - low).max()
    for axes in panels:
        axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(high[1] + margin, low[1] - margin))
