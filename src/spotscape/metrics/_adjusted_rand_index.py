"""Agreement of two labellings as the share of pairs of spots that both treat alike."""

from numpy.typing import ArrayLike
from sklearn.metrics import adjusted_rand_score

from spotscape.metrics._labels import drop_unannotated


def adjusted_rand_index(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Compare pairs of spots by the adjusted Rand index :cite:p:`Hubert1985`.

    .. math::

        \mathrm{ARI} = \frac{\sum_{ij} \binom{n_{ij}}{2} - E}
            {\frac{1}{2} \left[ \sum_i \binom{a_i}{2} + \sum_j \binom{b_j}{2} \right] - E}, \qquad
        E = \sum_i \binom{a_i}{2} \sum_j \binom{b_j}{2} \Big/ \binom{n}{2}

    with :math:`n_{ij}` the spots of true label :math:`i` and found label :math:`j`, and :math:`a_i, b_j` its sums.

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots whose label is missing (``None``, ``NaN``, ``pandas.NA``) are left out.
        ``(n_spots,)``.
    labels_pred
        Found label of each spot, compared by position. The names need not match. ``(n_spots,)``.

    Returns
    -------
    1 for the same partition, about 0 for a random one.

    Raises
    ------
    ValueError
        If the lengths differ, a found label is missing, or no spot is annotated.
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(adjusted_rand_score(labels.true, labels.pred))
