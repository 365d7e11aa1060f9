"""Centring of each slice."""

from typing import Self

import numpy as np

from spotscape.preprocessing.correction._base import Correction, Names, Values, slice_means


class Centring(Correction):
    r"""Subtracts the mean of each slice, :math:`\hat x_i = x_i - \bar x_{s(i)}`.

    This assumes that all slices show the same regions in the same proportions. A new slice is centred with its own
    mean, under the same assumption: if it shows only one region, that region is moved to the mean of the whole tissue.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.preprocessing import Centring
    >>> values, slices = np.array([[1.0], [3.0], [11.0], [13.0]]), np.array(["a", "a", "b", "b"])
    >>> correction = Centring().fit(values, slices)
    >>> correction.transform(values, slices).ravel()
    array([-1.,  1., -1.,  1.])
    >>> correction.transform(np.array([[1.0]]), np.array(["b"])).ravel()
    array([-11.])
    """

    name = "centre"

    def fit(self, values: Values, slices: Names, *, seed: int = 0) -> Self:
        """Compute the mean of each slice; see :meth:`Correction.fit`."""
        names, codes = np.unique(slices, return_inverse=True)
        self._fitted = {"slices": names.tolist(), "means": slice_means(values, codes, len(names))}
        return self

    def transform(self, values: Values, slices: Names) -> Values:
        """Subtract the means; see :meth:`Correction.transform`."""
        known = dict(zip(self._fitted["slices"], self._fitted["means"], strict=True))
        corrected = np.empty_like(values)
        for name in np.unique(slices):
            rows = slices == name
            corrected[rows] = values[rows] - known.get(str(name), values[rows].mean(axis=0))
        return corrected
