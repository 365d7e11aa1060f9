"""Centring of each slice."""

from typing import Self

import numpy as np

from spotscape.preprocessing.correction._base import Correction, Names, Values, slice_means


class Centring(Correction):
    r"""Takes from each slice its mean, :math:`\hat x_i = x_i - \bar x_{s(i)}`.

    Right where slices show the same parts in the same shares. A new slice is centred by its own mean, which supposes
    just that of it: of a slice that shows one part of the tissue only, that part becomes the average of the tissue.
    """

    name = "centre"

    def fit(self, values: Values, slices: Names, *, seed: int = 0) -> Self:
        """Learn the mean of each slice."""
        names, codes = np.unique(slices, return_inverse=True)
        self._fitted = {"slices": names.tolist(), "means": slice_means(values, codes, len(names))}
        return self

    def transform(self, values: Values, slices: Names) -> Values:
        """Take off the means."""
        known = dict(zip(self._fitted["slices"], self._fitted["means"], strict=True))
        corrected = np.empty_like(values)
        for name in np.unique(slices):
            rows = slices == name
            corrected[rows] = values[rows] - known.get(str(name), values[rows].mean(axis=0))
        return corrected
