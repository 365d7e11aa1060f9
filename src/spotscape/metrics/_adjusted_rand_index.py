"""The adjusted Rand index: agreement of two labellings on pairs of spots."""

from numpy.typing import ArrayLike
from sklearn.metrics import adjusted_rand_score

from spotscape.metrics._labels import drop_unannotated


def adjusted_rand_index(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Adjusted Rand index of two labellings :cite:p:`Hubert1985`.

    It is the agreement on which pairs of spots have the same label, corrected for chance.

    .. math::

        \mathrm{ARI} = \frac{\sum_{ij} \binom{n_{ij}}{2} - E}
            {\frac{1}{2} \left[ \sum_i \binom{a_i}{2} + \sum_j \binom{b_j}{2} \right] - E}, \qquad
        E = \sum_i \binom{a_i}{2} \sum_j \binom{b_j}{2} \Big/ \binom{n}{2}

    with :math:`n_{ij}` the number of spots with true label :math:`i` and predicted label :math:`j`, :math:`a_i` and
    :math:`b_j` its row and column sums, and :math:`n` the number of annotated spots.

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots without a label (``None``, ``NaN`` or ``pandas.NA``) are ignored.
        ``(n_spots,)``.
    labels_pred
        Predicted label of each spot, in the same order. The labels need not have the same names. ``(n_spots,)``.

    Returns
    -------
    1 for identical partitions, about 0 for random labels.

    Raises
    ------
    ValueError
        If the lengths differ, a predicted label is missing, or no spot is annotated.

    Examples
    --------
    >>> from spotscape.metrics import adjusted_rand_index
    >>> labels_true = ["cortex", "cortex", "cortex", "white matter", "white matter", None]
    >>> adjusted_rand_index(labels_true, [2, 2, 2, 7, 7, 7])
    1.0
    >>> round(adjusted_rand_index(labels_true, [2, 2, 7, 7, 7, 7]), 2)
    0.17
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(adjusted_rand_score(labels.true, labels.pred))
