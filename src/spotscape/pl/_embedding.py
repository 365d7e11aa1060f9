"""Two-dimensional embedding of a representation."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from spotscape._arguments import check_call
from spotscape._validate import check_choice, check_integer, check_positive, shown
from spotscape.pl._coloring import color_spots, draw_guide
from spotscape.pl._colors import Palette
from spotscape.pl._figure import N_POINTS_VECTOR, hide_axes, legend_width, panel_grid, savefig_or_show
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
    """Draw a representation in two dimensions, one panel per column or gene.

    Points are drawn in random order, so that later slices do not hide earlier ones. ``adata`` is not changed.

    Parameters
    ----------
    adata
        Annotated data.
    use_rep
        Key of the representation in ``adata.obsm``, or ``"X"``.
    color
        Columns of ``adata.obs`` or names of genes, one panel each. If ``None``, ``"spatial_domain"`` and ``"slice"``,
        if they exist.
    method
        ``"umap"`` :cite:p:`McInnes2018`, or ``"pca"``, the first two principal components, which preserves distances.
    n_neighbors
        Number of neighbours in the representation, for UMAP. If ``None``, 15, or all other spots if there are fewer.
    seed
        Seed of UMAP and of the drawing order.
    layer
        Layer of the values of genes. If ``None``, ``adata.X``.
    point_size
        Area of a point in square points. If ``None``, it decreases with the number of spots.
    ncols
        Maximum number of panels per row.
    palette
        Colours of categories, as in :func:`spotscape.pl.spatial`.
    cmap
        Colour map of numbers. If ``None``, ``"viridis"``.
    legend
        Whether to draw the legends of categories and the colour bars of numbers.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"embedding"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If the representation, a column or a layer is missing.
    ValueError
        If the representation has missing or infinite values, or an argument does not apply to ``method`` or ``color``.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=10)
    >>> panels = sps.pl.embedding(adata, use_rep="X_pca", color=["domain", "slice"], method="pca", show=False)
    >>> [panel.get_title() for panel in panels]
    ['domain', 'slice']
    """
    check_call(embedding, locals())
    check_choice(method, ("umap", "pca"), "method")
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    check_integer(ncols, "ncols", minimum=1)
    if method == "pca" and n_neighbors is not None:
        raise ValueError(f"`n_neighbors` is {n_neighbors}, which only applies to method 'umap'; omit it.")
    if adata.n_obs < 3:
        raise ValueError(f"There are only {adata.n_obs} spots, but an embedding needs at least 3; pass more spots.")
    if method == "umap":
        n_neighbors = min(15, adata.n_obs - 1) if n_neighbors is None else n_neighbors
        check_integer(n_neighbors, "n_neighbors", minimum=2, maximum=adata.n_obs - 1)
    if point_size is None:
        # The default of scanpy, limited to visible sizes.
        point_size = float(np.clip(60_000 / adata.n_obs, 0.5, 40))
    check_positive(point_size, "point_size")
    keys = _color_keys(adata, color)
    columns = [color_values(adata, key, None if key in adata.obs.columns else layer) for key in keys]
    colorings = [color_spots(adata, values, palette=palette, cmap=cmap) for values in columns]
    numeric = [coloring.mappable is not None for coloring in colorings]
    _check_used(numeric, palette, cmap, layer, all(key in adata.obs.columns for key in keys))
    points = _embed(read_representation(adata, use_rep, seed=seed), method, n_neighbors, seed)

    order = np.random.default_rng(seed).permutation(adata.n_obs)
    right = max(legend_width(coloring.names) for coloring in colorings) if legend else 0.0
    figure, axes = panel_grid(len(keys), ncols, panel_size=(3.4 + right, 3.4))
    label = "UMAP" if method == "umap" else "PC"
    for panel, key, coloring in zip(axes, keys, colorings, strict=True):
        # Spots without a value lie below the others.
        drawn = order[np.argsort(np.isfinite(coloring.rank[order]), kind="stable")]
        panel.scatter(
            points[drawn, 0],
            points[drawn, 1],
            s=point_size,
            c=coloring.faces[drawn],
            linewidths=0,
            rasterized=adata.n_obs > N_POINTS_VECTOR,
        )
        hide_axes(panel)
        panel.set_box_aspect(1)
        panel.set_title(key, fontsize=11)
        panel.set_xlabel(f"{label}1", fontsize=8, loc="left")
        panel.set_ylabel(f"{label}2", fontsize=8, loc="bottom")
        if legend:
            draw_guide(coloring, panel, [panel])
    return savefig_or_show(figure, axes, "embedding", show=show, save=save, return_fig=return_fig)


def _color_keys(adata: AnnData, color: str | Sequence[str] | None) -> list[str]:
    if color is None:
        keys = [key for key in ("spatial_domain", "slice") if key in adata.obs.columns]
        if not keys:
            raise KeyError("`adata.obs` has neither 'spatial_domain' nor 'slice'; pass `color`.")
        return keys
    if not isinstance(color, Sequence):
        raise TypeError(f"`color` is {shown(color)}; pass one column of `adata.obs` or gene, or several.")
    keys = [color] if isinstance(color, str) else list(color)
    if not keys:
        raise ValueError("`color` is empty; pass at least one column of `adata.obs` or gene.")
    return keys


def _check_used(numeric: list[bool], palette: Palette, cmap: str | None, layer: str | None, only_columns: bool) -> None:
    """Raise for arguments that apply to no panel."""
    if palette is not None and all(numeric):
        raise ValueError("`palette` was given, but every `color` contains numbers; pass `cmap` instead.")
    if cmap is not None and not any(numeric):
        raise ValueError("`cmap` was given, but every `color` has categories; pass `palette` instead.")
    if layer is not None and only_columns:
        raise ValueError(f"`layer` is {layer!r}, but every `color` is a column of `adata.obs`; omit `layer`.")


def _embed(representation: np.ndarray, method: str, n_neighbors: int | None, seed: int) -> np.ndarray:
    if representation.shape[1] == 1:
        raise ValueError("The representation has one dimension, but an embedding needs two; pass another `use_rep`.")
    if method == "pca":
        return PCA(2, random_state=seed).fit_transform(representation)
    import scanpy

    data = neighbor_graph(representation, cast(int, n_neighbors), seed)
    scanpy.tl.umap(data, random_state=seed)
    return data.obsm["X_umap"]
