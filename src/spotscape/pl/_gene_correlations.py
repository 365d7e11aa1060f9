"""Heat maps of correlations between genes."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape.get import gene_correlations as get_gene_correlations
from spotscape.pl._colors import UNANNOTATED
from spotscape.pl._figure import draw_color_bar, panel_grid, savefig_or_show, style_axes

_TITLES = {
    "counts": "counts",
    "held_out": "held-out counts",
    "noise_corrected": "noise-corrected",
    "denoised": "denoised",
}


def gene_correlations(
    adata: AnnData,
    key: str = "gene_correlations",
    *,
    ncols: int = 5,
    cmap: str = "RdBu_r",
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw the correlations between genes in counts, held-out counts and denoised expression.

    There is one heat map for each column of the result, with the genes in the order in which they were given; missing
    correlations are grey. With held-out counts, the last panel compares the denoised with the noise-corrected
    correlations, one point per pair of genes. Points outside the shaded part are stronger in denoised expression than
    in the tissue, or have another sign.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.gene_correlations`.
    key
        Key of the result in ``adata.uns``.
    ncols
        Maximum number of panels per row.
    cmap
        Colour map, whose middle is 0.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"gene_correlations"``. A :class:`~pathlib.Path` or a string with a folder is the file.
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
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, n_domains=4, seed=0)
    >>> sps.pp.thin_counts(adata)
    >>> sps.tl.gene_correlations(
    ...     adata, list(adata.var_names[:4]), denoised=None, layer="counts_fit", held_out="counts_held_out"
    ... )
    >>> panels = sps.pl.gene_correlations(adata, show=False)
    >>> [panel.get_title() for panel in panels]
    ['counts', 'held-out counts', 'noise-corrected']
    """
    check_call(gene_correlations, locals())
    table = get_gene_correlations(adata, key=key)
    genes = list(dict.fromkeys([*table["gene_1"], *table["gene_2"]]))
    columns = [name for name in _TITLES if name in table]
    compared = {"noise_corrected", "denoised"} <= set(columns)
    norm, colors = Normalize(-1, 1), plt.colormaps[cmap].with_extremes(bad=UNANNOTATED)
    side = max(2.4, 1.0 + 0.2 * len(genes))
    figure, axes = panel_grid(len(columns) + compared, ncols, panel_size=(side, side), right=0.8)
    for panel, name in zip(axes, columns, strict=False):
        panel.imshow(np.ma.masked_invalid(_matrix(table, genes, name)), cmap=colors, norm=norm)
        panel.set_xticks(range(len(genes)), genes, rotation=90, fontsize=8)
        panel.set_yticks(range(len(genes)), genes if panel is axes[0] else [""] * len(genes), fontsize=8)
        panel.tick_params(length=0)
        panel.spines[:].set_visible(False)
        panel.set_title(_TITLES[name], fontsize=11)
    if compared:
        _compare(axes[-1], table)
    draw_color_bar(axes[: len(columns)], ScalarMappable(norm, colors), "correlation")
    return savefig_or_show(figure, axes, "gene_correlations", show=show, save=save, return_fig=return_fig)


def _matrix(table: pd.DataFrame, genes: list[str], column: str) -> np.ndarray:
    """Symmetric matrix of a column, with a diagonal of 1. ``(n_genes, n_genes)``."""
    order = {gene: number for number, gene in enumerate(genes)}
    first, second = table["gene_1"].map(order), table["gene_2"].map(order)
    matrix = np.eye(len(genes))
    matrix[first, second] = matrix[second, first] = table[column]
    return matrix


def _compare(panel: Axes, table: pd.DataFrame) -> None:
    """Scatter plot of denoised against noise-corrected correlations."""
    panel.fill([-1, 1, 1, -1], [-1, 1, 0, 0], color="#EEEEEE", lw=0)
    panel.plot([-1, 1], [-1, 1], color="#999999", lw=0.8)
    panel.scatter(table["noise_corrected"], table["denoised"], s=12, color="#3B6FB6", linewidths=0, alpha=0.8)
    panel.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    style_axes(panel, "noise-corrected", "denoised")
