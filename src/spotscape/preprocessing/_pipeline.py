"""Preprocessing pipeline: from the input of a model to its features, and back. It is saved with the model."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from spotscape.preprocessing._preprocessor import Preprocessor
from spotscape.preprocessing._row_blocks import Matrix
from spotscape.preprocessing._scaling import FeatureScaler
from spotscape.preprocessing.correction import CORRECTIONS, Correction, NoCorrection


class Expression(NamedTuple):
    """Expression matrix with its annotation.

    Attributes
    ----------
    matrix
        Expression, as for :meth:`Preprocessor.fit`. ``(n_spots, n_genes)``.
    gene_names
        Names of the genes. ``(n_genes,)``.
    values
        ``"counts"``, ``"normalized"`` or ``"log-normalized"``.
    size_factors
        Total counts over all genes, if the matrix contains only some of the genes. ``(n_spots,)``.
    measured
        Whether each gene was measured, if missing genes were filled with zeros. ``None``: all were measured.
        ``(n_genes,)``.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> expression = sps.preprocessing.Expression(adata.layers["counts"], list(adata.var_names))
    >>> expression.matrix.shape, expression.values
    ((60, 40), 'counts')
    """

    matrix: Matrix
    gene_names: Sequence[str]
    values: str = "counts"
    size_factors: NDArray[np.float64] | None = None
    measured: NDArray[np.bool_] | None = None


class Features(NamedTuple):
    """Features of all spots, with and without the correction of slices.

    Attributes
    ----------
    corrected
        Features that a model uses, float32, dense or CSR. ``(n_spots, n_features)``.
    uncorrected
        Features before differences between slices were removed; the same object if nothing was removed.
    present
        Whether each spot has features. Otherwise they are 0. ``(n_spots,)``.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> uncorrected = np.array([[0.0], [2.0]], dtype=np.float32)
    >>> features = sps.preprocessing.Features(uncorrected - 1, uncorrected, present=np.array([True, True]))
    >>> features.is_corrected, features.without_correction().is_corrected
    (True, False)
    """

    corrected: Any
    uncorrected: Any
    present: NDArray[np.bool_]

    @property
    def is_corrected(self) -> bool:
        """Whether differences between slices were removed."""
        return self.corrected is not self.uncorrected

    def without_correction(self) -> "Features":
        """Uncorrected features in place of the corrected ones."""
        return Features(self.uncorrected, self.uncorrected, self.present)


class FeaturePipeline:
    """Preprocessing of expression or scaling of other features, followed by a correction of slices; can be inverted.

    Parameters
    ----------
    correction
        How differences between slices are removed.
    preprocessor
        Preprocessing of expression. ``None``: the input is features.
    scaler
        Scaling of the features before the correction. The result of the correction is then scaled to a mean variance of
        1. ``None``: no scaling.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40)
    >>> expression = sps.preprocessing.Expression(adata.layers["counts"], list(adata.var_names))
    >>> preprocessor = sps.preprocessing.Preprocessor(n_components=5)
    >>> pipeline = sps.preprocessing.FeaturePipeline(sps.preprocessing.Centring(), preprocessor=preprocessor)
    >>> features = pipeline.fit_transform(expression, adata.obs["slice"].to_numpy().astype(str))
    >>> features.corrected.shape, features.is_corrected
    ((120, 5), True)
    >>> pipeline.inverse_transform(features.corrected).shape
    (120, 40)
    """

    def __init__(
        self,
        correction: Correction,
        *,
        preprocessor: Preprocessor | None = None,
        scaler: FeatureScaler | None = None,
    ):
        self.correction = correction
        self._preprocessor = preprocessor
        self.scaler = scaler
        self._offset: NDArray[np.float64] | float = 0.0
        self._divisor: NDArray[np.float64] | float = 1.0

    def fit(self, values: Expression | NDArray[np.float64], slices: NDArray[np.str_], *, seed: int = 0) -> Self:
        """Fit the pipeline to all spots.

        Parameters
        ----------
        values
            Expression, if there is a preprocessor; otherwise features, ``(n_spots, n_columns)``, with NaN in all
            columns for spots without features.
        slices
            Name of the slice of each spot. ``(n_spots,)``.
        seed
            Random seed of the scaler and of the correction.

        Returns
        -------
        The pipeline.
        """
        if isinstance(values, Expression) and self.scaler is None and not self.is_corrected:
            self._fit_preprocessor(values, slices)
        else:
            self.fit_transform(values, slices, seed=seed)
        return self

    def fit_transform(
        self, values: Expression | NDArray[np.float64], slices: NDArray[np.str_], *, seed: int = 0
    ) -> Features:
        """Fit the pipeline to all spots, and return their features.

        Parameters
        ----------
        values, slices, seed
            As in :meth:`fit`.

        Returns
        -------
        The features.
        """
        if isinstance(values, Expression):
            self._fit_preprocessor(values, slices)
            values = self._preprocessed(values)
        present = presence(values)
        scaled, slices = _rows(values, present), _rows(slices, present)
        if self.scaler is not None:
            scaled = np.asarray(scaled, dtype=np.float64)
            scaled = self.scaler.fit(scaled, seed=seed).transform(scaled)
        corrected = self.correction.fit(scaled, slices, seed=seed).transform(scaled, slices)
        if self.scaler is not None:
            self._offset = corrected.mean(axis=0)
            self._divisor = float(np.sqrt(((corrected - self._offset) ** 2).mean())) or 1.0
        return self._features(scaled, corrected, present)

    def transform(self, values: Expression | NDArray[np.float64], slices: NDArray[np.str_]) -> Features:
        """Compute the features of spots, with and without the correction of slices.

        Parameters
        ----------
        values
            Expression or features, as in :meth:`fit`.
        slices
            Name of the slice of each spot. ``(n_spots,)``.

        Returns
        -------
        The features.
        """
        given = self._preprocessed(values) if isinstance(values, Expression) else values
        present = presence(given)
        scaled = _rows(given, present)
        if self.scaler is not None:
            scaled = self.scaler.transform(np.asarray(scaled, dtype=np.float64))
        return self._features(scaled, self.correction.transform(scaled, _rows(slices, present)), present)

    def inverse_transform(
        self,
        features: NDArray[Any],
        *,
        genes: Sequence[str] | None = None,
        slice_shift: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        """Convert features to the units of the input, or to log-normalised expression.

        Parameters
        ----------
        features
            Corrected features. ``(n_spots, n_features)``.
        genes
            Genes to return, as in :meth:`Preprocessor.inverse_transform`.
        slice_shift
            Difference ``uncorrected - corrected`` of the spots, which is added back. ``(n_spots, n_features)``.

        Returns
        -------
        Features ``(n_spots, n_columns)`` or expression ``(n_spots, n_genes)``.
        """
        values = features if slice_shift is None else features + slice_shift
        if self.scaler is not None:
            values = self.scaler.inverse_transform(values * self._divisor + self._offset)
        return values if self._preprocessor is None else self._preprocessor.inverse_transform(values, genes=genes)

    def divide(self, divisor: float) -> None:
        """Divide the features by a number in :meth:`transform`, and multiply by it in :meth:`inverse_transform`.

        Parameters
        ----------
        divisor
            The number. Repeated calls multiply it.
        """
        self._divisor *= divisor

    def scale_to_unit_range(self, features: Features) -> None:
        """Scale each feature so that given features range from 0 to 1; others may exceed this range.

        Parameters
        ----------
        features
            Result of :meth:`transform` or :meth:`fit_transform`. Features that never vary become 0.
        """
        corrected = features.corrected[features.present].astype(np.float64)
        lowest, width = corrected.min(axis=0), np.ptp(corrected, axis=0)
        self._offset = self._offset + lowest * self._divisor
        self._divisor = self._divisor * np.where(width > 0, width, 1.0)

    def preprocessor_for(self, expression: Expression) -> Preprocessor:
        """Preprocessor for an expression matrix, restricted to its measured genes if some were not measured.

        Parameters
        ----------
        expression
            Expression matrix with its annotation.

        Returns
        -------
        The preprocessor.
        """
        measured = expression.measured
        return self.preprocessor if measured is None else self.preprocessor.restrict(measured)

    @property
    def preprocessor(self) -> Preprocessor:
        """Preprocessor of the expression.

        Raises
        ------
        AttributeError
            If the input is features.
        """
        if self._preprocessor is None:
            raise AttributeError("The features were given as they are; no preprocessing of expression was fitted.")
        return self._preprocessor

    @property
    def reads_expression(self) -> bool:
        """Whether the input is expression."""
        return self._preprocessor is not None

    @property
    def is_corrected(self) -> bool:
        """Whether differences between slices are removed."""
        return not isinstance(self.correction, NoCorrection)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.preprocessor.n_features if self.scaler is None else self.scaler.n_features

    def get_state(self) -> dict[str, Any]:
        """Fitted parameters as a dictionary of names, numbers and arrays."""
        return {
            "preprocessor": None if self._preprocessor is None else self._preprocessor.get_state(),
            "scaler": None if self.scaler is None else self.scaler.get_state(),
            "correction": {"name": self.correction.name, "fitted": self.correction.get_state()},
            "offset": self._offset,
            "divisor": self._divisor,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "FeaturePipeline":
        """Restore a fitted pipeline from the result of :meth:`get_state`."""
        correction = state["correction"]
        result = cls(
            CORRECTIONS[correction["name"]].from_state(correction["fitted"]),
            preprocessor=None if state["preprocessor"] is None else Preprocessor.from_state(state["preprocessor"]),
            scaler=None if state["scaler"] is None else FeatureScaler.from_state(state["scaler"]),
        )
        result._offset, result._divisor = state["offset"], state["divisor"]
        return result

    def _fit_preprocessor(self, expression: Expression, slices: NDArray[np.str_]) -> None:
        matrix, names, values, size_factors, _ = expression
        self.preprocessor.fit(matrix, names, slices=slices, size_factors=size_factors, values=values)

    def _preprocessed(self, expression: Expression) -> Any:
        preprocessor = self.preprocessor_for(expression)
        return preprocessor.transform(expression.matrix, size_factors=expression.size_factors)

    def _features(self, scaled: Any, corrected: Any, present: NDArray[np.bool_]) -> Features:
        """Features of all spots, zero where a spot has none."""
        after = self._finished(corrected, present)
        return Features(after, after if corrected is scaled else self._finished(scaled, present), present)

    def _finished(self, values: Any, present: NDArray[np.bool_]) -> Any:
        if self.scaler is None:
            return values
        result = np.zeros((len(present), self.n_features), dtype=np.float32)
        result[present] = (values - self._offset) / self._divisor
        return result


def presence(values: Any) -> NDArray[np.bool_]:
    """Whether each spot has features, that is, any value that is not NaN. ``(n_spots,)``."""
    if sparse.issparse(values):
        return np.ones(values.shape[0], dtype=bool)
    return ~np.isnan(values).all(axis=1)


def _rows(values: Any, present: NDArray[np.bool_]) -> Any:
    return values if present.all() else values[present]
