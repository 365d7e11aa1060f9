"""Reproducibility of each number of domains."""

from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape.pl._colors import PALETTE
from spotscape.pl._figure import panel_grid, savefig_or_show, style_axes


def n_domains(
    adata: AnnData,
    key: str = "n_domains",
    *,
    title: str | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw the reproducibility of each number of domains, and the chosen number.

    The line is the mean over the splits, the band is one standard deviation, and each dot is one split.

    Parameters
    ----------
    adata
        Annotated data with a result of :func:`spotscape.tl.choose_n_domains`.
    key
        Key of the result in ``adata.uns``.
    title
        Title of the panel. If ``None``, no title.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"n_domains"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If ``key`` does not exist or is not such a result.

    Examples
    --------
    >>> import scanpy as sc
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=200, n_genes=40, seed=0)
    >>> sc.pp.log1p(adata)
    >>> sc.pp.pca(adata, n_comps=5)
    >>> chosen = sps.tl.choose_n_domains(adata, use_rep="X_pca", n_domains=range(2, 6), n_splits=2, n_init=1)
    >>> panels = sps.pl.n_domains(adata, show=False)
    >>> panels[0].get_ylabel()
    'reproducibility (ARI)'
    """
    check_call(n_domains, locals())
    result = adata.uns.get(key)
    if result is None or "splits" not in result or "table" not in result:
        raise KeyError(
            f"`key` is {key!r}, which is not such a result in `adata.uns`; call `spotscape.tl.choose_n_domains` first."
        )
    table, splits, chosen = result["table"], np.asarray(result["splits"]), int(result["chosen"])
    numbers = table["n_domains"].to_numpy()
    mean, sd = table["reproducibility"].to_numpy(), table["sd"].to_numpy()

    figure, axes = panel_grid(1, 1, panel_size=(4.6, 3.0))
    panel = axes[0]
    panel.fill_between(numbers, mean - sd, mean + sd, color=PALETTE[0], alpha=0.15, linewidth=0)
    panel.scatter(np.repeat(numbers, splits.shape[1]), splits.ravel(), s=5, color=PALETTE[0], alpha=0.4, linewidths=0)
    panel.plot(numbers, mean, color=PALETTE[0], linewidth=1.8)
    panel.plot(chosen, mean[numbers == chosen], marker="o", markersize=8, color=PALETTE[5], label=f"chosen: {chosen}")
    panel.axvline(chosen, color=PALETTE[5], linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    panel.legend(frameon=False, fontsize=9)
    panel.set_xticks(numbers)
    style_axes(panel, "number of domains", "reproducibility (ARI)")
    if title is not None:
        panel.set_title(title, fontsize=10)
    return savefig_or_show(figure, axes, "n_domains", show=show, save=save, return_fig=return_fig)
