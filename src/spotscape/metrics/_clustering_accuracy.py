"""Accuracy of a labelling under the best one-to-one matching of its clusters with the true classes."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from spotscape.metrics._labels import contingency_table, drop_unannotated


def clustering_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Count the share of spots that are right under the best matching of clusters with classes :cite:p:`Kuhn1955`.

    .. math::

        \mathrm{CA} = \max_{\pi} \frac{1}{n} \sum_i \mathbf{1}\left[ y_i = \pi(c_i) \right]

    over all one-to-one matchings :math:`\pi` of found clusters with true classes. Where the numbers differ, the
    clusters (or classes) left over count as wrong.

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots whose label is missing (``None``, ``NaN``, ``pandas.NA``) are left out.
        ``(n_spots,)``.
    labels_pred
        Found label of each spot, compared by position. The names need not match. ``(n_spots,)``.

    Returns
    -------
    Between 0 and 1.

    Raises
    ------
    ValueError
        If the lengths differ, a found label is missing, or no spot is annotated.
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(is_right(labels.true, labels.pred).mean())


def is_right(true_codes: np.ndarray, pred_codes: np.ndarray) -> np.ndarray:
    """Tell whether each spot's cluster is matched with its class. ``(n_spots,)``, boolean."""
    table = contingency_table(true_codes, pred_codes)
    classes, clusters = linear_sum_assignment(table, maximize=True)
    class_of_cluster = np.full(table.shape[1], -1)
    class_of_cluster[clusters] = classes
    return class_of_cluster[pred_codes] == true_codes
