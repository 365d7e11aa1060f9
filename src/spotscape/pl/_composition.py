"""Stacked bars of the composition of samples."""

from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape.get import composition as get_composition
from spotscape.pl._colors import Palette, category_colors
from spotscape.pl._figure import draw_legend, legend_rows, legend_width, panel_grid, savefig_or_show, style_axes


def composition(
    adata: AnnData,
    key: str = "composition",
    *,
    palette: Palette = None,
    title: str | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw the shares of categories in each sample as stacked bars, grouped by condition if there is one.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.composition`.
    key
        Key of the result in ``adata.uns``.
    palette
        Colours of the categories, as in :func:`spotscape.pl.spatial`. If ``None``, the colours in ``adata.uns``.
    title
        Title of the panel. If ``None``, no title.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"composition"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If there is no such result.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=3, n_spots=200, n_genes=40, n_domains=4, seed=0)
    >>> sps.tl.composition(adata, "domain")
    >>> panels = sps.pl.composition(adata, show=False)
    >>> [label.get_text() for label in panels[0].get_xticklabels()]
    ['slice_1', 'slice_2', 'slice_3']
    """
    check_call(composition, locals())
    table = get_composition(adata, key=key)
    shares = table.pivot(index="sample", columns="category", values="proportion")
    column = adata.uns[key]["params"]["key"]
    names = [str(name) for name in shares.columns]
    colors = category_colors(adata, column, names, palette)
    labels = [str(name) for name in shares.index]
    if "condition" in table:
        of_sample = table.drop_duplicates("sample").set_index("sample")["condition"].astype(str)
        order = np.argsort(of_sample[shares.index].to_numpy(), kind="stable")
        shares = shares.iloc[order]
        labels = [f"{name}\n{of_sample[name]}" for name in shares.index]
    height = 3.2
    n_rows = legend_rows(height)
    width = max(2.4, 0.45 * len(shares) + 1.0)
    figure, axes = panel_grid(1, 1, panel_size=(width, height), right=legend_width(names, n_rows))
    panel = axes[0]
    bottom = np.zeros(len(shares))
    for name, color in zip(shares.columns, colors, strict=True):
        values = shares[name].to_numpy()
        panel.bar(np.arange(len(shares)), values, bottom=bottom, color=color, width=0.85)
        bottom += values
    rotation = 0 if max(map(len, labels)) < 4 else 90
    panel.set_xticks(np.arange(len(shares)), labels, rotation=rotation)
    panel.set_ylim(0, 1)
    panel.margins(x=0.02)
    style_axes(panel, "", "share of spots")
    if title is not None:
        panel.set_title(title, fontsize=10)
    draw_legend(figure, names, colors, n_rows)
    return savefig_or_show(figure, axes, "composition", show=show, save=save, return_fig=return_fig)
