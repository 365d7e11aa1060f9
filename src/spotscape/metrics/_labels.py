"""Conversion of labels to integer codes, without the spots that are not annotated."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


class AnnotatedLabels(NamedTuple):
    """Integer codes of the annotated spots, and the mask of these spots in the input."""

    true: np.ndarray
    pred: np.ndarray
    annotated: np.ndarray


def drop_unannotated(labels_true: ArrayLike, labels_pred: ArrayLike) -> AnnotatedLabels:
    """Encode both labellings as integers at the spots whose true label is known.

    Parameters
    ----------
    labels_true
        Known label of each spot; ``None``, ``NaN`` and ``pandas.NA`` mean not annotated. ``(n_spots,)``.
    labels_pred
        Predicted label of each spot, in the same order. ``(n_spots,)``.

    Returns
    -------
    Codes of the true labels ``(n_annotated,)``, codes of the predicted labels ``(n_annotated,)``, and the mask of
    annotated spots ``(n_spots,)``.

    Raises
    ------
    ValueError
        If the lengths differ, a predicted label is missing, or no spot is annotated.
    """
    true_codes, pred_codes = _encode(labels_true, "labels_true"), _encode(labels_pred, "labels_pred")
    if len(true_codes) != len(pred_codes):
        raise ValueError(
            f"`labels_true` has {len(true_codes)} labels and `labels_pred` {len(pred_codes)}; "
            "pass one label per spot in both."
        )
    n_missing = int((pred_codes < 0).sum())
    if n_missing:
        raise ValueError(
            f"`labels_pred` has {n_missing} missing values; give every spot a label, or remove these spots from both."
        )
    annotated = true_codes >= 0
    if not annotated.any():
        raise ValueError(
            f"None of the {len(annotated)} spots is annotated: all values of `labels_true` are missing; "
            "pass the known labels."
        )
    return AnnotatedLabels(true_codes[annotated], pred_codes[annotated], annotated)


def contingency_table(true_codes: np.ndarray, pred_codes: np.ndarray) -> np.ndarray:
    """Number of spots with each pair of codes. ``(n_true, n_pred)``."""
    n_true, n_pred = true_codes.max() + 1, pred_codes.max() + 1
    return np.bincount(true_codes * n_pred + pred_codes, minlength=n_true * n_pred).reshape(n_true, n_pred)


def _encode(labels: ArrayLike, name: str) -> np.ndarray:
    if getattr(labels, "ndim", 1) != 1:
        raise ValueError(f"`{name}` has {np.ndim(labels)} dimensions; pass one label per spot.")
    return pd.factorize(pd.Series(labels, dtype=None if np.size(labels) else object))[0].astype(np.int64)
