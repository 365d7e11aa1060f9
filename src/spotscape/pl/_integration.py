"""Biological conservation against slice mixing, one marker per integration method."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from spotscape._arguments import check_call, check_table
from spotscape._validate import check_present
from spotscape.pl._colors import PALETTE
from spotscape.pl._figure import legend_rows, legend_width, panel_grid, savefig_or_show, style_axes

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
    """Draw integration methods by two scores: biological conservation (y axis) and slice mixing (x axis).

    Each method is a marker at its mean over runs, with bars of one standard deviation if there are several runs. The
    line is the Pareto front: the methods for which no other is at least as good in both scores and better in one.

    Parameters
    ----------
    table
        One row per run, with the columns ``"method"``, ``bio`` and ``batch``, for example ``bio_mean`` and
        ``batch_mean`` of :func:`spotscape.metrics.integration_scores`. With a column ``"section"``, each section has a
        panel.
    bio, batch
        Columns of the two scores. Larger is better.
    ncols
        Maximum number of panels per row.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"integration"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    TypeError
        If ``table`` is not a data frame, or a score is not numeric.
    KeyError
        If a column is missing.
    ValueError
        If the table is empty, a score is missing or infinite, or there are more methods than markers.

    Examples
    --------
    >>> import pandas as pd
    >>> import spotscape as sps
    >>> table = pd.DataFrame(
    ...     {"method": ["PCA", "Harmony", "SPOTSCAPE"], "bio": [0.5, 0.55, 0.7], "batch": [0.3, 0.6, 0.6]}
    ... )
    >>> panels = sps.pl.integration(table, show=False)
    >>> len(panels)
    1
    """
    check_call(integration, locals())
    methods = _check_table(table, bio, batch)
    sections = list(dict.fromkeys(table["section"])) if "section" in table else [None]
    right = legend_width([str(name) for name in methods], legend_rows(_HEIGHT)) + 0.2
    figure, axes = panel_grid(len(sections), ncols, panel_size=(_HEIGHT, _HEIGHT), right=right)
    style = {name: (PALETTE[index], _MARKERS[index]) for index, name in enumerate(methods)}
    for panel, section in zip(axes, sections, strict=True):
        runs = table if section is None else table[table["section"] == section]
        means = runs.groupby("method", sort=False, observed=True)[[batch, bio]].mean()
        deviations = runs.groupby("method", sort=False, observed=True)[[batch, bio]].std().fillna(0.0)
        front = means[pareto_front(means.to_numpy())].sort_values(batch)
        panel.plot(front[batch], front[bio], color="0.6", linewidth=1.2, zorder=1, gid="front")
        for name in means.index:
            color, marker = style[name]
            panel.errorbar(
                means.loc[name, batch],
                means.loc[name, bio],
                xerr=deviations.loc[name, batch],
                yerr=deviations.loc[name, bio],
                color=color,
                marker=marker,
                markersize=8,
                markeredgecolor="white",
                markeredgewidth=0.8,
                elinewidth=1,
            )
        panel.set_title("" if section is None else str(section), fontsize=11)
        style_axes(panel, "slice mixing →", "biological conservation →")
        panel.margins(0.12)
    _draw_legend(figure, style)
    return savefig_or_show(figure, axes, "integration", show=show, save=save, return_fig=return_fig)


def pareto_front(scores: np.ndarray) -> np.ndarray:
    """Return whether no other row is at least as large in all columns and larger in one. ``(n_rows,)``."""
    no_worse = (scores[:, None] >= scores[None]).all(axis=2)
    better = (scores[:, None] > scores[None]).any(axis=2)
    return np.logical_not((no_worse & better).any(axis=0))


def _check_table(table: pd.DataFrame, bio: str, batch: str) -> list[str]:
    """Check the table, and return the methods in order of appearance."""
    check_table(table, "table")
    for name, key in (("table", "method"), ("bio", bio), ("batch", batch)):
        check_present(key, name, table.columns, "table")
    for key in (bio, batch):
        if not pd.api.types.is_numeric_dtype(table[key]):
            raise TypeError(f"Column {key!r} of `table` is not numeric ({table[key].dtype}); pass numeric scores.")
        n_wrong = int((~np.isfinite(table[key].to_numpy(np.float64))).sum())
        if n_wrong:
            raise ValueError(f"Column {key!r} of `table` has {n_wrong} missing or infinite scores; remove these rows.")
    if table["method"].isna().any():
        raise ValueError("Column 'method' of `table` has missing values; name the method of each run.")
    methods = list(dict.fromkeys(table["method"]))
    if len(methods) > len(_MARKERS):
        raise ValueError(f"`table` has {len(methods)} methods; draw at most {len(_MARKERS)} in one figure.")
    return methods


def _draw_legend(figure: Figure, style: dict[str, tuple[str, str]]) -> None:
    handles = [
        Line2D([], [], linestyle="", color=color, marker=marker, markersize=7, label=str(name))
        for name, (color, marker) in style.items()
    ]
    handles.append(Line2D([], [], color="0.6", linewidth=1.2, label="Pareto front"))
    figure.legend(handles=handles, loc="outside right center", frameon=False, fontsize=9, alignment="left")
