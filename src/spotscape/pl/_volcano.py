"""Volcano plots of differential expression."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape._validate import check_integer, check_number
from spotscape.get._tables import filter_table, read_result
from spotscape.pl._colors import PALETTE, UNANNOTATED
from spotscape.pl._figure import N_POINTS_VECTOR, panel_grid, savefig_or_show, style_axes

_SMALLEST = 1e-300
# Size of a letter in shares of the panel.
_CHARACTER = 0.026
_LINE = 0.055
_LONGEST_NAME = 12


def volcano(
    adata: AnnData,
    domain: str | Sequence[str] | None = None,
    *,
    key: str = "differential_expression",
    max_p_adjusted: float = 0.05,
    min_log2_fold_change: float = 0.5,
    n_labels: int = 8,
    ncols: int = 4,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw fold changes and p values of all tested genes, one panel per domain.

    Genes that pass both thresholds are coloured, and those with the smallest p values are named. If spots were tested
    in place of replicates, the title says so.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.differential_expression` or :func:`spotscape.tl.markers`.
    domain
        Domain, or several. If ``None``, all in the result.
    key
        Key of the result in ``adata.uns``.
    max_p_adjusted
        Largest adjusted p value of a coloured gene.
    min_log2_fold_change
        Smallest absolute log2 fold change of a coloured gene.
    n_labels
        Largest number of names per panel. Names that would cover another are left out.
    ncols
        Largest number of panels per row.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"volcano"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If there is no such result, or a domain is not in it.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=3, n_spots=300, n_genes=60, n_domains=4, seed=0)
    >>> sps.tl.differential_expression(adata, replicate="slice", domain_key="domain", reference_domain="rest")
    >>> panels = sps.pl.volcano(adata, ["layer_1", "patch_1"], show=False)
    >>> [panel.get_title() for panel in panels]
    ['layer_1 against rest', 'patch_1 against rest']
    """
    check_call(volcano, locals())
    check_number(max_p_adjusted, "max_p_adjusted", minimum=0.0, maximum=1.0)
    check_number(min_log2_fold_change, "min_log2_fold_change", minimum=0.0)
    check_integer(n_labels, "n_labels", minimum=0)
    columns = ["domain", "reference", "gene", "log2_fold_change", "p_value", "p_adjusted"]
    table = filter_table(read_result(adata, key, "differential_expression", columns), domain)
    by_domain = dict(iter(table.groupby("domain", sort=False, observed=True)))
    figure, axes = panel_grid(len(by_domain), ncols, panel_size=(3.4, 3.2))
    for panel, (name, rows) in zip(axes, by_domain.items(), strict=True):
        effect = rows["log2_fold_change"].to_numpy()
        height = -np.log10(np.maximum(rows["p_value"].to_numpy(), _SMALLEST))
        passes = (rows["p_adjusted"].to_numpy() <= max_p_adjusted) & (np.abs(effect) >= min_log2_fold_change)
        colors = np.where(effect > 0, PALETTE[5], PALETTE[0])
        colors = np.where(passes, colors, UNANNOTATED)
        panel.scatter(effect, height, s=9, c=colors, linewidths=0, alpha=0.85, rasterized=len(rows) > N_POINTS_VECTOR)
        genes = rows["gene"].astype(str).to_numpy()
        order = np.flatnonzero(passes)[np.argsort(-height[passes], kind="stable")]
        # Room for the names, which are drawn on the outer side.
        longest = max(map(len, genes[order[: 2 * n_labels]]), default=0) if n_labels else 0
        widest = max(float(np.abs(effect).max(initial=0.0)), min_log2_fold_change, 0.1)
        widest /= 0.95 - 2 * _CHARACTER * min(longest, _LONGEST_NAME)
        panel.set_xlim(-widest, widest)
        panel.set_ylim(0, 1.08 * max(float(height.max(initial=0.0)), 1.0))
        for threshold in (-min_log2_fold_change, min_log2_fold_change):
            panel.axvline(threshold, color="#BBBBBB", linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
        style_axes(panel, "log2 fold change", "−log10 p")
        panel.set_title(_title(str(name), rows), fontsize=9)
        _draw_names(panel, genes, effect, height, order, n_labels)
    return savefig_or_show(figure, axes, "volcano", show=show, save=save, return_fig=return_fig)


def _title(name: str, rows: pd.DataFrame) -> str:
    reference = str(rows["reference"].iloc[0])
    group = str(rows["group"].iloc[0]) if "group" in rows else name
    title = f"{name} against {reference}" if group == name else f"{name}: {group} against {reference}"
    by_replicate = "unit" in rows and rows["unit"].iloc[0] == "replicate"
    return title if by_replicate else f"{title}\n(spots, not replicates)"


def _draw_names(
    panel: Axes, genes: np.ndarray, effect: np.ndarray, height: np.ndarray, order: np.ndarray, n_labels: int
) -> None:
    """Name genes on the outer side of their dots, the first ones first, where no name is yet."""
    to_share = panel.transLimits.transform
    taken: list[tuple[float, float, float]] = []
    for row in order:
        if len(taken) == n_labels:
            return
        x, y = to_share((effect[row], height[row]))
        side = 1 if effect[row] > 0 else -1
        end = x + side * (0.02 + _CHARACTER * len(genes[row]))
        left, right = min(x, end), max(x, end)
        if any(abs(y - other) < _LINE and left < high and right > low for low, high, other in taken):
            continue
        taken.append((left, right, y))
        panel.annotate(
            genes[row],
            (effect[row], height[row]),
            xytext=(3 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=7,
        )
