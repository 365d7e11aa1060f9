"""What is kept of the biology against how far slices are mixed, one marker a method."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spotscape.pl._colors import PALETTE
from spotscape.pl._figure import finish, legend_rows, legend_width, panel_grid

_MARKERS = "osD^vP<>Xp*h"
_HEIGHT = 3.3


def integration(
    table: pd.DataFrame,
    *,
    bio: str = "bio",
    batch: str = "batch",
    ncols: int = 4,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw methods of integration by two scores: biology that is kept upwards, mixing of slices to the right.

    A method is a marker at its mean over seeds, with a bar of one standard deviation each way where there are several.
    The line is the Pareto front: the methods to which no other is at least as good in both scores and better in one.

    Parameters
    ----------
    table
        One row a run, with the columns ``"method"``, ``bio`` and ``batch``, such as the means ``bio_mean`` and
        ``batch_mean`` of :func:`spotscape.metrics.integration_scores`. Where there is a column ``"section"``, each
        section has its own panel.
    bio, batch
        Columns of the two scores; the larger, the better.
    ncols
        Largest number of panels in a row.
    show
        Show the figure. If ``None``, as ``scanpy.settings.autoshow`` says, unless it is saved.
    save
        ``True``, or a text without folder that is appended to ``"integration"``: saved in ``scanpy.settings.figdir``. A
        :class:`~pathlib.Path`, or a text with a folder: the file itself.
    return_fig
        Return the figure, and do not show it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    TypeError
        If ``table`` is no table, or a score is not numeric.
    KeyError
        If a column is missing.
    ValueError
        If the table is empty, a score is missing or infinite, or there are more methods than markers.
    """
    methods = _check(table, bio, batch)
    sections = list(dict.fromkeys(table["section"])) if "section" in table else [None]
    right = legend_width([str(name) for name in methods], legend_rows(_HEIGHT)) + 0.2
    figure, axes = panel_grid(len(sections), ncols, panel_size=(_HEIGHT, _HEIGHT), right=right)
    style = {name: (PALETTE[index], _MARKERS[index]) for index, name in enumerate(methods)}
    for panel, section in zip(axes, sections, strict=True):
        runs = table if section is None else table[table["section"] == section]
        means = runs.groupby("method", sort=False, observed=True)[[batch, bio]].mean()
        spread = runs.groupby("method", sort=False, observed=True)[[batch, bio]].std().fillna(0.0)
        front = means[pareto_front(means.to_numpy())].sort_values(batch)
        panel.plot(front[batch], front[bio], color="0.6", linewidth=1.2, zorder=1, gid="front")
        for name in means.index:
            color, marker = style[name]
            panel.errorbar(
                means.loc[name, batch],
                means.loc[name, bio],
                xerr=spread.loc[name, batch],
                yerr=spread.loc[name, bio],
                color=color,
                marker=marker,
                markersize=8,
                markeredgecolor="white",
                markeredgewidth=0.8,
                elinewidth=1,
            )
        panel.set_title("" if section is None else str(section), fontsize=11)
        panel.set_xlabel("slices mixed →", fontsize=9)
        panel.set_ylabel("biology kept →", fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8, length=3)
        panel.margins(0.12)
    _draw_legend(figure, style)
    return finish(figure, axes, "integration", show=show, save=save, return_fig=return_fig)


def pareto_front(scores: np.ndarray) -> np.ndarray:
    """Tell which rows no other row equals or beats in all columns and beats in one. ``(n_rows,)``, boolean."""
    no_worse = (scores[:, None] >= scores[None]).all(axis=2)
    better = (scores[:, None] > scores[None]).any(axis=2)
    return np.logical_not((no_worse & better).any(axis=0))


def _check(table: pd.DataFrame, bio: str, batch: str) -> list[str]:
    """Names of the methods in order of appearance, once the table is known to be drawable."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"`table` is a {type(table).__name__}; pass a pandas DataFrame with one row a run.")
    for key in ("method", bio, batch):
        if key not in table:
            raise KeyError(f"`table` has no column {key!r}; there is {list(table.columns)}.")
    if table.empty:
        raise ValueError("`table` has no rows; pass one row a run.")
    for key in (bio, batch):
        if not pd.api.types.is_numeric_dtype(table[key]):
            raise TypeError(f"Column {key!r} of `table` is not numeric; pass scores.")
        n_wrong = int((~np.isfinite(table[key].to_numpy(np.float64))).sum())
        if n_wrong:
            raise ValueError(
                f"Column {key!r} of `table` has {n_wrong} missing or infinite scores; leave these rows out."
            )
    if table["method"].isna().any():
        raise ValueError("Column 'method' of `table` has missing names; name every run.")
    methods = list(dict.fromkeys(table["method"]))
    if len(methods) > len(_MARKERS):
        raise ValueError(f"`table` has {len(methods)} methods; draw at most {len(_MARKERS)} at once.")
    return methods


def _draw_legend(figure: Figure, style: dict[str, tuple[str, str]]) -> None:
    handles = [
        Line2D([], [], linestyle="", color=color, marker=marker, markersize=7, label=str(name))
        for name, (color, marker) in style.items()
    ]
    handles.append(Line2D([], [], color="0.6", linewidth=1.2, label="Pareto front"))
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9, alignment="left")
