"""Clustering of a representation by k-means or a Gaussian mixture, with several initialisations."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from spotscape.cluster._classifier import CentroidClassifier, Classifier, MixtureClassifier, silhouettes, tempered
from spotscape.cluster._mixture import (
    N_COMPONENTS_MIXTURE,
    RIDGE,
    FittedMixture,
    LeadingScores,
    SharedCovarianceMixture,
    fit_mixture,
    leading_scores,
)

N_SPOTS_STARTS = 10_000
#: Starts whose sum of squares is within this factor of the best are taken for equally good ones.
CLOSE_STARTS = 1.01
#: Partitions that agree better than this (adjusted Rand index) are taken for the same.
SAME_PARTITION = 0.99
#: Partitions that are kept, the chosen one included.
N_PARTITIONS = 8
#: Posteriors are raised to the power of one over this number to give confidences, because they take the evidence of a
#: spot for its own, although neighbours share most of theirs.
TEMPERATURE = 6.0


class Alternatives(NamedTuple):
    """Partitions that fit a representation nearly equally well. The first is the one that was chosen.

    Attributes
    ----------
    codes
        Domain of each spot in each partition, numbered like the domains of the first that they overlap with most.
        ``(n_partitions, n_spots)``.
    excess
        Sum of squares of the k-means start of each partition, relative to the best start, minus 1. ``(n_partitions,)``.
    log_likelihood
        Mean log likelihood of each mixture per spot. ``(n_partitions,)``.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.cluster import mixture_partition
    >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> values = np.repeat(square, 50, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(200, 2))
    >>> alternatives = mixture_partition(values, n_domains=2, n_init=20, seed=0).alternatives
    >>> alternatives.codes.shape
    (2, 200)
    """

    codes: np.ndarray
    excess: np.ndarray
    log_likelihood: np.ndarray


class Partition(NamedTuple):
    """Soft clustering of spots.

    Attributes
    ----------
    affinities
        Degree to which each spot belongs to each domain. ``(n_spots, n_domains)``.
    confidences
        Confidence that each spot belongs to each domain, from 0 to 1. ``(n_spots, n_domains)``.
    alternatives
        Partitions that fit nearly equally well; ``None`` for k-means.
    classifier
        The fitted clustering, whose method ``predict`` gives affinities and confidences of further spots. ``None`` if
        it was not kept.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.cluster import Partition
    >>> posteriors = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> partition = Partition(affinities=posteriors, confidences=posteriors)
    >>> partition.affinities.argmax(axis=1).tolist()
    [0, 1]
    """

    affinities: np.ndarray
    confidences: np.ndarray
    alternatives: Alternatives | None = None
    classifier: Classifier | None = None


def kmeans_partition(representation: np.ndarray, n_domains: int, n_init: int, seed: int) -> Partition:
    r"""Cluster a representation with k-means.

    The affinity is 1 for the nearest centroid and 0 for the others. The confidence in a domain is the simplified
    silhouette of the spot :cite:p:`Hruschka2006`, :math:`(b - a) / \max(a, b)` with the distance :math:`a` to the
    centroid of the domain and the distance :math:`b` to the nearest other centroid, or 0 if that is negative.

    Parameters
    ----------
    representation
        Representation of the spots. ``(n_spots, n_dimensions)``.
    n_domains
        Number of clusters.
    n_init
        Number of random initialisations, on at most 10,000 spots. The one with the lowest sum of squares is used.
    seed
        Random seed.

    Returns
    -------
    Affinities and confidences.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.cluster import kmeans_partition
    >>> representation = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> partition = kmeans_partition(representation, n_domains=2, n_init=3, seed=0)
    >>> labels = partition.affinities.argmax(axis=1)
    >>> bool(labels[0] == labels[1]), bool(labels[1] == labels[2])
    (True, False)
    >>> partition.confidences.max(axis=1).round(2)
    array([0.95, 0.94, 0.94, 0.95])
    """
    means = _best_of_starts(representation, n_domains, n_init, seed)
    confidences = silhouettes(means.transform(representation))
    classifier = CentroidClassifier(means.cluster_centers_)
    return Partition(np.eye(n_domains)[means.labels_], confidences, classifier=classifier)


def mixture_partition(
    representation: np.ndarray,
    n_domains: int,
    n_init: int,
    seed: int,
    *,
    n_components: int | None = N_COMPONENTS_MIXTURE,
    ridge: float = RIDGE,
    temperature: float = TEMPERATURE,
) -> Partition:
    r"""Cluster a representation with a Gaussian mixture with one shared covariance.

    Expectation maximisation starts from k-means, because the likelihood has many local maxima of similar height, while
    the best solution of k-means is found reliably. If several solutions of k-means are within 1 % of the lowest sum of
    squares, the mixture with the highest likelihood among those that start from them is used, and the others are its
    alternatives.

    The confidence of spot :math:`i` in domain :math:`k` is the mean of :math:`\tilde p_{ik} \propto p_{ik}^{1/T}` over
    the chosen mixture and its alternatives, whose domains are matched to those of the chosen one. The posteriors
    :math:`p_{ik}` themselves are too high, because neighbouring spots share most of their evidence.

    Parameters
    ----------
    representation
        Representation of the spots. ``(n_spots, n_dimensions)``.
    n_domains, n_init, seed
        As in :func:`kmeans_partition`.
    n_components
        Largest number of principal components that the mixture is fitted to. ``None``: no limit.
    ridge
        Added to each variance of the covariance, in units of their mean. Without it the covariance follows noise in
        small sections.
    temperature
        :math:`T`. With 6, confidences agreed with the share of spots that agree with annotations, also on tissues that
        the number was not chosen on; see the user guide.

    Returns
    -------
    Posterior probabilities, confidences and alternatives.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.cluster import mixture_partition
    >>> representation = np.random.default_rng(0).normal(size=(40, 2)) + np.repeat([[0], [20]], 20, axis=0)
    >>> partition = mixture_partition(representation, n_domains=2, n_init=3, seed=0)
    >>> sorted(partition.affinities.sum(axis=0).round().tolist())
    [20.0, 20.0]
    """
    leading, starts, mixtures, chosen = _fit_starts(
        representation, n_domains, n_init, seed, n_components=n_components, ridge=ridge
    )
    codes, kept, members = [chosen.posteriors.argmax(axis=1)], [0], [(chosen.slopes, chosen.intercepts)]
    confidences = [tempered(chosen.posteriors, temperature)]
    for number in range(1, len(starts)):
        if len(kept) == N_PARTITIONS:
            break
        other = mixtures[number].predict_proba(leading.scores)
        labels = other.argmax(axis=1)
        if all(adjusted_rand_score(known, labels) < SAME_PARTITION for known in codes):
            columns = _matched(codes[0], labels, n_domains)
            codes.append(np.argsort(columns)[labels])
            confidences.append(tempered(other[:, columns], temperature))
            members.append((mixtures[number].slopes[:, columns], mixtures[number].intercepts[columns]))
            kept.append(number)
    best = min(start.inertia_ for start in starts)
    excess = np.array([starts[number].inertia_ / best - 1 for number in kept])
    likelihood = np.array([mixtures[number].log_likelihood for number in kept])
    slopes, intercepts = (np.array(values) for values in zip(*members, strict=True))
    return Partition(
        chosen.posteriors,
        np.mean(confidences, axis=0),
        Alternatives(np.array(codes), excess, likelihood),
        MixtureClassifier(leading.mean, leading.axes, slopes, intercepts, temperature),
    )


def mixture_posteriors(representation: np.ndarray, n_domains: int, n_init: int, seed: int) -> np.ndarray:
    """Posterior probabilities of :func:`mixture_partition`, without alternatives. ``(n_spots, n_domains)``."""
    return _fit_starts(representation, n_domains, n_init, seed)[-1].posteriors


def _fit_starts(
    representation: np.ndarray,
    n_domains: int,
    n_init: int,
    seed: int,
    *,
    n_components: int | None = N_COMPONENTS_MIXTURE,
    ridge: float = RIDGE,
) -> tuple[LeadingScores, list[KMeans], list[FittedMixture], FittedMixture]:
    """Principal components, starts and their mixtures by descending likelihood, and the best, fitted to all spots."""
    leading = leading_scores(representation, seed, n_components)
    scores = leading.scores
    drawn = _drawn_for_starts(len(representation), seed)
    starts = _close_starts(representation[drawn], n_domains, n_init, seed)
    mixtures = [fit_mixture(scores[drawn], start.labels_, n_domains, ridge=ridge) for start in starts]
    order = np.argsort([-mixture.log_likelihood for mixture in mixtures], kind="stable")
    starts, mixtures = [starts[number] for number in order], [mixtures[number] for number in order]
    chosen = mixtures[0]
    if not isinstance(drawn, slice):
        labels = _finished(starts[0], representation, drawn).labels_
        chosen = fit_mixture(scores, labels, n_domains, ridge=ridge)
    return leading, starts, mixtures, chosen


def _matched(codes: np.ndarray, others: np.ndarray, n_domains: int) -> np.ndarray:
    """Domain of the second partition that is matched to each domain of the first. ``(n_domains,)``."""
    overlap = np.zeros((n_domains, n_domains))
    np.add.at(overlap, (codes, others), 1)
    return linear_sum_assignment(overlap, maximize=True)[1]


def _close_starts(representation: np.ndarray, n_domains: int, n_init: int, seed: int) -> list[KMeans]:
    """Distinct solutions of k-means within 1 % of the lowest sum of squares, best first."""
    seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=n_init)
    fits = sorted(
        (KMeans(n_domains, n_init=1, random_state=start).fit(representation) for start in seeds),
        key=lambda fit: fit.inertia_,
    )
    # The same partition has the same sum of squares but for rounding.
    once = {np.float32(fit.inertia_): fit for fit in fits if fit.inertia_ <= CLOSE_STARTS * fits[0].inertia_}
    return list(once.values())


def _best_of_starts(representation: np.ndarray, n_domains: int, n_init: int, seed: int) -> KMeans:
    drawn = _drawn_for_starts(len(representation), seed)
    start = KMeans(n_domains, n_init=n_init, random_state=seed).fit(representation[drawn])
    return _finished(start, representation, drawn)


def _drawn_for_starts(n_spots: int, seed: int) -> slice | np.ndarray:
    """Spots that the initialisations of k-means use."""
    if n_spots <= N_SPOTS_STARTS:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(n_spots, N_SPOTS_STARTS, replace=False))


def _finished(start: KMeans, representation: np.ndarray, drawn: slice | np.ndarray) -> KMeans:
    """Continue k-means with all spots if it was initialised with some of them."""
    if isinstance(drawn, slice):
        return start
    return KMeans(len(start.cluster_centers_), init=start.cluster_centers_, n_init=1).fit(representation)


def fit_shared_mixture(
    representation: np.ndarray, n_domains: int, *, n_init: int = 10, seed: int = 0
) -> SharedCovarianceMixture:
    """Fit the mixture of :func:`mixture_partition` in a form that assigns new spots to the same clusters.

    The result does not depend on the order of the spots.

    Parameters
    ----------
    representation
        Representation of the spots. ``(n_spots, n_dimensions)``.
    n_domains
        Number of clusters.
    n_init
        Number of random initialisations.
    seed
        Random seed.

    Returns
    -------
    The mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.cluster import fit_shared_mixture
    >>> representation = np.random.default_rng(0).normal(size=(40, 2)) + np.repeat([[0], [20]], 20, axis=0)
    >>> mixture = fit_shared_mixture(representation, n_domains=2)
    >>> new = np.array([[0.5, 0.5], [19.0, 20.0], [0.0, 1.0]])
    >>> labels = mixture.predict(new)
    >>> bool(labels[0] == labels[2]), bool(labels[0] == labels[1])
    (True, False)
    """
    # Restarts draw by row number: in this order they do not depend on the order of the spots.
    values = representation[np.lexsort(representation.T[::-1])].astype(np.float64)
    # One thread adds up in one order.
    with threadpool_limits(1, user_api="openmp"):
        memberships = mixture_posteriors(values, n_domains, n_init, seed)
    return SharedCovarianceMixture.from_memberships(values, memberships)
