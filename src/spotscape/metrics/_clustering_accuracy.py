"""Accuracy of clusters under the best one-to-one matching with the true labels."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from spotscape.metrics._labels import contingency_table, drop_unannotated


def clustering_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Share of correct spots under the best matching of clusters to true labels :cite:p:`Kuhn1955`.

    .. math::

        \mathrm{CA} = \max_{\pi} \frac{1}{n} \sum_i \mathbf{1}\left[ y_i = \pi(c_i) \right]

    over all one-to-one matchings :math:`\pi` of clusters to true labels. If their numbers differ, the spots of
    unmatched clusters, or of unmatched labels, count as wrong.

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots without a label (``None``, ``NaN`` or ``pandas.NA``) are ignored.
        ``(n_spots,)``.
    labels_pred
        Predicted label of each spot, in the same order. The labels need not have the same names. ``(n_spots,)``.

    Returns
    -------
    Between 0 and 1.

    Raises
    ------
    ValueError
        If the lengths differ, a predicted label is missing, or no spot is annotated.

    Examples
    --------
    >>> from spotscape.metrics import clustering_accuracy
    >>> clustering_accuracy(["a", "a", "a", "b"], [5, 5, 9, 9])
    0.75
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(is_correct(labels.true, labels.pred).mean())


def is_correct(true_codes: np.ndarray, pred_codes: np.ndarray) -> np.ndarray:
    """Whether the cluster of each spot is matched to its true label. ``(n_spots,)``, boolean."""
    table = contingency_table(true_codes, pred_codes)
    matched_labels, matched_clusters = linear_sum_assignment(table, maximize=True)
    label_of_cluster = np.full(table.shape[1], -1)
    label_of_cluster[matched_clusters] = matched_labels
    return label_of_cluster[pred_codes] == true_codes
