"""Maps of genes: counts beside denoised expression."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from spotscape._arguments import check_call
from spotscape._slices import requested_slices
from spotscape._validate import check_number, check_present
from spotscape.pl._coloring import color_numbers, draw_guide
from spotscape.pl._figure import savefig_or_show
from spotscape.pl._map import draw_map, panel_shape, read_coordinates
from spotscape.pl._values import slice_codes
from spotscape.tl.expression._counts import read_counts
from spotscape.tl.expression._denoised import checked_genes, denoised_values, normalized_counts

_WIDTH = 2.6
_BAR_WIDTH = 0.75


def denoised(
    adata: AnnData,
    genes: str | Sequence[str],
    *,
    expression: str | pd.DataFrame = "denoised",
    slices: str | Sequence[str] | None = None,
    layer: str | None = None,
    size_factor_key: str | None = None,
    slice_key: str | None = None,
    spatial_key: str = "spatial",
    quantile: float = 0.99,
    spot_size: float | None = None,
    cmap: str = "viridis",
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    r"""Draw maps of genes, counts beside denoised expression, one row per gene and two panels per slice.

    Both are :math:`\log(1 + x)` of counts per 10,000. Each gene has one colour bar for its counts and one for its
    denoised expression, the same in all slices. The bars differ because denoised expression has a smaller range: read
    the numbers.

    Parameters
    ----------
    adata
        Annotated data.
    genes
        Gene, or several.
    expression
        Layer with the denoised expression in counts per 10,000, or a data frame of these genes, as
        ``model.get_normalized_expression(gene_list=genes, library_size=1e4)`` returns, which needs less memory.
    slices
        Slices to draw. If ``None``, all.
    layer
        Layer with the counts. If ``None``, what ``adata`` was set up with for a model, otherwise ``"counts"``,
        otherwise ``adata.X``.
    size_factor_key
        Column of ``adata.obs`` with the total of each spot over all genes. If ``None``, the one of the set-up,
        otherwise the totals of ``adata``.
    slice_key, spatial_key, spot_size
        As in :func:`spotscape.pl.spatial`.
    quantile
        Quantile of the drawn values at which each colour bar ends, so that single spots do not make all others dark.
    cmap
        Colour map.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"denoised"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels, row by row, if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If a gene, a layer, a slice or a column does not exist.
    ValueError
        If values are not counts, or denoised values are in another unit.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=100, n_genes=40, seed=0)
    >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    >>> model = sps.SPOTSCAPE(adata)
    >>> model.train(max_epochs=2)
    >>> genes = list(adata.var_names[:2])
    >>> denoised = model.get_normalized_expression(gene_list=genes, library_size=1e4)
    >>> len(sps.pl.denoised(adata, genes, expression=denoised, show=False))
    8
    """
    check_call(denoised, locals())
    names = checked_genes(adata, genes)
    check_number(quantile, "quantile", minimum=0.0, maximum=1.0)
    codes, of_codes = slice_codes(adata, slice_key)
    titles = of_codes or [""]
    wanted = titles if slices is None else requested_slices(slices)
    for name in wanted:
        check_present(name, "slices", of_codes, "the slices of `adata`")
    panels = {name: np.flatnonzero(codes == titles.index(name)) for name in wanted}
    coordinates = read_coordinates(adata, spatial_key)
    measured = normalized_counts(read_counts(adata, layer, size_factor_key, names), names)
    values = {"counts": measured, "denoised": denoised_values(adata, expression, names, measured, "expression")}

    n_columns = len(panels)
    height = _WIDTH * panel_shape(coordinates, list(panels.values())) + 0.3
    size = (2 * (_WIDTH * n_columns + _BAR_WIDTH), height * len(names))
    # The layout knows the place of the labels only roughly, because maps are narrower than their axes.
    layout = ConstrainedLayoutEngine(w_pad=0.12)
    figure, axes = plt.subplots(len(names), 2 * n_columns, figsize=size, squeeze=False, layout=layout)
    shown = np.concatenate(list(panels.values()))
    for row, gene in enumerate(names):
        for side, (kind, matrix) in enumerate(values.items()):
            here = list(axes[row, side * n_columns : (side + 1) * n_columns])
            logs = pd.Series(np.log1p(matrix[:, row]), name=gene)
            low, high = _limits(logs.to_numpy()[shown], kind, quantile)
            coloring = color_numbers(logs, cmap, low, high)
            for panel, (name, spots) in zip(here, panels.items(), strict=True):
                draw_map(panel, coordinates, coloring, spots, spot_size)
                if row == 0:
                    panel.set_title(f"{name}\n{kind}" if name and len(titles) > 1 else kind, fontsize=11)
            draw_guide(coloring, figure, here)
        axes[row, 0].set_ylabel(gene, fontsize=11)
    return savefig_or_show(figure, list(axes.flat), "denoised", show=show, save=save, return_fig=return_fig)


def _limits(values: np.ndarray, kind: str, quantile: float) -> tuple[float, float]:
    """Limits of the colours: from 0 for counts, from the lower quantile for denoised values."""
    low = 0.0 if kind == "counts" else float(np.quantile(values, min(1 - quantile, quantile)))
    high = float(np.quantile(values, quantile))
    # Where so few spots have the gene that the quantile is 0, all of them are needed.
    return low, high if high > low else max(float(values.max()), low)
