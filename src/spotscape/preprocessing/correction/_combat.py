"""ComBat, which can also be applied to new slices."""

from typing import Self

import numpy as np

from spotscape.preprocessing.correction._base import Correction, Names, Values, slice_means


class ComBat(Correction):
    r"""ComBat: empirical Bayes estimates of a shift and a scale for each slice :cite:p:`Johnson2007`.

    With the pooled mean :math:`\alpha` and the pooled standard deviation :math:`\sigma` within slices, :math:`z = (x -
    \alpha) / \sigma` has in slice :math:`s` the mean :math:`\hat\gamma_s` and the variance :math:`\hat\delta_s^2`. Both
    are shrunk towards the means over all features of the slice and removed,

    .. math:: \hat x = \sigma \frac{z - \gamma_s^*}{\delta_s^*} + \alpha .

    The shrinkage in a slice does not depend on other slices. The shift and scale of a new slice are therefore estimated
    in the same way, with the fitted pooled mean and standard deviation. As for :class:`Centring`, this assumes that the
    slice shows the same regions in the same proportions.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.preprocessing import ComBat
    >>> values, slices = np.random.default_rng(0).normal(size=(100, 5)), np.repeat(["a", "b"], 50)
    >>> values[slices == "b"] = 3 * values[slices == "b"] + 10
    >>> corrected = ComBat().fit(values, slices).transform(values, slices)
    >>> bool(abs(corrected[:50].mean() - corrected[50:].mean()) < 0.1)
    True
    """

    name = "combat"

    def fit(self, values: Values, slices: Names, *, seed: int = 0) -> Self:
        """Estimate the pooled moments, and the shift and scale of each slice; see :meth:`Correction.fit`."""
        values = np.asarray(values, dtype=np.float64)
        names, codes = np.unique(slices, return_inverse=True)
        means = slice_means(values, codes, len(names))
        shares = np.bincount(codes) / len(codes)
        deviation = np.sqrt(((values - means[codes]) ** 2).mean(axis=0))
        self._fitted = {
            "pooled_mean": shares @ means,
            # A feature that is constant within slices has no scale to be put right.
            "pooled_deviation": np.where(deviation > 0, deviation, 1.0),
        }
        effects = [self._effects(values[codes == code]) for code in range(len(names))]
        self._fitted |= {
            "slices": names.tolist(),
            "shifts": np.stack([shift for shift, _ in effects]),
            "scales": np.stack([scale for _, scale in effects]),
        }
        return self

    def transform(self, values: Values, slices: Names) -> Values:
        """Remove the shifts and scales; see :meth:`Correction.transform`."""
        fitted = self._fitted
        effects = zip(fitted["shifts"], fitted["scales"], strict=True)
        known = dict(zip(fitted["slices"], effects, strict=True))
        corrected = np.empty_like(values)
        for name in np.unique(slices):
            rows = slices == name
            shift, scale = known.get(str(name)) or self._effects(values[rows])
            standard = (values[rows] - fitted["pooled_mean"]) / fitted["pooled_deviation"]
            corrected[rows] = fitted["pooled_deviation"] * (standard - shift) / scale + fitted["pooled_mean"]
        return corrected

    def _effects(self, values: Values) -> tuple[Values, Values]:
        """Shrunken shift and scale of a slice."""
        standard = (values - self._fitted["pooled_mean"]) / self._fitted["pooled_deviation"]
        n_spots = len(standard)
        shift, variance = standard.mean(axis=0), standard.var(axis=0, ddof=min(1, n_spots - 1))
        varies = variance > 0
        if n_spots < 2 or varies.sum() < 2:
            return shift, np.ones_like(variance)
        prior_mean, prior_variance = shift[varies].mean(), shift[varies].var(ddof=1)
        mean, spread = variance[varies].mean(), variance[varies].var(ddof=1)
        if spread == 0 or prior_variance == 0:
            return shift, np.where(varies, np.sqrt(variance), 1.0)
        shape, rate = (2 * spread + mean**2) / spread, (mean * spread + mean**3) / spread
        best_shift, best_variance = shift, np.where(varies, variance, 1.0)
        for _ in range(100):
            new_shift = (n_spots * prior_variance * shift + best_variance * prior_mean) / (
                n_spots * prior_variance + best_variance
            )
            squares = (n_spots - 1) * variance + n_spots * (shift - new_shift) ** 2
            new_variance = (rate + squares / 2) / (n_spots / 2 + shape - 1)
            change = max(np.abs(new_shift - best_shift).max(), np.abs(new_variance / best_variance - 1).max())
            best_shift, best_variance = new_shift, new_variance
            if change < 1e-6:
                break
        return best_shift, np.where(varies, np.sqrt(best_variance), 1.0)
