"""Further clustering metrics, among them those that the SEDR paper reports."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import (
    adjusted_mutual_info_score,
    completeness_score,
    homogeneity_score,
    silhouette_score,
    v_measure_score,
)

from spotscape.metrics._integration import check_matrix
from spotscape.metrics._labels import contingency_table, drop_unannotated, encode_labels


def adjusted_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Adjusted mutual information of two labellings, corrected for chance :cite:p:`Vinh2010`.

    .. math::

        \mathrm{AMI} = \frac{I(U; V) - \mathrm{E}\,I}{(H(U) + H(V)) / 2 - \mathrm{E}\,I}

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots without a label (``None``, ``NaN`` or ``pandas.NA``) are ignored.
        ``(n_spots,)``.
    labels_pred
        Predicted label of each spot, in the same order. The labels need not have the same names. ``(n_spots,)``.

    Returns
    -------
    1 for identical partitions, about 0 for random labels, and negative if the agreement is worse than chance.

    Raises
    ------
    ValueError
        If the lengths differ, a predicted label is missing, or no spot is annotated.

    Examples
    --------
    >>> from spotscape.metrics import adjusted_mutual_information
    >>> labels_true = ["a", "a", "b", "b", "c", "c"]
    >>> round(adjusted_mutual_information(labels_true, [1, 1, 2, 2, 2, 2]), 2)
    0.62
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(adjusted_mutual_info_score(labels.true, labels.pred))


def purity(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Share of spots whose true label is the most frequent one in their cluster.

    .. math::

        \frac{1}{n} \sum_k \max_j n_{jk}

    with :math:`n_{jk}` the number of spots with label :math:`j` in cluster :math:`k`.

    Parameters
    ----------
    labels_true, labels_pred
        As in :func:`adjusted_mutual_information`.

    Returns
    -------
    Between 0 and 1. It increases with the number of clusters and is 1 if every spot is its own cluster.

    Raises
    ------
    ValueError
        As in :func:`adjusted_mutual_information`.

    Examples
    --------
    >>> from spotscape.metrics import purity
    >>> purity(["a", "a", "a", "b"], [5, 5, 9, 9])
    0.75
    >>> purity(["a", "a", "a", "b"], [1, 2, 3, 4])
    1.0
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(contingency_table(labels.true, labels.pred).max(axis=0).sum() / len(labels.true))


def homogeneity(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Degree to which each cluster contains spots of a single true label :cite:p:`Rosenberg2007`.

    .. math::

        h = 1 - \frac{H(U \mid V)}{H(U)}

    Parameters
    ----------
    labels_true, labels_pred
        As in :func:`adjusted_mutual_information`.

    Returns
    -------
    Between 0 and 1. It is not corrected for chance and increases with the number of clusters.

    Raises
    ------
    ValueError
        As in :func:`adjusted_mutual_information`.

    Examples
    --------
    A label that is split into two clusters does not lower the homogeneity, but two labels in one cluster do:

    >>> from spotscape.metrics import homogeneity
    >>> round(homogeneity(["a", "a", "b", "b"], [1, 2, 3, 3]), 2)
    1.0
    >>> round(homogeneity(["a", "a", "b", "b"], [1, 1, 1, 1]), 2)
    0.0
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(homogeneity_score(labels.true, labels.pred))


def completeness(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Degree to which the spots of each true label are in a single cluster :cite:p:`Rosenberg2007`.

    .. math::

        c = 1 - \frac{H(V \mid U)}{H(V)}

    Parameters
    ----------
    labels_true, labels_pred
        As in :func:`adjusted_mutual_information`.

    Returns
    -------
    Between 0 and 1. It is 1 if there is only one cluster.

    Raises
    ------
    ValueError
        As in :func:`adjusted_mutual_information`.

    Examples
    --------
    >>> from spotscape.metrics import completeness
    >>> round(completeness(["a", "a", "b", "b"], [1, 1, 1, 1]), 2)
    1.0
    >>> round(completeness(["a", "a", "b", "b"], [1, 2, 3, 3]), 2)
    0.67
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(completeness_score(labels.true, labels.pred))


def v_measure(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Harmonic mean of homogeneity and completeness :cite:p:`Rosenberg2007`.

    .. math::

        v = \frac{2 h c}{h + c}

    It is equal to :func:`normalized_mutual_information`; the SEDR paper reports it under this name.

    Parameters
    ----------
    labels_true, labels_pred
        As in :func:`adjusted_mutual_information`.

    Returns
    -------
    Between 0 and 1. It is not corrected for chance.

    Raises
    ------
    ValueError
        As in :func:`adjusted_mutual_information`.

    Examples
    --------
    >>> from spotscape.metrics import v_measure
    >>> round(v_measure(["a", "a", "b", "b"], [1, 2, 3, 3]), 2)
    0.8
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(v_measure_score(labels.true, labels.pred))


def silhouette(representation: ArrayLike, labels: ArrayLike) -> float:
    r"""Mean silhouette coefficient of the labels in a representation :cite:p:`Rousseeuw1987`.

    .. math::

        \frac{1}{n} \sum_i \frac{b_i - a_i}{\max(a_i, b_i)}

    with :math:`a_i` the mean Euclidean distance of spot :math:`i` to the other spots with its label, and :math:`b_i`
    the mean distance to the spots of the nearest other label. All pairwise distances are computed, in blocks: the time
    is quadratic in the number of spots, the memory is not.

    Parameters
    ----------
    representation
        Latent representation of each spot. ``(n_spots, n_dimensions)``.
    labels
        Known or predicted label of each spot. Spots without a label are ignored. ``(n_spots,)``.

    Returns
    -------
    Between -1 and 1; larger values mean better separated labels.

    Raises
    ------
    ValueError
        If the lengths differ, the representation is not a numeric matrix, or there are fewer than two labels or not
        more spots than labels.

    Examples
    --------
    >>> from spotscape.metrics import silhouette
    >>> representation = [[0.0], [1.0], [10.0], [11.0]]
    >>> round(silhouette(representation, ["a", "a", "b", "b"]), 2)
    0.9
    >>> round(silhouette(representation, ["a", "b", "a", "b"]), 2)
    -0.45
    """
    values = check_matrix(representation, "representation")
    codes = encode_labels(labels, "labels")
    if len(values) != len(codes):
        raise ValueError(
            f"`representation` has {len(values)} spots and `labels` {len(codes)}; pass the same spots in both."
        )
    known = drop_unannotated(labels, np.zeros(len(values)))
    n_labels = known.true.max() + 1
    if not 2 <= n_labels < len(known.true):
        raise ValueError(
            f"`labels` has {n_labels} label(s) for {len(known.true)} annotated spots; pass at least two labels, and "
            "more spots than labels."
        )
    return float(silhouette_score(values[known.annotated], known.true))
