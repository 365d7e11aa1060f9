"""Pseudotime on the tissue, and the graph of domains along it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape._slices import read_slices
from spotscape._validate import check_integer, check_number, check_positive, check_present
from spotscape.pl._coloring import Coloring, color_numbers
from spotscape.pl._colors import Palette, category_colors
from spotscape.pl._embedding import _embed
from spotscape.pl._figure import N_POINTS_VECTOR, draw_color_bar, hide_axes, panel_grid, savefig_or_show
from spotscape.pl._map import draw_map, panel_shape, read_coordinates
from spotscape.pl._values import slice_codes
from spotscape.tl._representation import read_representation
from spotscape.tl._trajectory import paths_of

_N_NEIGHBORS_UMAP = 15


def trajectory(
    adata: AnnData,
    key: str = "pseudotime",
    *,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    spot_size: float | None = None,
    threshold: float = 0.1,
    max_spots: int = 3000,
    seed: int = 0,
    ncols: int = 4,
    palette: Palette = None,
    cmap: str | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw the pseudotime on the tissue, one panel per slice, and on a UMAP with the graph of the domains.

    The UMAP is computed for this figure and not stored. Its circles are the domains, at the median position of their
    spots and with an area proportional to their number; the width of the lines is proportional to the PAGA
    connectivity. If each slice has its own trajectory, each has its own UMAP and graph.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.trajectory`.
    key
        Key of the result in ``adata.obs`` and ``adata.uns``.
    slice_key
        Column of ``adata.obs`` with the slice of each spot, for the maps. If ``None``, that of the trajectory,
        otherwise the one with which the spatial graph was built, otherwise ``"slice"`` if there is such a column,
        otherwise all spots are drawn in one panel.
    spatial_key
        Key of the coordinates in ``adata.obsm``; the first two columns are drawn.
    spot_size
        Diameter of a spot in the unit of the coordinates. If ``None``, chosen as in :func:`domains`.
    threshold
        Connectivity below which no line is drawn, from 0 to 1.
    max_spots
        Number of spots in a UMAP; of more, a random sample is drawn.
    seed
        Seed of the sample and of UMAP.
    ncols
        Maximum number of panels per row.
    palette
        Colours of the domains, as in :func:`domains`.
    cmap
        Colour map of the pseudotime. If ``None``, ``"viridis"``.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"trajectory"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels (maps, then UMAPs) if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If a key is missing, or is not a result of :func:`spotscape.tl.trajectory`.
    ValueError
        If coordinates are missing.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, n_domains=4, seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=5)
    >>> sps.tl.trajectory(adata, "layer_1", use_rep="X_pca", domain_key="domain")
    >>> panels = sps.pl.trajectory(adata, show=False)
    >>> [panel.get_title() for panel in panels]
    ['slice_1', 'UMAP and PAGA']
    """
    check_call(trajectory, locals())
    result = adata.uns.get(key)
    if not isinstance(result, Mapping) or "connectivities" not in result or key not in adata.obs.columns:
        raise KeyError(
            f"`key` is {key!r}, which is not such a result in `adata.uns`; call `spotscape.tl.trajectory` first."
        )
    check_number(threshold, "threshold", minimum=0, maximum=1)
    check_integer(max_spots, "max_spots", minimum=3)
    check_integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    check_integer(ncols, "ncols", minimum=1)
    if spot_size is not None:
        check_positive(spot_size, "spot_size")
    params = result["params"]
    slice_key = params.get("slice_key") if slice_key is None else slice_key
    slices, names = slice_codes(adata, slice_key)
    coordinates = read_coordinates(adata, spatial_key)
    domain_key = str(params["domain_key"])
    check_present(domain_key, "key", adata.obs.columns, "adata.obs")
    values = read_representation(adata, str(params["use_rep"]), seed=seed)
    colors = _domain_colors(adata, domain_key, palette)
    coloring = color_numbers(adata.obs[key], cmap)

    maps = [np.flatnonzero(slices == code) for code in range(max(1, len(names)))]
    graphs = paths_of(dict(result))
    width = 3.4
    height = width * panel_shape(coordinates, maps) + 0.3
    figure, axes = panel_grid(len(maps) + len(graphs), ncols, panel_size=(width, height), right=0.9)
    for panel, name, spots in zip(axes, names or [key], maps, strict=False):
        draw_map(panel, coordinates, coloring, spots, spot_size)
        panel.set_title(name, fontsize=11)
    own = read_slices(adata, params["slice_key"]).astype(str).to_numpy() if graphs[0][0] else None
    domains = adata.obs[domain_key].astype(object).map(str, na_action="ignore").to_numpy()
    for panel, (name, connectivities) in zip(axes[len(maps) :], graphs, strict=True):
        spots = np.arange(adata.n_obs) if own is None else np.flatnonzero(own == name)
        if len(spots) > max_spots:
            spots = np.sort(np.random.default_rng(seed).choice(spots, max_spots, replace=False))
        points = _embed(values[spots], "umap", min(_N_NEIGHBORS_UMAP, len(spots) - 1), seed)
        _draw_points(panel, points, coloring, spots)
        strong = np.where(connectivities >= threshold, connectivities, 0)
        _draw_graph(panel, points, domains[spots], [str(one) for one in result["domains"]], strong, colors)
        panel.set_title(f"{name}, UMAP and PAGA" if name else "UMAP and PAGA", fontsize=11)
    assert coloring.mappable is not None
    draw_color_bar(axes, coloring.mappable, key)
    return savefig_or_show(figure, axes, "trajectory", show=show, save=save, return_fig=return_fig)


