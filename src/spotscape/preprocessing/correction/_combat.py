"""ComBat with a stored out-of-sample projection."""

from typing import Self

import numpy as np

from spotscape.preprocessing.correction._base import Correction, Names, Values, slice_means


class ComBat(Correction):
    r"""Empirical Bayes shifts and scales of slices :cite:p:`Johnson2007`.

    With the pooled mean :math:`\alpha` and the pooled standard deviation :math:`\sigma` within slices,
    :math:`z = (x - \alpha) / \sigma` has in slice :math:`s` the mean :math:`\hat\gamma_s` and the variance
    :math:`\hat\delta_s^2`, which are shrunk towards those of all features of the slice and taken off,

    .. math:: \hat x = \sigma \frac{z - \gamma_s^*}{\delta_s^*} + \alpha .

    The shrinkage of a slice looks at no other slice. So a new slice gets its own shift and scale in just the same way,
    against the pooled mean and deviation that are kept; as for :class:`Centring`, this supposes that it shows the same
    parts in the same shares.
    """

    name = "combat"

    def fit(self, values: Values, slices: Names, *, seed: int = 0) -> Self:
        """Learn the pooled mean and deviation, and the shift and scale of each slice."""
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
        """Take off the shifts and scales."""
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
