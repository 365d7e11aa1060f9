"""Agreement of transferred labels with the known labels of the query."""

from numpy.typing import ArrayLike

from spotscape.metrics._adjusted_rand_index import adjusted_rand_index
from spotscape.metrics._labels import encode_labels


def label_transfer_adjusted_rand_index(labels_true: ArrayLike, labels_transferred: ArrayLike) -> float:
    r"""Label transfer adjusted Rand index (LTARI) :cite:p:`Oh2025`.

    It is the :func:`adjusted_rand_index` of the transferred labels and the known labels at the annotated spots of the
    query. Spots that received no label are treated as one additional label, so that an alignment cannot improve its
    score by leaving out spots that are difficult to match.

    Parameters
    ----------
    labels_true
        Known label of each spot of the query. Spots without a label (``None``, ``NaN`` or ``pandas.NA``) are ignored.
        ``(n_spots,)``.
    labels_transferred
        Label that each spot received from the reference; missing if it received none. ``(n_spots,)``.

    Returns
    -------
    1 for identical partitions, about 0 for random labels.

    Raises
    ------
    ValueError
        If the lengths differ or no spot of the query is annotated.

    Examples
    --------
    >>> from spotscape.metrics import label_transfer_adjusted_rand_index
    >>> labels_true = ["a", "a", "a", "b", "b", "b"]
    >>> round(label_transfer_adjusted_rand_index(labels_true, ["a", "a", None, "b", "b", None]), 2)
    0.24
    """
    codes = encode_labels(labels_transferred, "labels_transferred")
    n_known = len(encode_labels(labels_true, "labels_true"))
    if len(codes) != n_known:
        raise ValueError(
            f"`labels_true` has {n_known} labels and `labels_transferred` {len(codes)}; pass one per spot in both."
        )
    return adjusted_rand_index(labels_true, codes)
