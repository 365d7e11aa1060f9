"""Partitions of a representation by k-means and by a mixture, with many starts, and how sure each spot is."""

from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from spotscape.cluster._mixture import SharedCovarianceMixture, fit_mixture, leading_scores

N_SPOTS_STARTS = 10_000
#: Starts whose sum of squares is within this factor of the best are taken for equally good ones.
CLOSE_STARTS = 1.01


class Partition(NamedTuple):
    """Affinity of each spot to each domain and its confidence in it. Both are ``(n_spots, n_domains)``."""

    affinities: np.ndarray
    confidences: np.ndarray


def kmeans_partition(representation: np.ndarray, n_domains: int, n_init: int, seed: int) -> Partition:
    r"""Partition by k-means; the affinities are indicators of the nearest centroid.

    The confidence in a domain is the simplified silhouette :cite:p:`Hruschka2006` of a spot that belongs to it,
    :math:`(b - a) / \max(a, b)` with the distance :math:`a` to the centroid of that domain and :math:`b` to the
    nearest other one. It is cut at 0, where another domain is nearer.
    """
    means = _best_of_starts(representation, n_domains, n_init, seed)
    distances = means.transform(representation)
    nearest = np.sort(distances, axis=1)[:, :2]
    others = np.where(distances == nearest[:, :1], nearest[:, 1:], nearest[:, :1])
    largest = np.maximum(distances, others)
    confidences = np.divide(others - distances, largest, out=np.zeros_like(distances), where=largest > 0)
    return Partition(np.eye(n_domains)[means.labels_], np.maximum(confidences, 0))


def mixture_partition(representation: np.ndarray, n_domains: int, n_init: int, seed: int) -> Partition:
    """Partition by a mixture with one shared covariance; affinities and confidences are its posteriors.

    The mixture starts from k-means. Its own likelihood has many local maxima of nearly the same height and very
    different domains, while the best k-means is found again and again; but where k-means has several partitions within
    1 % of the best, it cannot tell them apart, and the likelihood of the mixtures that start from them decides.
    """
    scores = leading_scores(representation, seed)
    drawn = _drawn_for_starts(len(representation), seed)
    starts = _close_starts(representation[drawn], n_domains, n_init, seed)
    if len(starts) > 1:
        starts.sort(key=lambda start: -fit_mixture(scores[drawn], start.labels_, n_domains).lower_bound_)
    labels = _finished(starts[0], representation, drawn).labels_
    posteriors = fit_mixture(scores, labels, n_domains).predict_proba(scores)
    return Partition(posteriors, posteriors)


def _close_starts(representation: np.ndarray, n_domains: int, n_init: int, seed: int) -> list[KMeans]:
    """Partitions by k-means within 1 % of the best one, best first, each once."""
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
    """Spots that the restarts see."""
    if n_spots <= N_SPOTS_STARTS:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(n_spots, N_SPOTS_STARTS, replace=False))


def _finished(start: KMeans, representation: np.ndarray, drawn: slice | np.ndarray) -> KMeans:
    """A start, moved on with all spots where it has seen a part of them."""
    if isinstance(drawn, slice):
        return start
    return KMeans(len(start.cluster_centers_), init=start.cluster_centers_, n_init=1).fit(representation)


def fit_shared_mixture(
    representation: np.ndarray, n_domains: int, *, n_init: int = 10, seed: int = 0
) -> SharedCovarianceMixture:
    """Mixture of :func:`mixture_partition`, kept so that new spots are assigned to the same domains.

    Parameters
    ----------
    representation
        ``(n_spots, n_dimensions)``; the order of the spots has no influence.
    n_domains, n_init, seed
        As in :func:`mixture_partition`.

    Returns
    -------
    The mixture.
    """
    # Restarts draw by row number: in this order they do not depend on the order of the spots.
    values = representation[np.lexsort(representation.T[::-1])].astype(np.float64)
    # One thread adds up in one order.
    with threadpool_limits(1, user_api="openmp"):
        memberships = mixture_partition(values, n_domains, n_init, seed).affinities
    return SharedCovarianceMixture.from_memberships(values, memberships)
