"""Agreement of a pseudotime with a known order."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from spotscape._arguments import check_call
from spotscape._validate import numeric_array, shown
from spotscape.metrics._labels import encode_labels


class TrajectoryScores(NamedTuple):
    """Rank correlations of a pseudotime with a known order.

    Attributes
    ----------
    spearman
        Spearman's rank correlation coefficient.
    kendall
        Kendall's rank correlation coefficient (tau-b).

    Examples
    --------
    >>> from spotscape.metrics import TrajectoryScores
    >>> scores = TrajectoryScores(spearman=0.9, kendall=0.75)
    >>> scores.spearman > scores.kendall
    True
    """

    spearman: float
    kendall: float


def trajectory_scores(
    pseudotime: ArrayLike,
    known_order: ArrayLike,
    *,
    order: Sequence[Any] | None = None,
    signed: bool = False,
) -> TrajectoryScores:
    """Compare a pseudotime with a known order by rank correlation.

    A known order usually has few levels, such as seven cortical layers, so that many spots are tied. Ties are treated
    as usual: mean ranks in Spearman's coefficient, and the correction of tau-b in Kendall's. A continuous pseudotime
    that sorts all spots by their level perfectly then scores slightly below 1 (0.99 and 0.93 for seven levels of equal
    size).

    Parameters
    ----------
    pseudotime
        Pseudotime of each spot. ``(n_spots,)``.
    known_order
        Level of each spot in the known order: numbers, an ordered categorical, or names of ``order``. Missing values
        are spots whose level is not known, which are ignored. ``(n_spots,)``.
    order
        All names in ``known_order``, from first to last. If ``None``, ``known_order`` has an order itself.
    signed
        Whether the direction counts. By default both scores are absolute values, because a trajectory may start at
        either end. With ``True``, they are negative if the pseudotime runs against the known order.

    Returns
    -------
    Named tuple ``spearman``, ``kendall``, from 0 to 1, or from -1 to 1 if ``signed``.

    Raises
    ------
    ValueError
        If the lengths differ, ``known_order`` has no order or names that ``order`` lacks, the pseudotime is missing or
        infinite at a spot whose level is known, or fewer than two levels or values of the pseudotime remain.

    Examples
    --------
    >>> from spotscape.metrics import trajectory_scores
    >>> layers = ["WM", "WM", "L6", "L5", None]
    >>> scores = trajectory_scores([0.0, 0.1, 0.3, 0.7, 0.2], layers, order=["L5", "L6", "WM"])
    >>> round(scores.spearman, 2), round(scores.kendall, 2)
    (0.95, 0.91)
    >>> round(trajectory_scores([0.0, 0.1, 0.3], [3, 2, 1], signed=True).kendall, 2)
    -1.0
    """
    check_call(trajectory_scores, locals())
    values = numeric_array(pseudotime, "pseudotime").astype(np.float64)
    levels = _read_levels(known_order, order)
    if values.ndim != 1 or len(values) != len(levels):
        raise ValueError(
            f"`pseudotime` is {shown(pseudotime)}, of shape {values.shape}, `known_order` has {len(levels)} values; "
            "pass one per spot in both."
        )
    known = np.isfinite(levels)
    values, levels = values[known], levels[known]
    n_missing = int((~np.isfinite(values)).sum())
    if n_missing:
        raise ValueError(
            f"`pseudotime` is missing or infinite at {n_missing} spots whose level is known; remove these spots."
        )
    for name, column in (("known_order", levels), ("pseudotime", values)):
        if len(np.unique(column)) < 2:
            raise ValueError(
                f"`{name}` has {len(np.unique(column))} value(s) at the spots whose level is known; a rank correlation "
                "needs at least two."
            )
    spearman, kendall = (float(test(values, levels).statistic) for test in (stats.spearmanr, stats.kendalltau))
    return TrajectoryScores(spearman, kendall) if signed else TrajectoryScores(abs(spearman), abs(kendall))


def _read_levels(known_order: ArrayLike, order: Sequence[Any] | None) -> np.ndarray:
    """Level of each spot as a number, NaN where it is not known. ``(n_spots,)``."""
    column = pd.Series(known_order, dtype=None if np.size(known_order) else object).reset_index(drop=True)
    encode_labels(known_order, "known_order")
    if order is not None:
        if isinstance(order, str) or not isinstance(order, Iterable):
            raise TypeError(f"`order` is {order!r}; pass a list of the names, first to last.")
        names = pd.Index(order)
        if not names.is_unique:
            raise ValueError(f"`order` is {list(order)!r}, with a name twice; pass each name once.")
        unknown = sorted(map(repr, set(column.dropna()) - set(names)))
        if unknown:
            raise ValueError(
                f"`known_order` has {unknown[0]}, which is not in `order` {shown(list(order))}; pass all names there."
            )
        codes = names.get_indexer(pd.Index(column.astype(object))).astype(np.float64)
        return np.where(column.isna(), np.nan, codes)
    if isinstance(column.dtype, pd.CategoricalDtype):
        if not column.cat.ordered:
            raise ValueError("`known_order` is a categorical without an order; pass `order`, or order its categories.")
        codes = column.cat.codes.to_numpy(dtype=np.float64)
        return np.where(codes < 0, np.nan, codes)
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError("`known_order` has names without an order; pass `order` with all names.") from error
