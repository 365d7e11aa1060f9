"""Fitted clusterings that assign further spots to the same domains."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special


class MixtureClassifier(NamedTuple):
    """Mixtures with one covariance each: the chosen one first, then its alternatives, with the same numbers."""

    mean: NDArray[np.float64]
    """Mean of the representation. ``(n_dimensions,)``."""
    axes: NDArray[np.float64]
    """Axes of the principal components. ``(n_dimensions, n_components)``."""
    slopes: NDArray[np.float64]
    """:math:`\\Sigma^{-1} \\mu_k` of each mixture. ``(n_partitions, n_components, n_domains)``."""
    intercepts: NDArray[np.float64]
    """:math:`\\log \\pi_k - \\mu_k^\\top \\Sigma^{-1} \\mu_k / 2`. ``(n_partitions, n_domains)``."""
    temperature: float
    """Temperature of the confidences."""

    def predict(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Posterior probabilities of the chosen mixture, and confidences. ``(n_spots, n_domains)`` each."""
        scores = (np.asarray(values, dtype=np.float64) - self.mean) @ self.axes
        posteriors = [
            special.softmax(scores @ slopes + intercepts, axis=1)
            for slopes, intercepts in zip(self.slopes, self.intercepts, strict=True)
        ]
        return posteriors[0], np.mean([tempered(one, self.temperature) for one in posteriors], axis=0)

    def renumbered(self, order: NDArray[np.integer]) -> "MixtureClassifier":
        """The same with the domains in another order."""
        return self._replace(slopes=self.slopes[:, :, order], intercepts=self.intercepts[:, order])


class CentroidClassifier(NamedTuple):
    """Centroids of k-means."""

    centroids: NDArray[np.float64]
    """``(n_domains, n_dimensions)``."""

    def predict(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """1 for the nearest centroid and 0 for the others, and confidences. ``(n_spots, n_domains)`` each."""
        distances = np.stack([np.linalg.norm(values - centroid, axis=1) for centroid in self.centroids], axis=1)
        return np.eye(len(self.centroids))[distances.argmin(axis=1)], silhouettes(distances)

    def renumbered(self, order: NDArray[np.integer]) -> "CentroidClassifier":
        """The same with the domains in another order."""
        return CentroidClassifier(self.centroids[order])


Classifier = MixtureClassifier | CentroidClassifier
_KINDS: dict[str, type[MixtureClassifier] | type[CentroidClassifier]] = {
    "mixture": MixtureClassifier,
    "kmeans": CentroidClassifier,
}


def get_state(classifier: Classifier) -> dict[str, Any]:
    """Parameters of a classifier as a dictionary that can be stored in files."""
    kind = next(name for name, one in _KINDS.items() if isinstance(classifier, one))
    return {"kind": kind, **classifier._asdict()}


def from_state(state: Mapping[str, Any]) -> Classifier:
    """Restore a classifier from the result of :func:`get_state`."""
    kind = _KINDS[str(state["kind"])]
    return kind(**{name: state[name] for name in kind._fields})


def tempered(posteriors: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Posteriors to the power of one over the temperature, with rows that sum to one."""
    powers = posteriors ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def silhouettes(distances: NDArray[Any]) -> NDArray[Any]:
    """Simplified silhouette of each spot in each domain, at least 0, from its distances to the centroids."""
    nearest = np.sort(distances, axis=1)[:, :2]
    others = np.where(distances == nearest[:, :1], nearest[:, 1:], nearest[:, :1])
    largest = np.maximum(distances, others)
    found = np.divide(others - distances, largest, out=np.zeros_like(distances), where=largest > 0)
    return np.maximum(found, 0)
