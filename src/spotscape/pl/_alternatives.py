"""Maps of the partitions that fit a representation nearly equally well."""

from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape._validate import check_integer
from spotscape.pl._coloring import color_spots, draw_guide
from spotscape.pl._figure import legend_rows, legend_width, panel_grid, savefig_or_show
from spotscape.pl._map import draw_map, panel_shape, read_coordinates
from spotscape.pl._values import slice_codes


def alternatives(
    adata: AnnData,
    key: str = "spatial_domain",
    *,
    n_partitions: int = 4,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw the domains and the partitions that fit nearly equally well, one column each and one row per slice.

    The title of a partition is its adjusted Rand index with the chosen one, and how much larger the sum of squares of
    its k-means start is than the smallest. Domains have the colour of the chosen domain that they overlap with most.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.domains` by the mixture.
    key
        Key of the result.
    n_partitions
        Maximum number of partitions, the chosen one included. Those of the highest likelihood are drawn.
    slice_key, spatial_key
        As in :func:`spotscape.pl.spatial`.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"alternatives"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If there is no such result, or a key is missing.
    ValueError
        If spots were added or removed since the domains were found.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=10)
    >>> sps.tl.domains(adata, use_rep="X_pca", n_domains=4, n_init=10)
    >>> panels = sps.pl.alternatives(adata, show=False)
    >>> panels[0].get_title()
    'chosen'
    """
    check_call(alternatives, locals())
    result = adata.uns.get(key)
    if result is None or "alternatives" not in result:
        raise KeyError(
            f"`key` is {key!r}, which has no alternatives in `adata.uns`; call `spotscape.tl.domains` with "
            "method='mixture' first."
        )
    check_integer(n_partitions, "n_partitions", minimum=1)
    found = result["alternatives"]
    partitions = np.asarray(found["domains"])[:, :n_partitions]
    if len(partitions) != adata.n_obs:
        raise ValueError(
            f"The alternatives of {key!r} are those of {len(partitions)} spots, but `adata` has {adata.n_obs}; draw "
            "them with all spots, or call `spotscape.tl.domains` again."
        )
    slices, names = slice_codes(adata, slice_key)
    coordinates = read_coordinates(adata, spatial_key)
    categories = [str(number) for number in range(1, int(partitions.max()) + 1)]
    colorings = [color_spots(adata, _as_column(codes, categories, key, adata)) for codes in partitions.T]

    panels = [np.flatnonzero(slices == code) for code in range(max(1, len(names)))]
    height = 3.2 * panel_shape(coordinates, panels) + 0.3
    n_rows = legend_rows(height * len(panels))
    figure, axes = panel_grid(
        len(panels) * len(colorings),
        len(colorings),
        panel_size=(3.2, height),
        right=legend_width(colorings[0].names, n_rows),
    )
    for number, panel in enumerate(axes):
        row, column = divmod(number, len(colorings))
        draw_map(panel, coordinates, colorings[column], panels[row])
        if row == 0:
            panel.set_title(_title(found, column), fontsize=11)
        if column == 0 and len(names) > 1:
            panel.text(-0.02, 0.5, names[row], rotation=90, ha="right", va="center", transform=panel.transAxes)
    draw_guide(colorings[0], figure, axes, n_rows=n_rows, label=key)
    return savefig_or_show(figure, axes, "alternatives", show=show, save=save, return_fig=return_fig)


def _as_column(codes: np.ndarray, categories: list[str], key: str, adata: AnnData) -> pd.Series:
    values = pd.Categorical.from_codes(codes - 1, categories=categories)
    return pd.Series(values, index=adata.obs_names, name=key)


def _title(found: dict, column: int) -> str:
    if column == 0:
        return "chosen"
    agreement, excess = found["agreement"][0, column], found["excess"][column]
    return f"ARI {agreement:.2f}, sum of squares +{100 * excess:.1f} %"
