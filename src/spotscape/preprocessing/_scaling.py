"""Scaling of features, such as those of images, whose columns have different units."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

#: Wider features are reduced to this many principal components.
N_COMPONENTS_WIDE = 50


class FeatureScaler:
    """Centres the columns of features and, with ``standardize``, scales them and reduces their number.

    Parameters
    ----------
    standardize
        Whether to divide columns by their standard deviation and, if there are more than ``n_components``, to replace
        them by their first principal components. ``False``: only centre, for columns that already have a common scale.
    n_components
        Number of principal components of wider features.
    rotate
        Whether features that are not wider are replaced by all their principal components too, so that the first
        columns have most of the variance.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.preprocessing import FeatureScaler
    >>> values = np.random.default_rng(0).normal(size=(100, 3)) * [1.0, 10.0, 100.0]
    >>> scaler = FeatureScaler(standardize=True).fit(values)
    >>> features = scaler.transform(values)
    >>> features.std(axis=0)
    array([1., 1., 1.])
    >>> np.allclose(scaler.inverse_transform(features), values, rtol=1e-4)
    True
    """

    def __init__(self, *, standardize: bool, n_components: int = N_COMPONENTS_WIDE, rotate: bool = False):
        self.standardize = standardize
        self.n_components = n_components
        self.rotate = rotate
        self._fitted: dict[str, Any] = {}

    def fit(self, values: NDArray[np.float64], *, seed: int = 0) -> "FeatureScaler":
        """Fit the scaling.

        Parameters
        ----------
        values
            Features without missing values. ``(n_spots, n_columns)``.
        seed
            Random seed, used for more than 3,000 columns.

        Returns
        -------
        The scaler.
        """
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        axes = np.eye(values.shape[1])
        spread = np.ones_like(deviation)
        if self.standardize:
            # Columns that never vary are dropped by an infinite deviation.
            spread = np.where(deviation > 1e-9 * max(deviation.max(), 1e-30), deviation, np.inf)
            if self.rotate or values.shape[1] > self.n_components:
                n_components = min(self.n_components, len(values) - 1, values.shape[1])
                solver = "covariance_eigh" if values.shape[1] <= 3000 else "arpack"
                pca = PCA(n_components, svd_solver=solver, random_state=seed)
                axes = pca.fit((values - mean) / spread).components_.T
        self._fitted = {"mean": mean, "deviation": spread, "axes": axes}
        return self

    def transform(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale features.

        Parameters
        ----------
        values
            Features. ``(n_spots, n_columns)``.

        Returns
        -------
        Scaled features. ``(n_spots, n_features)``.
        """
        return ((values - self._fitted["mean"]) / self._fitted["deviation"]) @ self._fitted["axes"]

    def inverse_transform(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Convert scaled features to the units of the input.

        Parameters
        ----------
        features
            Scaled features. ``(n_spots, n_features)``.

        Returns
        -------
        Features. Constant columns have their mean. ``(n_spots, n_columns)``.
        """
        deviation = np.where(np.isfinite(self._fitted["deviation"]), self._fitted["deviation"], 0.0)
        return (features @ self._fitted["axes"].T * deviation + self._fitted["mean"]).astype(np.float32)

    @property
    def n_features(self) -> int:
        """Number of scaled features."""
        return cast(int, self._fitted["axes"].shape[1])

    def get_state(self) -> dict[str, Any]:
        """Fitted parameters as a dictionary of numbers and arrays."""
        return {"standardize": self.standardize} | self._fitted

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "FeatureScaler":
        """Restore a fitted scaler from the result of :meth:`get_state`."""
        result = cls(standardize=state["standardize"])
        result._fitted = {key: state[key] for key in ("mean", "deviation", "axes")}
        return result
