"""The three numbers by which spatial domains are compared."""

from numpy.typing import ArrayLike

from spotscape.metrics._adjusted_rand_index import adjusted_rand_index
from spotscape.metrics._clustering_accuracy import clustering_accuracy
from spotscape.metrics._normalized_mutual_information import normalized_mutual_information


def scores(labels_true: ArrayLike, labels_pred: ArrayLike) -> dict[str, float]:
    """Compute adjusted Rand index, normalized mutual information and clustering accuracy at once.

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots whose label is missing (``None``, ``NaN``, ``pandas.NA``) are left out.
        ``(n_spots,)``.
    labels_pred
        Found label of each spot, compared by position. The names need not match. ``(n_spots,)``.

    Returns
    -------
    Numbers under the keys ``"ARI"``, ``"NMI"`` and ``"CA"``.

    Raises
    ------
    ValueError
        If the lengths differ, a found label is missing, or no spot is annotated.
    """
    return {
        "ARI": adjusted_rand_index(labels_true, labels_pred),
        "NMI": normalized_mutual_information(labels_true, labels_pred),
        "CA": clustering_accuracy(labels_true, labels_pred),
    }
