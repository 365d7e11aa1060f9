"""Partitions of a representation by k-means and by a mixture, with many starts, and how sure each spot is."""

from typing import NamedTuple

import numpy as np
from scipy import linalg
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

N_COMPONENTS_MIXTURE = 12
N_SPOTS_STARTS = 10_000
#: Added to each variance of the shared covariance, in units of their mean. Without it the covariance follows noise in
#: small sections; from a half upwards, domains that overlap a little are merged.
RIDGE = 0.3


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

    The mixture starts from the best k-means. Its own likelihood has many local maxima of nearly the same height and
    very different domains; the best k-means is found again and again.
    """
    labels = _best_of_starts(representation, n_domains, n_init, seed).labels_
    n_components = min(N_COMPONENTS_MIXTURE, *representation.shape)
    # A representation has few columns, so its covariance is small however many spots there are.
    solver = "covariance_eigh" if representation.shape[1] <= 1000 else "arpack"
    pca = PCA(n_components, svd_solver=solver, random_state=seed)
    scores = pca.fit_transform(representation.astype(np.float64))
    scores = scores[:, pca.explained_variance_ > 1e-10 * pca.explained_variance_[0]]

    n_members = np.bincount(labels, minlength=n_domains)
    members = np.eye(n_domains)[labels]
    means = (members.T @ scores) / np.maximum(n_members, 1)[:, None]
    residuals = scores - means[labels]
    covariance = residuals.T @ residuals / len(scores)
    ridge = RIDGE * np.trace(covariance) / len(covariance)
    mixture = GaussianMixture(
        n_domains,
        covariance_type="tied",
        reg_covar=ridge,
        max_iter=500,
        weights_init=n_members / len(scores),
        means_init=means,
        precisions_init=linalg.inv(covariance + ridge * np.eye(len(covariance))),
    )
    posteriors = mixture.fit(scores).predict_proba(scores)
    return Partition(posteriors, posteriors)


def _best_of_starts(representation: np.ndarray, n_domains: int, n_init: int, seed: int) -> KMeans:
    if len(representation) <= N_SPOTS_STARTS:
        return KMeans(n_domains, n_init=n_init, random_state=seed).fit(representation)
    drawn = np.sort(np.random.default_rng(seed).choice(len(representation), N_SPOTS_STARTS, replace=False))
    start = KMeans(n_domains, n_init=n_init, random_state=seed).fit(representation[drawn])
    return KMeans(n_domains, init=start.cluster_centers_, n_init=1).fit(representation)
