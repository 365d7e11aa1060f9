"""Normalized mutual information of two labellings."""

from numpy.typing import ArrayLike
from sklearn.metrics import normalized_mutual_info_score

from spotscape.metrics._labels import drop_unannotated


def normalized_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Mutual information of two labellings, divided by their mean entropy :cite:p:`Vinh2010`.

    .. math::

        \mathrm{NMI} = \frac{2 \, I(U; V)}{H(U) + H(V)}

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots without a label (``None``, ``NaN`` or ``pandas.NA``) are ignored.
        ``(n_spots,)``.
    labels_pred
        Predicted label of each spot, in the same order. The labels need not have the same names. ``(n_spots,)``.

    Returns
    -------
    Between 0 (independent labels) and 1 (identical partitions). It is not corrected for chance and increases with the
    number of clusters.

    Raises
    ------
    ValueError
        If the lengths differ, a predicted label is missing, or no spot is annotated.

    Examples
    --------
    >>> from spotscape.metrics import normalized_mutual_information
    >>> round(normalized_mutual_information(["a", "a", "b", "b"], [7, 7, 3, 3]), 2)
    1.0
    >>> round(normalized_mutual_information(["a", "a", "b", "b"], [1, 2, 3, 3]), 2)
    0.8
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(normalized_mutual_info_score(labels.true, labels.pred))
