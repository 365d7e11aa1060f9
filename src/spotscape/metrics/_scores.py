"""The three metrics that are commonly reported for spatial domains."""

from numpy.typing import ArrayLike

from spotscape.metrics._adjusted_rand_index import adjusted_rand_index
from spotscape.metrics._clustering_accuracy import clustering_accuracy
from spotscape.metrics._normalized_mutual_information import normalized_mutual_information


def scores(labels_true: ArrayLike, labels_pred: ArrayLike) -> dict[str, float]:
    """Compute the adjusted Rand index, the normalized mutual information and the clustering accuracy.

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots without a label (``None``, ``NaN`` or ``pandas.NA``) are ignored.
        ``(n_spots,)``.
    labels_pred
        Predicted label of each spot, in the same order. The labels need not have the same names. ``(n_spots,)``.

    Returns
    -------
    Dict with the keys ``"ARI"`` (:func:`adjusted_rand_index`), ``"NMI"`` (:func:`normalized_mutual_information`) and
    ``"CA"`` (:func:`clustering_accuracy`).

    Raises
    ------
    ValueError
        If the lengths differ, a predicted label is missing, or no spot is annotated.

    Examples
    --------
    >>> from spotscape.metrics import scores
    >>> found = scores(labels_true=["a", "a", "a", "b", "b", None], labels_pred=[0, 0, 1, 1, 1, 1])
    >>> {name: round(value, 2) for name, value in found.items()}
    {'ARI': 0.17, 'NMI': 0.43, 'CA': 0.8}
    """
    return {
        "ARI": adjusted_rand_index(labels_true, labels_pred),
        "NMI": normalized_mutual_information(labels_true, labels_pred),
        "CA": clustering_accuracy(labels_true, labels_pred),
    }
