"""Gaussian mixture with one shared covariance, which can be applied to new spots."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special
from sklearn.decomposition import PCA

#: Number of leading principal components that the mixture is fitted to.
N_COMPONENTS_MIXTURE = 12
#: Added to each variance of the shared covariance, in units of their mean. Without it the covariance follows noise in
#: small sections; from a half upwards, domains that overlap a little are merged.
RIDGE = 0.3
# Tolerance of the mean log likelihood, number of iterations and smallest size of a cluster, as in scikit-learn.
_TOLERANCE = 1e-3
_MAX_ITERATIONS = 500
_TINY = 10 * np.finfo(np.float64).eps


class SharedCovarianceMixture:
    r"""Gaussian mixture with one shared covariance, on at most 12 principal components.

    .. math:: p(z) = \sum_k \pi_k \, \mathcal{N}(z; \mu_k, \Sigma)

    It is fitted by :func:`fit_shared_mixture`.

    Parameters
    ----------
    mean, axes
        Mean and axes of the principal components. ``(n_dimensions,)`` and ``(n_dimensions, n_components)``.
    means, precision, log_weights
        :math:`\mu_k`, :math:`\Sigma^{-1}` and :math:`\log \pi_k`. ``(n_clusters, n_components)``, ``(n_components,
        n_components)`` and ``(n_clusters,)``.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.cluster import SharedCovarianceMixture
    >>> values = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 0.0], [9.0, 1.0]])
    >>> memberships = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> mixture = SharedCovarianceMixture.from_memberships(values, memberships)
    >>> mixture.predict(np.array([[8.0, 0.5], [1.0, 0.5]])).tolist()
    [1, 0]
    >>> restored = SharedCovarianceMixture.from_state(mixture.get_state())
    >>> np.exp(restored.log_weights).tolist()
    [0.5, 0.5]
    """

    def __init__(
        self,
        mean: NDArray[np.float64],
        axes: NDArray[np.float64],
        means: NDArray[np.float64],
        precision: NDArray[np.float64],
        log_weights: NDArray[np.float64],
    ):
        self.mean = mean
        self.axes = axes
        self.means = means
        self.precision = precision
        self.log_weights = log_weights

    @classmethod
    def from_memberships(cls, values: NDArray[Any], memberships: NDArray[Any]) -> "SharedCovarianceMixture":
        """Estimate the weights, means and covariance from memberships: one M-step of expectation maximisation.

        0.3 times the mean variance is added to each variance of the covariance.

        Parameters
        ----------
        values
            Representation. ``(n_spots, n_dimensions)``.
        memberships
            Probability of each cluster; rows sum to 1. ``(n_spots, n_clusters)``.

        Returns
        -------
        The mixture.
        """
        values = np.asarray(values, dtype=np.float64)
        mean = values.mean(axis=0)
        n_axes = min(N_COMPONENTS_MIXTURE, values.shape[1])
        axes = linalg.eigh(np.cov(values.T).reshape(values.shape[1], -1))[1][:, ::-1][:, :n_axes]
        scores = (values - mean) @ axes
        sizes = memberships.sum(axis=0)
        # A cluster without spots attracts none.
        means = memberships.T @ scores / np.where(sizes > 0, sizes, 1)[:, None]
        covariance = (scores.T @ scores - (means.T * sizes) @ means) / len(scores)
        covariance += RIDGE * np.trace(covariance) / n_axes * np.eye(n_axes)
        with np.errstate(divide="ignore"):
            log_weights = np.log(sizes / len(values))
        return cls(mean, axes, means, linalg.inv(covariance), log_weights)

    def predict(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Most probable cluster of each spot.

        Parameters
        ----------
        values
            Representation. ``(n_spots, n_dimensions)``.

        Returns
        -------
        Integers from 0 to ``n_clusters - 1``. ``(n_spots,)``.
        """
        scores = (np.asarray(values, dtype=np.float64) - self.mean) @ self.axes
        # The term that all clusters share is left out.
        slopes = self.precision @ self.means.T
        return (scores @ slopes + self.log_weights - 0.5 * (self.means.T * slopes).sum(axis=0)).argmax(axis=1)

    def get_state(self) -> dict[str, NDArray[np.float64]]:
        """Parameters of the mixture as a dictionary of arrays."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, NDArray[np.float64]]) -> "SharedCovarianceMixture":
        """Restore a mixture from the result of :meth:`get_state`."""
        return cls(**state)


class LeadingScores(NamedTuple):
    """Result of :func:`leading_scores`."""

    scores: NDArray[np.float64]
    """Principal components. ``(n_spots, n_components)``."""
    mean: NDArray[np.float64]
    """Mean of the representation. ``(n_dimensions,)``."""
    axes: NDArray[np.float64]
    """Axes of the principal components. ``(n_dimensions, n_components)``."""


def leading_scores(
    representation: NDArray[Any], seed: int, n_components: int | None = N_COMPONENTS_MIXTURE
) -> LeadingScores:
    """Principal components to fit the mixture to, at most as many as given, without those of zero variance."""
    n_components = min(*representation.shape, *([] if n_components is None else [n_components]))
    # A representation has few columns, so its covariance is small however many spots there are.
    solver = "covariance_eigh" if representation.shape[1] <= 1000 else "arpack"
    pca = PCA(n_components, svd_solver=solver, random_state=seed)
    scores = pca.fit_transform(representation.astype(np.float64))
    varies = pca.explained_variance_ > 1e-10 * pca.explained_variance_[0]
    return LeadingScores(scores[:, varies], pca.mean_, np.ascontiguousarray(pca.components_[varies].T))


class FittedMixture(NamedTuple):
    """Result of :func:`fit_mixture`."""

    posteriors: NDArray[np.float64]
    """Posterior probabilities. ``(n_spots, n_clusters)``."""
    log_likelihood: float
    """Mean log likelihood per spot, before the last M-step."""
    slopes: NDArray[np.float64]
    """:math:`\\Sigma^{-1} \\mu_k`. ``(n_components, n_clusters)``."""
    intercepts: NDArray[np.float64]
    """:math:`\\log \\pi_k - \\mu_k^\\top \\Sigma^{-1} \\mu_k / 2`. ``(n_clusters,)``."""

    def predict_proba(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Posterior probabilities of other spots. ``(n_spots, n_clusters)``."""
        return special.softmax(scores @ self.slopes + self.intercepts, axis=1)


