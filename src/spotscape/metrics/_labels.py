"""Conversion of labels to integer codes, without the spots that are not annotated."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from spotscape._validate import shown


class AnnotatedLabels(NamedTuple):
    """Integer codes of the annotated spots, and the mask of these spots in the input."""

    true: np.ndarray
    pred: np.ndarray
    annotated: np.ndarray


def drop_unannotated(
    labels_true: ArrayLike, labels_pred: ArrayLike, name: str = "labels_pred", minimum: int = 2
) -> AnnotatedLabels:
    """Encode both labellings as integers at the spots whose true label is known.

    Parameters
    ----------
    labels_true
        Known label of each spot; ``None``, ``NaN`` and ``pandas.NA`` mean not annotated. ``(n_spots,)``.
    labels_pred
        Predicted label of each spot, in the same order. ``(n_spots,)``.
    name
        Name of the argument with the predicted labels.
    minimum
        Smallest number of annotated spots.

    Returns
    -------
    Codes of the true labels ``(n_annotated,)``, codes of the predicted labels ``(n_annotated,)``, and the mask of
    annotated spots ``(n_spots,)``.

    Raises
    ------
    ValueError
        If the lengths or the names of the spots differ, a predicted label is missing, or too few spots are annotated.
    """
    true_codes, pred_codes = encode_labels(labels_true, "labels_true"), encode_labels(labels_pred, name)
    if len(true_codes) != len(pred_codes):
        raise ValueError(
            f"`labels_true` has {len(true_codes)} labels and `{name}` {len(pred_codes)}; pass one per spot in both."
        )
    if isinstance(labels_true, pd.Series) and isinstance(labels_pred, pd.Series):
        if not labels_true.index.equals(labels_pred.index):
            raise ValueError(
                f"`labels_true` and `{name}` are of other spots or in another order, by the index of the two series; "
                "select the same spots in both, or pass `.to_numpy()` of both to compare them by position."
            )
    n_missing = int((pred_codes < 0).sum())
    if n_missing:
        raise ValueError(
            f"`{name}` has {n_missing} missing values; give every spot a label, or remove these spots from both."
        )
    annotated = true_codes >= 0
    if not annotated.any():
        raise ValueError(
            f"None of the {len(annotated)} spots is annotated: all values of `labels_true` are missing; "
            "pass the known labels."
        )
    if annotated.sum() < minimum:
        raise ValueError(
            f"`labels_true` has {annotated.sum()} annotated spot(s); pass the labels of at least {minimum} spots."
        )
    return AnnotatedLabels(true_codes[annotated], pred_codes[annotated], annotated)


def contingency_table(true_codes: np.ndarray, pred_codes: np.ndarray) -> np.ndarray:
    """Number of spots with each pair of codes. ``(n_true, n_pred)``."""
    n_true, n_pred = true_codes.max() + 1, pred_codes.max() + 1
    return np.bincount(true_codes * n_pred + pred_codes, minlength=n_true * n_pred).reshape(n_true, n_pred)


def encode_labels(labels: ArrayLike, name: str) -> np.ndarray:
    """Integer code of each spot, -1 where it has no label; raise unless there is one value per spot. ``(n_spots,)``."""
    if isinstance(labels, str | bytes | Mapping) or not isinstance(labels, Iterable):
        raise TypeError(f"`{name}` is {shown(labels)}; pass one label per spot.")
    values: Any = labels if hasattr(labels, "ndim") else list(labels)
    nested = isinstance(values, list) and any(isinstance(one, list | dict | set | np.ndarray) for one in values)
    if nested or getattr(values, "ndim", 1) != 1:
        raise ValueError(f"`{name}` is {shown(values)}, with several values per spot; pass one label per spot.")
    return pd.factorize(pd.Series(values, dtype=None if np.size(values) else object))[0].astype(np.int64)
