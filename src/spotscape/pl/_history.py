"""Training curves."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._validate import check_integer, check_number
from spotscape.pl._colors import PALETTE
from spotscape.pl._figure import finish, panel_grid

PART = re.compile(r"(^|_)(train|validation|test)(?=_|$)")
PART_COLORS = {"train": PALETTE[0], "validation": PALETTE[5], "test": PALETTE[2]}


def history(
    history_or_model: Mapping[str, pd.DataFrame] | Any,
    *,
    keys: Sequence[str] | None = None,
    window: int | None = None,
    mark: float | None = None,
    ncols: int = 4,
    show: bool | None = None,
    save: bool | str | Path | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw training curves, one panel a quantity: values as a thin line, their running mean as a thick one.

    A quantity that was recorded for training and validation (``"elbo_train"`` and ``"elbo_validation"``) has both in
    one panel.

    Parameters
    ----------
    history_or_model
        Trained model, or its ``history``: a table of one column for each quantity.
    keys
        Quantities to draw. If ``None``, all that have more than one value and are not zero throughout.
    window
        Number of epochs in a running mean; 1 for none. If ``None``, a twentieth of the epochs, at least 1.
    mark
        Epoch at which a vertical line is drawn, such as the one where prototypes came in.
    ncols
        Largest number of panels in a row.
    show
        Show the figure. If ``None``, as ``scanpy.settings.autoshow`` says, unless it is saved.
    save
        ``True``, or a text without folder that is appended to ``"history"``: saved in ``scanpy.settings.figdir``. A
        :class:`~pathlib.Path`, or a text with a folder: the file itself.
    return_fig
        Return the figure, and do not show it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    TypeError
        If it is neither a trained model nor a history.
    KeyError
        If one of ``keys`` was not recorded.
    ValueError
        If there is nothing to draw.
    """
    recorded = _recorded(history_or_model)
    if isinstance(keys, str):
        raise TypeError(f"`keys` is {keys!r}; pass a list of names, such as [{keys!r}].")
    absent = [key for key in keys or () if key not in recorded]
    if absent:
        raise KeyError(f"`keys` has {absent[0]!r}, which was not recorded; there are {list(recorded)}.")
    if window is not None:
        check_integer(window, "window", minimum=1)
    if mark is not None:
        check_number(mark, "mark", minimum=0)
    check_integer(ncols, "ncols", minimum=1)
    curves = {key: _curve(recorded[key], key) for key in (recorded if keys is None else keys)}
    if keys is None:
        curves = _worth_drawing(curves)
    curves = {key: curve for key, curve in curves.items() if len(curve)}
    if not curves:
        raise ValueError("The history holds no values; train the model for more epochs first.")

    panels: dict[str, list[str]] = {}
    for key in curves:
        panels.setdefault(_quantity(key), []).append(key)
    figure, axes = panel_grid(len(panels), ncols, panel_size=(3.0, 2.4))
    for panel, (quantity, members) in zip(axes, panels.items(), strict=True):
        for key in members:
            found = PART.search(key)
            part = found.group(2) if found else "train"
            _draw_curve(panel, curves[key], window, PART_COLORS[part], part)
        if mark is not None:
            panel.axvline(mark, color="0.4", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        if len(members) > 1:
            panel.legend(frameon=False, fontsize=8, handlelength=1.2)
        panel.set_title(quantity.replace("_", " "), fontsize=10)
        panel.set_xlabel(curves[members[0]].index.name or "epoch", fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8, length=3)
        panel.set_xlim(*_span(curves, panel.get_xlabel()))
    return finish(figure, axes, "history", show=show, save=save, return_fig=return_fig)


def _recorded(history_or_model: Any) -> Mapping[str, Any]:
    recorded = getattr(history_or_model, "history", history_or_model)
    if recorded is None:
        raise ValueError("The model has no history; call its `train()` first.")
    if not isinstance(recorded, Mapping):
        raise TypeError(f"`history_or_model` is a {type(recorded).__name__}; pass a trained model or its `history`.")
    return recorded


def _curve(table: pd.DataFrame | pd.Series, key: str) -> pd.Series:
    # The tables of scvi-tools hold objects, among them tensors of one number.
    values = table.iloc[:, 0] if isinstance(table, pd.DataFrame) else pd.Series(table)
    try:
        return values.map(lambda value: np.nan if value is None else float(value)).astype(np.float64).dropna()
    except (TypeError, ValueError) as error:
        raise ValueError(f"The history of {key!r} is not numeric; leave it out of `keys`.") from error


def _worth_drawing(curves: Mapping[str, pd.Series]) -> dict[str, pd.Series]:
    """Drop what scvi-tools records for variational models only: terms that stay at zero, and sums of one term."""
    changing = {key: curve for key, curve in curves.items() if len(curve) > 1 and curve.any()}
    sums = [key for key in changing if key.startswith("elbo")]
    terms = [curve.to_numpy() for key, curve in changing.items() if key not in sums]
    repeated = {key for key in sums if any(np.array_equal(changing[key].to_numpy(), term) for term in terms)}
    return {key: curve for key, curve in changing.items() if key not in repeated}


def _span(curves: Mapping[str, pd.Series], unit: str) -> tuple[float, float]:
    """First and last epoch (or step) of all curves, so that panels can be compared."""
    same = [curve.index for curve in curves.values() if (curve.index.name or "epoch") == unit]
    low, high = min(index.min() for index in same), max(index.max() for index in same)
    return low - 0.01 * (high - low) - 1e-3, high + 0.01 * (high - low) + 1e-3


def _quantity(key: str) -> str:
    """Name of a quantity without the part of the data and the word epoch: ``train_loss_epoch`` is ``loss``."""
    if not PART.search(key):
        return key
    return PART.sub("", key).removesuffix("_epoch").strip("_") or key


def _draw_curve(axes: Axes, curve: pd.Series, window: int | None, color: str, label: str) -> None:
    window = max(1, len(curve) // 20) if window is None else window
    if window > 1:
        axes.plot(curve.index, curve, color=color, linewidth=0.7, alpha=0.35)
    smooth = curve.rolling(window, center=True, min_periods=1).mean()
    axes.plot(curve.index, smooth, color=color, linewidth=1.8, label=label)
