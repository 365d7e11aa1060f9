"""Tiles of the tissue image by domain, or ordered by a number."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spotscape._arguments import check_call
from spotscape._validate import check_integer, check_positive
from spotscape.pl._colors import Palette, as_categorical, category_colors
from spotscape.pl._figure import hide_axes, panel_grid, savefig_or_show
from spotscape.pl._values import color_values
from spotscape.pp.image._sources import Images, PerSlice, read_slides
from spotscape.preprocessing._subsample import evenly_spaced_rows

_N_PIXELS = 128


def tiles(
    adata: AnnData,
    color: str = "spatial_domain",
    *,
    n_tiles: int = 8,
    use_rep: str = "X_image",
    image: Images = None,
    image_key: str | None = None,
    patches_key: str | None = None,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    scale_factor: PerSlice = None,
    tile_size: PerSlice = None,
    scale: float | None = None,
    palette: Palette = None,
    seed: int = 0,
    title: str | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw image tiles of some spots of each domain, or of spots from low to high values of a number.

    Parameters
    ----------
    adata
        Annotated data.
    color
        Column of ``adata.obs``, name of a gene, or name of an image feature in ``adata.uns[use_rep]["names"]``. For
        categories, one row of randomly drawn spots each. For numbers, one row of spots from the lowest to the highest
        value, in equal steps of rank.
    n_tiles
        Number of tiles in a row, fewer if a category has fewer spots.
    use_rep
        Key of the image features in ``adata.obsm`` and ``adata.uns``, if ``color`` is an image feature.
    image, image_key, patches_key, slice_key, spatial_key, scale_factor, tile_size
        Images and positions of the spots, as in :func:`spotscape.pp.image_features`.
    scale
        Side of a drawn tile as a multiple of ``tile_size``. If ``None``, 2. Not for stored patches, which are drawn
        unchanged.
    palette
        Colours of categories, as in :func:`spotscape.pl.spatial`.
    seed
        Seed of the random spots, which do not depend on the order of the spots.
    title
        Title of the figure. If ``None``, ``color`` for numbers and none for categories.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"tiles"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels (one per category) if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If a key is missing.
    ValueError
        If no spot has both a value and an image, or the images do not fit the spots.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, n_domains=3, seed=0)
    >>> rng = np.random.default_rng(0)
    >>> adata.obsm["patches"] = rng.integers(0, 256, (200, 16, 16, 3), dtype=np.uint8)
    >>> panels = sps.pl.tiles(adata, "domain", patches_key="patches", n_tiles=4, show=False)
    >>> [panel.get_ylabel() for panel in panels]
    ['layer_1', 'layer_2', 'patch_1']
    """
    check_call(tiles, locals())
    check_integer(n_tiles, "n_tiles", minimum=1)
    check_integer(seed, "seed", minimum=0)
    if scale is not None:
        check_positive(scale, "scale")
        if patches_key is not None:
            raise ValueError("`scale` was given, but stored patches are drawn unchanged; omit it.")
    values = _values(adata, color, use_rep)
    slides = read_slides(
        adata,
        image=image,
        image_key=image_key,
        patches_key=patches_key,
        slice_key=slice_key,
        spatial_key=spatial_key,
        scale_factor=scale_factor,
        tile_size=tile_size,
    )
    on_image = np.isin(np.arange(adata.n_obs), np.concatenate([slide.spots for slide in slides]))
    categorical = as_categorical(values)
    if categorical is None:
        if palette is not None:
            raise ValueError(f"`palette` was given, but {color!r} contains numbers; omit it.")
        rows, names, colors = [_spots_by_rank(values, on_image, n_tiles)], [""], [""]
    else:
        rows = _spots_by_category(adata, categorical, on_image, n_tiles, seed)
        kept = [k for k, spots in enumerate(rows) if len(spots)]
        all_colors = category_colors(adata, str(values.name), list(categorical.categories), palette)
        rows, colors = [rows[k] for k in kept], [all_colors[k] for k in kept]
        names = [str(categorical.categories[k]) for k in kept]
    chosen = np.concatenate(rows) if rows else np.empty(0, dtype=np.intp)
    if not len(chosen):
        raise ValueError(f"No spot has both a value of {color!r} and an image; pass another `color` or `image`.")
    cut = _cut_tiles(slides, np.unique(chosen), 2.0 if scale is None else scale)

    figure, axes = panel_grid(len(rows), 1, panel_size=(1.0 * max(map(len, rows)) + 1.0, 1.15))
    for panel, spots, name, row_color in zip(axes, rows, names, colors, strict=True):
        _draw_row(panel, [cut[spot] for spot in spots], max(map(len, rows)))
        panel.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        if categorical is not None:
            panel.spines["left"].set(visible=True, color=row_color, linewidth=5, position=("outward", 3))
    if categorical is None:
        ends = [f"{float(values.iloc[spots[end]]):.3g}" for spots in rows for end in (0, -1)]
        axes[0].set_xlabel(f"{ends[0]} to {ends[1]}", fontsize=9)
    shown = color if title is None and categorical is None else title
    if shown is not None:
        figure.suptitle(shown, fontsize=11)
    return savefig_or_show(figure, axes, "tiles", show=show, save=save, return_fig=return_fig)


