"""Base class of the corrections of differences between slices."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Names = NDArray[np.str_]


class Correction(ABC):
    """Base class of methods that remove differences between slices from features.

    A correction is fitted to the slices that a model is trained on. The corrected features of a spot depend only on its
    features, its slice and the fitted parameters, so a slice of the training data is always corrected in the same way,
    alone or with others. Each subclass documents how it corrects a new slice.

    Examples
    --------
    A correction that subtracts the median of each slice, also in new slices:

    >>> import numpy as np
    >>> from spotscape.preprocessing import Correction
    >>> class MedianCorrection(Correction):
    ...     name = "median"
    ...
    ...     def fit(self, values, slices, *, seed=0):
    ...         return self
    ...
    ...     def transform(self, values, slices):
    ...         return values - np.stack([np.median(values[slices == name], axis=0) for name in slices])
    >>> values, slices = np.array([[1.0], [3.0], [11.0], [15.0]]), np.array(["a", "a", "b", "b"])
    >>> MedianCorrection().fit(values, slices).transform(values, slices).ravel()
    array([-1.,  1., -2.,  2.])
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._fitted: dict[str, Any] = {}

    @abstractmethod
    def fit(self, values: Values, slices: Names, *, seed: int = 0) -> Self:
        """Fit the correction to all spots that have features.

        Parameters
        ----------
        values
            Features. ``(n_spots, n_features)``.
        slices
            Name of the slice of each spot. ``(n_spots,)``.
        seed
            Random seed.

        Returns
        -------
        The correction.
        """

    @abstractmethod
    def transform(self, values: Values, slices: Names) -> Values:
        """Correct features.

        Parameters
        ----------
        values
            Features. ``(n_spots, n_features)``.
        slices
            Name of the slice of each spot; may include new slices. ``(n_spots,)``.

        Returns
        -------
        Corrected features. ``(n_spots, n_features)``.
        """

    def get_state(self) -> dict[str, Any]:
        """Fitted parameters as a dictionary of arrays and lists of names."""
        return dict(self._fitted)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Restore a fitted correction from the result of :meth:`get_state`."""
        result = cls()
        result._fitted = dict(state)
        return result


class NoCorrection(Correction):
    """No correction: the features remain unchanged, also in new slices.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.preprocessing import NoCorrection
    >>> values, slices = np.array([[1.0], [3.0]]), np.array(["a", "b"])
    >>> NoCorrection().fit(values, slices).transform(values, slices) is values
    True
    """

    name = "none"

    def fit(self, values: Values, slices: Names, *, seed: int = 0) -> Self:
        """Do nothing."""
        return self

    def transform(self, values: Values, slices: Names) -> Values:
        """Return the features unchanged."""
        return values


def slice_means(values: Values, codes: NDArray[np.int64], n_slices: int) -> Values:
    """Mean features of each slice. ``(n_slices, n_features)``."""
    return np.stack([values[codes == code].mean(axis=0, dtype=np.float64) for code in range(n_slices)])
