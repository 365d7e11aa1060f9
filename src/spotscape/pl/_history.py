"""Training curves."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spotscape._arguments import check_call
from spotscape._validate import check_integer, check_number, check_present, shown
from spotscape.pl._colors import PALETTE
from spotscape.pl._figure import panel_grid, savefig_or_show, style_axes

SUBSET = re.compile(r"(^|_)(train|validation|test)(?=_|$)")
SUBSET_COLORS = {"train": PALETTE[0], "validation": PALETTE[5], "test": PALETTE[2]}


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
    """Draw training curves, one panel per quantity: values as a thin line, their running mean as a thick line.

    The training and validation values of a quantity, such as ``"elbo_train"`` and ``"elbo_validation"``, share a panel.

    Parameters
    ----------
    history_or_model
        Trained model, or its ``history``: a one-column data frame for each quantity.
    keys
        Quantities to draw. If ``None``, all that have more than one value and are not constantly zero.
    window
        Number of epochs in the running mean; 1 for no averaging. If ``None``, a twentieth of the epochs, at least 1.
    mark
        Epoch at which to draw a vertical line, for example the first one with prototypes.
    ncols
        Maximum number of panels per row.
    show
        Whether to show the figure. If ``None``, ``scanpy.settings.autoshow``, unless the figure is saved.
    save
        ``True`` saves the figure in ``scanpy.settings.figdir``; a string without a folder is also appended to
        ``"history"``. A :class:`~pathlib.Path` or a string with a folder is the file.
    return_fig
        Return the figure instead of showing it.

    Returns
    -------
    The figure if ``return_fig``, the list of panels if ``show=False``, otherwise ``None``.

    Raises
    ------
    TypeError
        If ``history_or_model`` is neither a trained model nor a history.
    KeyError
        If one of ``keys`` was not recorded.
    ValueError
        If there are no values to draw.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import spotscape as sps
    >>> history = {
    ...     "elbo_train": pd.DataFrame({"elbo_train": np.geomspace(100, 50, 20)}),
    ...     "elbo_validation": pd.DataFrame({"elbo_validation": np.geomspace(110, 60, 20)}),
    ... }
    >>> panels = sps.pl.history(history, show=False)
    >>> [panel.get_title() for panel in panels]
    ['elbo']
    """
    check_call(history, locals())
    recorded = _read_history(history_or_model)
    if isinstance(keys, str) or (keys is not None and not isinstance(keys, Iterable)):
        raise TypeError(f"`keys` is {keys!r}; pass a list of names, such as [{str(keys)!r}].")
    for key in keys or ():
        check_present(key, "keys", recorded, "history")
    if window is not None:
        check_integer(window, "window", minimum=1)
    if mark is not None:
        check_number(mark, "mark", minimum=0)
    check_integer(ncols, "ncols", minimum=1)
    if keys is not None and not len(list(keys)):
        raise ValueError("`keys` is empty; pass at least one name, or None for all.")
    curves = {key: _curve(recorded[key], key) for key in (recorded if keys is None else keys)}
    if keys is None:
        curves = _drop_uninformative(curves)
    curves = {key: curve for key, curve in curves.items() if len(curve)}
    if not curves:
        raise ValueError("The history has no values to draw; train the model for more epochs.")

    panels: dict[str, list[str]] = {}
    for key in curves:
        panels.setdefault(_quantity(key), []).append(key)
    figure, axes = panel_grid(len(panels), ncols, panel_size=(3.0, 2.4))
    for panel, (quantity, members) in zip(axes, panels.items(), strict=True):
        for key in members:
            found = SUBSET.search(key)
            subset = found.group(2) if found else "train"
            _draw_curve(panel, curves[key], window, SUBSET_COLORS[subset], subset)
        if mark is not None:
            panel.axvline(mark, color="0.4", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        if len(members) > 1:
            panel.legend(frameon=False, fontsize=8, handlelength=1.2)
        panel.set_title(quantity.replace("_", " "), fontsize=10)
        style_axes(panel, curves[members[0]].index.name or "epoch")
        panel.set_xlim(*_epoch_limits(curves, panel.get_xlabel()))
    return savefig_or_show(figure, axes, "history", show=show, save=save, return_fig=return_fig)


def _read_history(history_or_model: Any) -> Mapping[str, Any]:
    recorded = getattr(history_or_model, "history", history_or_model)
    if recorded is None and history_or_model is not None:
        raise ValueError("The model has no history; call its `train()` first.")
    if not isinstance(recorded, Mapping):
        raise TypeError(f"`history_or_model` is {shown(history_or_model)}; pass a trained model or its `history`.")
    if not recorded:
        raise ValueError("`history_or_model` is {}, without values; train the model first.")
    return recorded


def _curve(table: pd.DataFrame | pd.Series, key: str) -> pd.Series:
    # Data frames of scvi-tools contain objects, such as tensors of one number.
    values = table.iloc[:, 0] if isinstance(table, pd.DataFrame) else pd.Series(table)
    try:
        return values.map(lambda value: np.nan if value is None else float(value)).astype(np.float64).dropna()
    except (TypeError, ValueError) as error:
        raise ValueError(f"The history of {key!r} is not numeric; omit it from `keys`.") from error


def _drop_uninformative(curves: Mapping[str, pd.Series]) -> dict[str, pd.Series]:
    """Drop terms that are always zero, and sums of a single term, which scvi-tools records for all models."""
    changing = {key: curve for key, curve in curves.items() if len(curve) > 1 and curve.any()}
    sums = [key for key in changing if key.startswith("elbo")]
    terms = [curve.to_numpy() for key, curve in changing.items() if key not in sums]
    repeated = {key for key in sums if any(np.array_equal(changing[key].to_numpy(), term) for term in terms)}
    return {key: curve for key, curve in changing.items() if key not in repeated}


def _epoch_limits(curves: Mapping[str, pd.Series], unit: str) -> tuple[float, float]:
    """First and last epoch (or step) over all curves, for panels with the same limits."""
    same = [curve.index for curve in curves.values() if (curve.index.name or "epoch") == unit]
    low, high = min(index.min() for index in same), max(index.max() for index in same)
    return low - 0.01 * (high - low) - 1e-3, high + 0.01 * (high - low) + 1e-3


def _quantity(key: str) -> str:
    """Name of a quantity without subset and epoch: ``loss`` for ``train_loss_epoch``."""
    if not SUBSET.search(key):
        return key
    return SUBSET.sub("", key).removesuffix("_epoch").strip("_") or key


def _draw_curve(axes: Axes, curve: pd.Series, window: int | None, color: str, label: str) -> None:
    window = max(1, len(curve) // 20) if window is None else window
    if window > 1:
        axes.plot(curve.index, curve, color=color, linewidth=0.7, alpha=0.35)
    smooth = curve.rolling(window, center=True, min_periods=1).mean()
    axes.plot(curve.index, smooth, color=color, linewidth=1.8, label=label)