def _values(adata: AnnData, color: str, use_rep: str) -> pd.Series:
    names = [str(name) for name in adata.uns.get(use_rep, {}).get("names", [])]
    if color in names and color not in adata.obs and use_rep in adata.obsm:
        return pd.Series(np.asarray(adata.obsm[use_rep])[:, names.index(color)], index=adata.obs_names, name=color)
    return color_values(adata, color)


def _spots_by_rank(values: pd.Series, on_image: NDArray[np.bool_], n_tiles: int) -> NDArray[np.intp]:
    """Spots at equal steps of the rank of their value."""
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    spots = np.flatnonzero(np.isfinite(numbers) & on_image)
    order = spots[np.lexsort((values.index.to_numpy().astype(str)[spots], numbers[spots]))]
    return order[evenly_spaced_rows(len(order), n_tiles)]


def _spots_by_category(
    adata: AnnData, categorical: pd.Categorical, on_image: NDArray[np.bool_], n_tiles: int, seed: int
) -> list[NDArray[np.intp]]:
    """Random spots of each category. They are sorted by name first, so the draw does not depend on their order."""
    names = adata.obs_names.to_numpy().astype(str)
    rows = []
    for code in range(len(categorical.categories)):
        spots = np.flatnonzero((categorical.codes == code) & on_image)
        spots = spots[np.argsort(names[spots], kind="stable")]
        draw = np.random.default_rng([seed, code]).permutation(len(spots))[:n_tiles]
        rows.append(spots[np.sort(draw)])
    return rows


def _cut_tiles(slides: list[Any], spots: NDArray[np.intp], scale: float) -> dict[int, NDArray[np.uint8]]:
    """Tile of each spot, by row number."""
    tiles_of_spots: dict[int, NDArray[np.uint8]] = {}
    for slide in slides:
        chosen = np.flatnonzero(np.isin(slide.spots, spots))
        if not len(chosen):
            continue
        pixels = slide.pixels()
        cut = slide.tiles(pixels, chosen, scale, pixels.shape[1] if slide.has_patches else _N_PIXELS)
        tiles_of_spots |= dict(zip(slide.spots[chosen].tolist(), cut, strict=True))
    return tiles_of_spots


def _draw_row(panel: Axes, row: list[NDArray[np.uint8]], n_columns: int) -> None:
    gap = max(1, len(row[0]) // 24)
    strip = [np.pad(tile, ((0, 0), (0, gap), (0, 0)), constant_values=255) for tile in row]
    panel.imshow(np.concatenate(strip, axis=1), interpolation="antialiased")
    # Short rows end with empty columns, so that all tiles have the same size.
    panel.set_xlim(-0.5, n_columns * (len(row[0]) + gap) - 0.5)
    hide_axes(panel)
