"""A mixture with one covariance as it was found, kept so that spots to come get the same clusters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from spotscape.cluster._partitions import N_COMPONENTS_MIXTURE, RIDGE, mixture_partition


class SharedMixture:
    r"""Clusters of a representation by the mixture that :func:`~spotscape.tl.domains` finds.

    The partition is kept as the weights, means and the one covariance that its posteriors imply, so that any spot is
    given the cluster :math:`\arg\max_k \log \pi_k - \tfrac{1}{2} (z - \mu_k)^\top \Sigma^{-1} (z - \mu_k)`.
    """

    def __init__(self) -> None:
        self._fitted: dict[str, NDArray[np.float64]] = {}

    def fit(self, values: NDArray[Any], n_clusters: int, *, n_init: int = 10, seed: int = 0) -> "SharedMixture":
        """Find the clusters of ``values``, ``(n_spots, n_dimensions)``."""
        # Restarts draw by row number: in this order they do not depend on the order of the spots.
        values = values[np.lexsort(values.T[::-1])].astype(np.float64)
        # One thread adds up in one order.
        with threadpool_limits(1, user_api="openmp"):
            posteriors = mixture_partition(values, n_clusters, n_init, seed).affinities
        mean = values.mean(axis=0)
        n_axes = min(N_COMPONENTS_MIXTURE, values.shape[1])
        axes = np.linalg.eigh(np.cov(values.T).reshape(values.shape[1], -1))[1][:, ::-1][:, :n_axes]
        scores = (values - mean) @ axes
        sizes = posteriors.sum(axis=0)
        means = posteriors.T @ scores / np.maximum(sizes, 1e-12)[:, None]
        covariance = (scores.T @ scores - (means.T * sizes) @ means) / len(scores)
        covariance += RIDGE * np.trace(covariance) / n_axes * np.eye(n_axes)
        self._fitted = {
            "mean": mean,
            "axes": axes,
            "means": means,
            "precision": np.linalg.inv(covariance),
            "log_weights": np.log(np.maximum(sizes, 1e-12) / len(values)),
        }
        return self

    def predict(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Cluster of each spot. ``(n_spots,)``."""
        fitted = self._fitted
        scores = (np.asarray(values, dtype=np.float64) - fitted["mean"]) @ fitted["axes"]
        # The term that all clusters share is left out.
        slopes = fitted["precision"] @ fitted["means"].T
        offsets = fitted["log_weights"] - 0.5 * (fitted["means"].T * slopes).sum(axis=0)
        return (scores @ slopes + offsets).argmax(axis=1)

    def get_state(self) -> dict[str, NDArray[np.float64]]:
        """What was found, as arrays."""
        return dict(self._fitted)

    @classmethod
    def from_state(cls, state: dict[str, NDArray[np.float64]]) -> "SharedMixture":
        """Rebuild from :meth:`get_state`."""
        result = cls()
        result._fitted = dict(state)
        return result
