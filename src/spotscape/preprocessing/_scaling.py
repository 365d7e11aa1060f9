"""Scaling of given features, such as those of an image, whose columns come in all units."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

#: Wider features are reduced to this many principal components.
N_COMPONENTS_WIDE = 50


class FeatureScaler:
    """Centres columns; scales them to unit variance and reduces wide features to principal components if told so.

    Parameters
    ----------
    standardize
        Whether columns are divided by their standard deviation and, if there are more than 50, replaced by their 50
        leading principal components. ``False`` for features that have a common scale already.
    """

    def __init__(self, *, standardize: bool):
        self.standardize = standardize
        self._fitted: dict[str, Any] = {}

    def fit(self, values: NDArray[np.float64], *, seed: int = 0) -> "FeatureScaler":
        """Learn from features without missing values, ``(n_spots, n_columns)``."""
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        axes = np.eye(values.shape[1])
        spread = np.ones_like(deviation)
        if self.standardize:
            # Columns that never vary are dropped by an infinite deviation.
            spread = np.where(deviation > 1e-9 * max(deviation.max(), 1e-30), deviation, np.inf)
            if values.shape[1] > N_COMPONENTS_WIDE:
                n_components = min(N_COMPONENTS_WIDE, len(values) - 1)
                solver = "covariance_eigh" if values.shape[1] <= 3000 else "arpack"
                pca = PCA(n_components, svd_solver=solver, random_state=seed)
                axes = pca.fit((values - mean) / spread).components_.T
        self._fitted = {"mean": mean, "deviation": spread, "axes": axes}
        return self

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scaled features. ``(n_spots, n_features)``."""
        return ((values - self._fitted["mean"]) / self._fitted["deviation"]) @ self._fitted["axes"]

    def inverse_transform(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Columns that features stand for, in their own units. ``(n_spots, n_columns)``."""
        deviation = np.where(np.isfinite(self._fitted["deviation"]), self._fitted["deviation"], 0.0)
        return (features @ self._fitted["axes"].T * deviation + self._fitted["mean"]).astype(np.float32)

    @property
    def n_features(self) -> int:
        """Width of the result of :meth:`transform`."""
        return cast(int, self._fitted["axes"].shape[1])

    def get_state(self) -> dict[str, Any]:
        """Everything needed to rebuild the scaler: numbers and arrays."""
        return {"standardize": self.standardize} | self._fitted

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "FeatureScaler":
        """Rebuild a fitted scaler from :meth:`get_state`."""
        result = cls(standardize=state["standardize"])
        result._fitted = {key: state[key] for key in ("mean", "deviation", "axes")}
        return result
