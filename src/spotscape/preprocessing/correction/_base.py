"""Removal of differences between slices from the features of one modality, each with an answer for a new slice."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Names = NDArray[np.str_]


class Correction(ABC):
    """Removes differences between slices, learnt from the slices that a model is trained on.

    What a spot becomes depends on its features, its slice, and what was learnt: so a slice that was there at fit is
    corrected in the same way ever after, alone, in part or among others. Each kind says what it does with a new slice.
    Features are ``(n_spots, n_features)`` and slices the name of the slice of each spot.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._fitted: dict[str, Any] = {}

    @abstractmethod
    def fit(self, values: Values, slices: Names, *, seed: int = 0) -> Self:
        """Learn from the features and slices of all spots that have them."""

    @abstractmethod
    def transform(self, values: Values, slices: Names) -> Values:
        """Corrected features, of the same shape."""

    def get_state(self) -> dict[str, Any]:
        """What was learnt, as arrays and lists of names."""
        return dict(self._fitted)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild from :meth:`get_state`."""
        result = cls()
        result._fitted = dict(state)
        return result


class NoCorrection(Correction):
    """Leaves the features as they are; so it does with those of a new slice."""

    name = "none"

    def fit(self, values: Values, slices: Names, *, seed: int = 0) -> Self:
        """Learn nothing."""
        return self

    def transform(self, values: Values, slices: Names) -> Values:
        """Return the features as they are."""
        return values


def slice_means(values: Values, codes: NDArray[np.int64], n_slices: int) -> Values:
    """Mean features of each slice. ``(n_slices, n_features)``."""
    return np.stack([values[codes == code].mean(axis=0, dtype=np.float64) for code in range(n_slices)])