def _domain_colors(adata: AnnData, domain_key: str, palette: Palette) -> dict[str, str]:
    categories = list(adata.obs[domain_key].astype("category").cat.categories)
    return dict(zip(map(str, categories), category_colors(adata, domain_key, categories, palette), strict=True))


def _draw_points(panel: Axes, points: np.ndarray, coloring: Coloring, spots: np.ndarray) -> None:
    size = float(np.clip(20_000 / len(points), 3, 40))
    panel.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        c=coloring.faces[spots],
        alpha=0.6,
        linewidths=0,
        rasterized=len(points) > N_POINTS_VECTOR,
    )
    hide_axes(panel)
    panel.set_xlabel("UMAP1", fontsize=8, loc="left")
    panel.set_ylabel("UMAP2", fontsize=8, loc="bottom")


def _draw_graph(
    panel: Axes,
    points: np.ndarray,
    domains: np.ndarray,
    names: list[str],
    connectivities: np.ndarray,
    colors: dict[str, Any],
) -> None:
    """Draw domains as labelled circles and their connectivities as lines."""
    centres = pd.DataFrame(points).groupby(pd.Series(domains, dtype=object)).median().reindex(names).to_numpy()
    there = np.isfinite(centres).all(axis=1)
    rows, columns = np.nonzero(np.triu(connectivities, 1) * np.outer(there, there))
    lines = LineCollection(
        [centres[[row, column]] for row, column in zip(rows, columns, strict=True)],
        linewidths=6 * connectivities[rows, columns],
        colors="black",
        alpha=0.7,
        zorder=2,
    )
    lines.set_gid("connectivities")
    panel.add_collection(lines)
    counts = pd.Series(domains, dtype=object).value_counts().reindex(names).fillna(0).to_numpy()
    panel.scatter(
        centres[there, 0],
        centres[there, 1],
        s=120 + 900 * counts[there] / max(1, counts.sum()),
        c=[colors[name] for name, is_there in zip(names, there, strict=True) if is_there],
        edgecolors="black",
        linewidths=1,
        zorder=3,
    )
    box = {"fc": "w", "ec": "none", "alpha": 0.7, "pad": 0.8}
    for name, centre in zip(np.array(names)[there], centres[there], strict=True):
        panel.annotate(name, centre, ha="center", va="center", fontsize=8, zorder=4, bbox=box)
