"""Why a number of domains was chosen."""

from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape.pl._colors import PALETTE
from spotscape.pl._figure import finish, panel_grid


def n_domains(
    adata: AnnData,
    key: str = "n_domains",
    *,
    title: str | None = None,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw how reproducible each number of domains is, and which one was chosen.

    The line is the mean over the splits, the band one standard deviation, a dot one split.

    Parameters
    ----------
    adata
        Annotated data.
    key
        Key in ``adata.uns`` of the result of :func:`spotscape.tl.choose_n_domains`.
    title
        Title of the panel. If ``None``, none.
    show
        Show the figure. If ``None``, as ``scanpy.settings.autoshow`` says, unless it is saved.
    save
        ``True``, or a text without folder that is appended to ``"n_domains"``: saved in ``scanpy.settings.figdir``. A
        :class:`~pathlib.Path`, or a text with a folder: the file itself.
    return_fig
        Return the figure, and do not show it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    KeyError
        If ``key`` is missing, or is no such result.
    """
    result = adata.uns.get(key)
    if result is None or "splits" not in result or "table" not in result:
        raise KeyError(
            f"`key` is {key!r}, which is no result in `adata.uns`; call `spotscape.tl.choose_n_domains` first."
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
    panel.set_xlabel("number of domains", fontsize=9)
    panel.set_ylabel("reproducibility (ARI)", fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8, length=3)
    if title is not None:
        panel.set_title(title, fontsize=10)
    return finish(figure, axes, "n_domains", show=show, save=save, return_fig=return_fig)
