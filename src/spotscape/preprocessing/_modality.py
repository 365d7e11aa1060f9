"""The way of one modality from its features to what a model reads: scaling, correction, unit variance, and back."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from spotscape._validate import check_choice
from spotscape.preprocessing.correction._base import NoCorrection
from spotscape.preprocessing.correction._registry import KINDS

#: Corrections by name. ``"precomputed"`` leaves a corrected representation as it is, also the scale of its columns.
CORRECTIONS = (*KINDS, "precomputed")
N_COMPONENTS_WIDE = 50


class Modality:
    r"""Features of one modality, scaled, corrected for differences between slices, and of mean variance 1.

    Columns are centred and scaled to unit variance, since image features come in all units; of more than 50 columns the
    50 leading principal components are kept. Components that a :class:`~spotscape.preprocessing.Preprocessor` has made
    are scaled already, and so is a representation that was corrected elsewhere. All is learnt once and kept.
    :class:`~spotscape.AESTETIK` then brings the windows of two modalities to one variance by :meth:`shrink`.

    Parameters
    ----------
    correction
        How differences between slices are removed: ``"none"``, ``"centre"``, ``"combat"``, ``"harmony"``, or
        ``"precomputed"`` for a representation in which they have been removed already.
    scale
        Whether columns are scaled; ``"precomputed"`` leaves them as they are in any case.
    """

    def __init__(self, correction: str, *, scale: bool = True):
        check_choice(correction, CORRECTIONS, "correction")
        self.correction_name = correction
        self.scale = scale and correction != "precomputed"
        self._correction = KINDS.get(correction, NoCorrection)()
        self._fitted: dict[str, Any] = {}

    def fit(self, values: NDArray[Any], slices: NDArray[Any], *, seed: int = 0) -> "Modality":
        """Learn from all spots that have the modality.

        Parameters
        ----------
        values
            Features, ``(n_spots, n_columns)``; rows of NaN where a spot has none.
        slices
            Name of the slice of each spot. ``(n_spots,)``.
        seed
            Seed of the correction.

        Returns
        -------
        The modality itself.
        """
        present = modality_presence(values)
        given, slices = np.asarray(values, dtype=np.float64)[present], np.asarray(slices).astype(str)[present]
        mean, deviation = given.mean(axis=0), given.std(axis=0)
        # Where columns are not scaled, the tiniest spread still counts.
        spread = np.where(deviation > 1e-9 * max(deviation.max(), 1e-30), deviation, np.inf)
        self._fitted = {"mean": mean, "deviation": spread if self.scale else np.ones_like(spread)}
        axes = np.eye(given.shape[1])
        if self.scale and given.shape[1] > N_COMPONENTS_WIDE:
            n_components = min(N_COMPONENTS_WIDE, len(given) - 1)
            scaled = (given - mean) / spread
            solver = "covariance_eigh" if given.shape[1] <= 3000 else "arpack"
            axes = PCA(n_components, svd_solver=solver, random_state=seed).fit(scaled).components_.T
        self._fitted |= {"axes": axes, "offset": np.zeros(axes.shape[1]), "constant": 1.0}
        scaled = self._scaled(given)
        corrected = self._correction.fit(scaled, slices, seed=seed).transform(scaled, slices)
        offset = corrected.mean(axis=0)
        constant = float(np.sqrt(((corrected - offset) ** 2).mean()))
        self._fitted |= {"offset": offset, "constant": constant if constant > 0 else 1.0}
        return self

    def transform(self, values: NDArray[Any], slices: NDArray[Any], *, corrected: bool = True) -> NDArray[np.float32]:
        """Features for the model, zero where a spot has none; without the correction of slices if told so.

        ``(n_spots, n_features)``.
        """
        present = modality_presence(values)
        result = np.zeros((len(values), self.n_features), dtype=np.float32)
        if present.any():
            scaled = self._scaled(np.asarray(values, dtype=np.float64)[present])
            if corrected:
                scaled = self._correction.transform(scaled, np.asarray(slices).astype(str)[present])
            result[present] = (scaled - self._fitted["offset"]) / self._fitted["constant"]
        return result

    def inverse_transform(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Columns that features stand for, in their own units, without what was taken off as a difference of slices."""
        fitted = self._fitted
        scaled = (features * fitted["constant"] + fitted["offset"]) @ fitted["axes"].T
        deviation = np.where(np.isfinite(fitted["deviation"]), fitted["deviation"], 0.0)
        return (scaled * deviation + fitted["mean"]).astype(np.float32)

    def shrink(self, factor: float) -> None:
        """Divide the features from now on by a factor, and multiply on the way back."""
        self._fitted["constant"] *= factor

    def get_state(self) -> dict[str, Any]:
        """Everything needed to rebuild the modality: names, numbers and arrays."""
        return {
            "correction": self.correction_name,
            "scale": self.scale,
            "fitted": dict(self._fitted),
            "fitted_correction": self._correction.get_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Modality":
        """Rebuild a fitted modality from :meth:`get_state`."""
        result = cls(state["correction"], scale=state["scale"])
        result._fitted = dict(state["fitted"])
        result._correction = type(result._correction).from_state(state["fitted_correction"])
        return result

    @property
    def is_corrected(self) -> bool:
        """Whether :meth:`transform` takes off any difference between slices."""
        return not isinstance(self._correction, NoCorrection)

    @property
    def n_features(self) -> int:
        """Width of what :meth:`transform` returns."""
        return cast(int, self._fitted["axes"].shape[1])

    def _scaled(self, given: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((given - self._fitted["mean"]) / self._fitted["deviation"]) @ self._fitted["axes"]


def modality_presence(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which spots have a modality: those whose row is not all NaN. ``(n_spots,)``."""
    return ~np.isnan(np.asarray(values, dtype=float)).all(axis=1)
