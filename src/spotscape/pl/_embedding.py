"""The representation of the spots in two dimensions."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.pl._coloring import color_categories, color_numbers
from spotscape.pl._colors import Palette, as_categorical
from spotscape.pl._figure import (
    N_POINTS_VECTOR,
    bare,
    draw_color_bar,
    draw_legend,
    finish,
    legend_width,
    panel_grid,
)
from spotscape.pl._values import color_values
from spotscape.tl._representation import neighbor_graph, read_representation


def embedding(
    adata: AnnData,
    use_rep: str = "X_spotscape",
    *,
    color: str | Sequence[str] | None = None,
    method: str = "umap",
    n_neighbors: int | None = None,
    seed: int = 0,
    layer: str | None = None,
    point_size: float | None = None,
    ncols: int = 4,
    palette: Palette = None,
    cmap: str | None = None,
    legend: bool = True,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw the representation of the spots in two dimensions, one panel a colouring.

    Points are drawn in random order, so that no slice hides another because it comes later. ``adata`` is left as it is.

    Parameters
    ----------
    adata
        Annotated data.
    use_rep
        Key of the representation in ``adata.obsm``, or ``"X"``.
    color
        Columns of ``adata.obs`` or names of genes, a panel each. If ``None``, ``"spatial_domain"`` and ``"slice"``, as
        far as they are there.
    method
        ``"umap"`` :cite:p:`McInnes2018`, or ``"pca"`` for the first two principal components, which keep distances.
    n_neighbors
        Number of neighbours in the representation, for UMAP. If ``None``, 15, or all where there are fewer spots.
    seed
        Seed of UMAP and of the order of drawing.
    layer
        Layer of the values of genes. If ``None``, ``adata.X``.
    point_size
        Area of a point in square points. If ``None``, the smaller, the more spots there are.
    ncols
        Largest number of panels in a row.
    palette
        Colours of the categories, as in :func:`spotscape.pl.domains`.
    cmap
        Colour map of numbers. If ``None``, ``"viridis"``.
    legend
        Draw the legends of categories and the colour bars of numbers.
    show
        Show the figure. If ``None``, as ``scanpy.settings.autoshow`` says, unless it is saved.
    save
        ``True``, or a text without folder that is appended to ``"embedding"``: saved in ``scanpy.settings.figdir``. A
        :class:`~pathlib.Path`, or a text with a folder: the file itself.
    return_fig
        Return the figure, and do not show it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If the representation, a column or a layer is missing.
    ValueError
        If the representation has missing or infinite values, or an argument does not go with ``method`` or ``color``.
    """
    check_choice(method, ("umap", "pca"), "method")
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    check_integer(ncols, "ncols", minimum=1)
    if method == "pca" and n_neighbors is not None:
        raise ValueError(f"`n_neighbors` is {n_neighbors}, but only method 'umap' has it; leave it out.")
    if adata.n_obs < 3:
        raise ValueError(f"There are only {adata.n_obs} spots; a picture of the representation needs at least 3.")
    if method == "umap":
        n_neighbors = min(15, adata.n_obs - 1) if n_neighbors is None else n_neighbors
        check_integer(n_neighbors, "n_neighbors", minimum=2, maximum=adata.n_obs - 1)
    if point_size is None:
        # scanpy's rule, within limits that stay visible.
        point_size = float(np.clip(60_000 / adata.n_obs, 0.5, 40))
    check_number(point_size, "point_size")
    if point_size <= 0:
        raise ValueError(f"`point_size` is {point_size}; it must be positive.")
    keys = _keys(adata, color)
    columns = [color_values(adata, key, None if key in adata.obs.columns else layer) for key in keys]
    numeric = [as_categorical(values) is None for values in columns]
    _check_used(numeric, palette, cmap, layer, all(key in adata.obs.columns for key in keys))
    colorings = [
        color_numbers(values, cmap) if is_numeric else color_categories(adata, values, palette)
        for values, is_numeric in zip(columns, numeric, strict=True)
    ]
    points = _two_dimensions(read_representation(adata, use_rep, seed=seed), method, n_neighbors, seed)

    order = np.random.default_rng(seed).permutation(adata.n_obs)
    right = max(legend_width(coloring.names) for coloring in colorings) if legend else 0.0
    figure, axes = panel_grid(len(keys), ncols, panel_size=(3.4 + right, 3.4))
    label = "UMAP" if method == "umap" else "PC"
    for panel, key, coloring in zip(axes, keys, colorings, strict=True):
        drawn = order[np.argsort(coloring.annotated[order], kind="stable")]
        panel.scatter(
            points[drawn, 0],
            points[drawn, 1],
            s=point_size,
            c=coloring.faces[drawn],
            linewidths=0,
            rasterized=adata.n_obs > N_POINTS_VECTOR,
        )
        bare(panel)
        panel.set_box_aspect(1)
        panel.set_title(key, fontsize=11)
        panel.set_xlabel(f"{label}1", fontsize=8, loc="left")
        panel.set_ylabel(f"{label}2", fontsize=8, loc="bottom")
        if legend and coloring.mappable is not None:
            draw_color_bar([panel], coloring.mappable)
        elif legend:
            draw_legend(panel, coloring.names, coloring.colors)
    return finish(figure, axes, "embedding", show=show, save=save, return_fig=return_fig)


def _keys(adata: AnnData, color: str | Sequence[str] | None) -> list[str]:
    if color is None:
        keys = [key for key in ("spatial_domain", "slice") if key in adata.obs.columns]
        if not keys:
            raise KeyError("`adata.obs` has neither 'spatial_domain' nor 'slice'; pass `color`.")
        return keys
    keys = [color] if isinstance(color, str) else list(color)
    if not keys:
        raise ValueError("`color` is empty; pass at least one column of `adata.obs` or gene.")
    return keys


def _check_used(numeric: list[bool], palette: Palette, cmap: str | None, layer: str | None, only_columns: bool) -> None:
    """Refuse arguments that no panel would use."""
    if palette is not None and all(numeric):
        raise ValueError("`palette` was given, but every `color` holds numbers; pass `cmap` instead.")
    if cmap is not None and not any(numeric):
        raise ValueError("`cmap` was given, but every `color` holds categories; pass `palette` instead.")
    if layer is not None and only_columns:
        raise ValueError(f"`layer` is {layer!r}, but every `color` is a column of `adata.obs`; leave `layer` out.")


def _two_dimensions(representation: np.ndarray, method: str, n_neighbors: int | None, seed: int) -> np.ndarray:
    if representation.shape[1] == 1:
        raise ValueError("The representation has one dimension; a picture in two needs at least two.")
    if method == "pca":
        return PCA(2, random_state=seed).fit_transform(representation)
    import scanpy

    light = neighbor_graph(representation, cast(int, n_neighbors), seed)
    scanpy.tl.umap(light, random_state=seed)
    return light.obsm["X_umap"]
