"""Agreement of two labellings as the information that they share."""

from numpy.typing import ArrayLike
from sklearn.metrics import normalized_mutual_info_score

from spotscape.metrics._labels import drop_unannotated


def normalized_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Divide the mutual information of two labellings by their mean entropy :cite:p:`Vinh2010`.

    .. math::

        \mathrm{NMI} = \frac{2 \, I(U; V)}{H(U) + H(V)}

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots whose label is missing (``None``, ``NaN``, ``pandas.NA``) are left out.
        ``(n_spots,)``.
    labels_pred
        Found label of each spot, compared by position. The names need not match. ``(n_spots,)``.

    Returns
    -------
    Between 0 (nothing shared) and 1 (the same partition). Not corrected for chance: it grows with the number of
    clusters.

    Raises
    ------
    ValueError
        If the lengths differ, a found label is missing, or no spot is annotated.
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(normalized_mutual_info_score(labels.true, labels.pred))