def fit_mixture(
    scores: NDArray[np.float64], labels: NDArray[np.integer], n_domains: int, *, ridge: float = RIDGE
) -> FittedMixture:
    r"""Fit a mixture by expectation maximisation, initialised with a partition.

    Because the clusters share one covariance, their log densities differ by a linear function of the scores,

    .. math:: \log \pi_k \mathcal{N}(z; \mu_k, \Sigma) = \log \pi_k + z^\top \Sigma^{-1} \mu_k
        - \tfrac{1}{2} \mu_k^\top \Sigma^{-1} \mu_k + c(z),

    so that an iteration is two products of matrices, instead of a triangular solution for each cluster. The result is
    that of scikit-learn's ``GaussianMixture`` with a tied covariance.

    Parameters
    ----------
    scores
        Principal components. ``(n_spots, n_components)``.
    labels
        Initial cluster of each spot. ``(n_spots,)``.
    n_domains
        Number of clusters.
    ridge
        Added to each variance of the covariance, in units of their mean.

    Returns
    -------
    The fitted mixture.
    """
    n_spots, n_components = scores.shape
    squares = scores.T @ scores
    members = np.eye(n_domains)[labels]
    sizes = members.sum(axis=0)
    means = (members.T @ scores) / np.maximum(sizes, 1)[:, None]
    covariance = (squares - (means.T * sizes) @ means) / n_spots
    added = ridge * np.trace(covariance) / n_components * np.eye(n_components)
    with np.errstate(divide="ignore"):
        log_weights = np.log(sizes / n_spots)
    log_likelihood = -np.inf
    for _ in range(_MAX_ITERATIONS):
        slopes, intercepts, constant = _log_density(means, covariance + added, log_weights)
        posteriors, new = _expectation(scores, slopes, intercepts)
        new += constant - 0.5 * np.vdot(linalg.inv(covariance + added), squares) / n_spots
        sizes = posteriors.sum(axis=0) + _TINY
        means = (posteriors.T @ scores) / sizes[:, None]
        covariance = (squares - (means.T * sizes) @ means) / sizes.sum()
        log_weights = np.log(sizes / sizes.sum())
        has_converged = abs(new - log_likelihood) < _TOLERANCE
        log_likelihood = new
        if has_converged:
            break
    slopes, intercepts, _ = _log_density(means, covariance + added, log_weights)
    posteriors, _ = _expectation(scores, slopes, intercepts)
    return FittedMixture(posteriors, float(log_likelihood), slopes, intercepts)


def _log_density(
    means: NDArray[np.float64], covariance: NDArray[np.float64], log_weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Slopes and intercepts of the log densities of the clusters, and the constant that they share."""
    slopes = linalg.solve(covariance, means.T, assume_a="pos")
    intercepts = log_weights - 0.5 * (means.T * slopes).sum(axis=0)
    return slopes, intercepts, -0.5 * (np.linalg.slogdet(covariance)[1] + len(covariance) * np.log(2 * np.pi))


def _expectation(
    scores: NDArray[np.float64], slopes: NDArray[np.float64], intercepts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Posteriors, and the mean log of the densities' sum without the term that all clusters share."""
    logs = scores @ slopes + intercepts
    largest = logs.max(axis=1, keepdims=True)
    posteriors = np.exp(logs - largest)
    total = posteriors.sum(axis=1, keepdims=True)
    posteriors /= total
    return posteriors, float((np.log(total) + largest).mean())
