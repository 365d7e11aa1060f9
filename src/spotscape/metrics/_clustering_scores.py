"""Further scores of clusters against known labels, as SEDR and others report them."""

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
from spotscape.metrics._labels import contingency_table, drop_unannotated


def adjusted_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Mutual information of two labellings, corrected for chance :cite:p:`Vinh2010`.

    .. math::

        \mathrm{AMI} = \frac{I(U; V) - \mathrm{E}\,I}{(H(U) + H(V)) / 2 - \mathrm{E}\,I}

    Parameters
    ----------
    labels_true
        Known label of each spot. Spots whose label is missing (``None``, ``NaN``, ``pandas.NA``) are left out.
        ``(n_spots,)``.
    labels_pred
        Found label of each spot, compared by position. The names need not match. ``(n_spots,)``.

    Returns
    -------
    1 for the same partition, about 0 for chance, below 0 for less than that.

    Raises
    ------
    ValueError
        If the lengths differ, a found label is missing, or no spot is annotated.
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(adjusted_mutual_info_score(labels.true, labels.pred))


def purity(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Share of the spots that have the commonest known label of their cluster.

    .. math::

        \frac{1}{n} \sum_k \max_j n_{jk}

    with :math:`n_{jk}` the spots of label :math:`j` in cluster :math:`k`.

    Parameters
    ----------
    labels_true, labels_pred
        As in :func:`adjusted_mutual_information`.

    Returns
    -------
    Between 0 and 1. Grows with the number of clusters: 1 where each spot is a cluster of its own.

    Raises
    ------
    ValueError
        As :func:`adjusted_mutual_information`.
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(contingency_table(labels.true, labels.pred).max(axis=0).sum() / len(labels.true))


def homogeneity(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""How far each cluster holds one known label only :cite:p:`Rosenberg2007`.

    .. math::

        h = 1 - \frac{H(U \mid V)}{H(U)}

    Parameters
    ----------
    labels_true, labels_pred
        As in :func:`adjusted_mutual_information`.

    Returns
    -------
    Between 0 and 1. Not corrected for chance: it grows with the number of clusters.

    Raises
    ------
    ValueError
        As :func:`adjusted_mutual_information`.
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(homogeneity_score(labels.true, labels.pred))


def completeness(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""How far each known label lies in one cluster only :cite:p:`Rosenberg2007`.

    .. math::

        c = 1 - \frac{H(V \mid U)}{H(V)}

    Parameters
    ----------
    labels_true, labels_pred
        As in :func:`adjusted_mutual_information`.

    Returns
    -------
    Between 0 and 1; 1 where there is a single cluster.

    Raises
    ------
    ValueError
        As :func:`adjusted_mutual_information`.
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(completeness_score(labels.true, labels.pred))


def v_measure(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    r"""Harmonic mean of homogeneity and completeness :cite:p:`Rosenberg2007`.

    .. math::

        v = \frac{2 h c}{h + c}

    The same number as :func:`normalized_mutual_information`, under the name that the SEDR paper reports.

    Parameters
    ----------
    labels_true, labels_pred
        As in :func:`adjusted_mutual_information`.

    Returns
    -------
    Between 0 and 1. Not corrected for chance.

    Raises
    ------
    ValueError
        As :func:`adjusted_mutual_information`.
    """
    labels = drop_unannotated(labels_true, labels_pred)
    return float(v_measure_score(labels.true, labels.pred))


def silhouette(representation: ArrayLike, labels: ArrayLike) -> float:
    r"""How much nearer spots are to those of their label than to those of the next label :cite:p:`Rousseeuw1987`.

    .. math::

        \frac{1}{n} \sum_i \frac{b_i - a_i}{\max(a_i, b_i)}

    with :math:`a_i` the mean distance of spot :math:`i` to the spots of its label, and :math:`b_i` to those of the
    nearest other label. All distances are computed, some at a time: the time grows with the square of the number of
    spots, the memory does not.

    Parameters
    ----------
    representation
        ``(n_spots, n_dimensions)``.
    labels
        Known or found label of each spot. Spots whose label is missing are left out. ``(n_spots,)``.

    Returns
    -------
    Between -1 and 1.

    Raises
    ------
    ValueError
        If the lengths differ, the representation is no matrix of numbers, or there are not at least two labels, with
        more spots than labels.
    """
    values = check_matrix(representation, "representation")
    if len(values) != np.size(labels):
        raise ValueError(
            f"`representation` has {len(values)} spots and `labels` {np.size(labels)}; pass the same spots in both."
        )
    known = drop_unannotated(labels, np.zeros(len(values)))
    n_labels = known.true.max() + 1
    if not 2 <= n_labels < len(known.true):
        raise ValueError(
            f"`labels` has {n_labels} label(s) for {len(known.true)} annotated spots; pass at least two labels, and "
            "more spots than labels."
        )
    return float(silhouette_score(values[known.annotated], known.true))
