"""Preprocessing of expression, which can be inverted and is saved with the model."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from scipy import sparse

from spotscape._validate import check_choice, check_integer, check_number
from spotscape.graph._checks import encode_slices
from spotscape.preprocessing._missing_genes import insert_expected, restrict_to_measured
from spotscape.preprocessing._preprocessor_fit import check_names, clip, fit_expression, select_columns
from spotscape.preprocessing._row_blocks import Matrix, RowBlocks, row_blocks
from spotscape.preprocessing._value_summary import ValueSummary, summarize_values
from spotscape.preprocessing._values import check_size_factors, check_values, log_expression, spot_sizes

_SETTINGS = ("n_top_genes", "n_components", "features", "scale_power", "target_sum", "max_value")
_FITTED = (
    *("values", "gene_names", "target_sum", "constant", "has_size_factors"),
    *("selected", "ceiling", "projection", "offset", "mean", "loadings"),
)
# What files of the first release lack, and what only sections need that lack some of the genes.
_FITTED_LATER = ("centre", "strength", "share")


class Preprocessor:
    r"""Gene selection, normalisation, logarithm, scaling and principal components. Can be inverted.

    Counts :math:`x_{ig}` of spot :math:`i` with size factor :math:`s_i` become log expression and scores

    .. math:: y_{ig} = \log\left(1 + \frac{T}{s_i} x_{ig}\right), \qquad
        z_{ig} = \min\left(\frac{y_{ig} - \mu_g}{\sigma_g}, z_\mathrm{max}\right), \qquad
        t_{ik} = \frac{\sum_g (z_{ig} - \bar z_g) v_{gk}}{c \, \lambda_k^{p / 2}}

    with the target sum :math:`T`, the principal axes :math:`v_k` of variance :math:`\lambda_k`, the scale power
    :math:`p` and a constant :math:`c` that gives a mean variance of 1. The matrix stays sparse and is read in blocks of
    spots. For more than 1,000 selected genes, the axes are computed from at most 200,000 evenly spaced spots.

    Parameters
    ----------
    n_top_genes
        Number of genes to select with :func:`select_genes`. The default is that of the published methods.
    n_components
        Number of principal components. ``None``: see :func:`default_n_components`.
    features
        Result of :meth:`transform`: ``"components"``, or the log expression of the selected ``"genes"``.
    scale_power
        Each component is divided by its standard deviation to this power, from 0 to 1. ``None``: see
        :func:`default_scale_power`. Not for genes.
    target_sum
        Total of each spot before the logarithm, such as 1e4. ``None``: the median size factor. Not for log-normalised
        input.
    max_value
        Maximum z-score, so that a single spot cannot determine a component.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> preprocessor = sps.preprocessing.Preprocessor(n_components=5)
    >>> components = preprocessor.fit(adata.layers["counts"], adata.var_names).transform(adata.layers["counts"])
    >>> components.shape, preprocessor.inverse_transform(components).shape
    ((60, 5), (60, 40))
    """

    def __init__(
        self,
        *,
        n_top_genes: int = 3000,
        n_components: int | None = None,
        features: Literal["components", "genes"] = "components",
        scale_power: float | None = None,
        target_sum: float | None = None,
        max_value: float = 10.0,
    ) -> None:
        check_integer(n_top_genes, "n_top_genes", minimum=1)
        if n_components is not None:
            check_integer(n_components, "n_components", minimum=1)
        check_choice(features, ("components", "genes"), "features")
        if scale_power is not None:
            check_number(scale_power, "scale_power", minimum=0, maximum=1)
            if features == "genes":
                raise ValueError(
                    f"`scale_power` is {scale_power}, but `features` are 'genes', which are not scaled; leave it out."
                )
        for name, value in (("target_sum", target_sum), ("max_value", max_value)):
            if value is not None or name == "max_value":
                check_number(value, name, minimum=0)
                if value == 0:
                    raise ValueError(f"`{name}` is 0; it must be above 0.")
        self._settings: dict[str, Any] = {
            "n_top_genes": int(n_top_genes),
            "n_components": None if n_components is None else int(n_components),
            "features": features,
            "scale_power": None if scale_power is None else float(scale_power),
            "target_sum": None if target_sum is None else float(target_sum),
            "max_value": float(max_value),
        }
        self._fitted: dict[str, Any] = {}

    def fit(
        self,
        matrix: Matrix,
        gene_names: Sequence[str],
        *,
        slices: np.ndarray | None = None,
        size_factors: np.ndarray | None = None,
        values: str = "counts",
    ) -> "Preprocessor":
        """Fit the preprocessing to the spots that a model is trained on.

        Parameters
        ----------
        matrix
            Expression: CSR, CSC or dense in memory, a dask array of blocks of spots, or the matrix of a backed AnnData.
            It is not changed. Expression in a file is read four or five times. ``(n_spots, n_genes)``.
        gene_names
            Unique names of the genes. ``(n_genes,)``.
        slices
            Slice of each spot, within which genes are selected. ``None``: all spots belong to one slice.
            ``(n_spots,)``.
        size_factors
            Total counts of each spot over *all* genes, if ``matrix`` contains only some of the genes. ``None``: the
            totals of ``matrix``. Only for counts. ``(n_spots,)``.
        values
            ``"counts"``; ``"normalized"``, which is scaled by one constant to the median total ``target_sum`` and
            log-transformed; ``"log-normalized"``, which is used as it is; or ``"auto"``, which detects the scale.

        Returns
        -------
        The preprocessor.

        Raises
        ------
        ValueError
            If an argument is invalid, or no gene varies between spots.
        """
        settings, names = self._settings, check_names(gene_names, matrix)
        rows = row_blocks(matrix)
        kind = check_values(rows, values)
        codes, _ = encode_slices(slices, rows.shape[0])
        if kind == "log-normalized" and settings["target_sum"] is not None:
            raise ValueError(
                f"`target_sum` is {settings['target_sum']:g} but the expression is log-normalised already; "
                f"leave `target_sum` at None or pass counts."
            )
        if size_factors is None:
            factors = spot_sizes(rows, kind)
        else:
            factors = check_size_factors(size_factors, summarize_values(rows).totals, kind)
        parameters = {name: value for name, value in settings.items() if name != "features"}
        self._fitted = {
            "values": kind,
            "gene_names": names,
            "has_size_factors": int(size_factors is not None),
        } | fit_expression(rows, kind, factors, codes, **parameters)
        return self

    def transform(self, matrix: Matrix, *, size_factors: np.ndarray | None = None) -> Any:
        """Compute the features of spots.

        Parameters
        ----------
        matrix
            Expression of the genes of :meth:`fit`, in the same order and on the same scale. ``(n_spots, n_genes)``.
        size_factors
            Total counts over all genes, if and only if they were given to :meth:`fit`. ``(n_spots,)``.

        Returns
        -------
        Components, float32, ``(n_spots, n_components)``; or log expression of the selected genes, neither centred nor
        scaled, float32 CSR, ``(n_spots, n_selected)``.

        Raises
        ------
        ValueError
            If the number of genes, the scale of the values or the size factors differ from those in :meth:`fit`.
        """
        chosen = self._log_expression(matrix, size_factors, self._require_fit()["selected"])
        if self._settings["features"] == "genes":
            return _stacked(chosen.mapped(lambda _, block: self._completed(block), chosen.shape[1]))
        result = np.empty((chosen.shape[0], self.n_features), dtype=np.float32)
        for where, scores in chosen.map(lambda _, block: self._scores(block)):
            result[where] = scores
        return result

    def log_expression(self, matrix: Matrix, *, size_factors: np.ndarray | None = None) -> sparse.csr_matrix:
        """Log expression of all genes, on the scale of :meth:`inverse_transform`.

        Parameters
        ----------
        matrix, size_factors
            As in :meth:`transform`.

        Returns
        -------
        Log expression, float32 CSR. ``(n_spots, n_genes)``.
        """
        return _stacked(self._log_expression(matrix, size_factors, np.arange(len(self.gene_names))))

    def library_size(self, matrix: Matrix, *, size_factors: np.ndarray | None = None) -> np.ndarray:
        """Library size of each spot: ``expm1(y) * library_size / target_sum`` is on the scale of the input.

        It is the same for all spots if the input is not counts.

        Parameters
        ----------
        matrix, size_factors
            As in :meth:`transform`.

        Returns
        -------
        Library sizes, float64. ``(n_spots,)``.
        """
        fitted = self._require_fit()
        rows = self._checked_rows(matrix, size_factors)
        summary = summarize_values(rows)
        summary.check(fitted["values"])
        if fitted["values"] != "counts":
            return np.full(rows.shape[0], fitted["target_sum"] / fitted["constant"])
        if size_factors is None:
            return self._sizes(summary.totals)
        return check_size_factors(size_factors, summary.totals)

    def inverse_transform(self, features: Matrix, *, genes: Sequence[str] | None = None) -> np.ndarray:
        """Convert features to log expression, of any gene that the preprocessor was fitted to.

        The scale is ``log(1 + x)`` of counts with the total ``target_sum``, or that of log-normalised input. Negative
        values are set to 0. Genes that were not selected are predicted from the components by least squares. If
        features are genes, the values of selected genes are returned unchanged.

        Parameters
        ----------
        features
            Features of :meth:`transform`, or predicted by a model. ``(n_spots, n_features)``.
        genes
            Names of the genes to return, in this order. ``None``: all genes.

        Returns
        -------
        Log expression, float32, dense. ``(n_spots, n_genes)``.

        Raises
        ------
        ValueError
            If a gene is unknown, or the number of features differs.
        """
        fitted = self._require_fit()
        shape = np.shape(features)
        if len(shape) != 2 or shape[1] != self.n_features:
            raise ValueError(f"The features have shape {shape}; pass (n_spots, {self.n_features}).")
        wanted = self._gene_positions(genes)
        if self._settings["features"] == "components":
            scores = np.asarray(features, dtype=np.float32)
        else:
            predicted = features.toarray() if sparse.issparse(features) else np.asarray(features)
            predicted = np.maximum(predicted.astype(np.float32, copy=False), 0)
            scores = self._scores(predicted)
        result = scores @ fitted["loadings"][:, wanted] + fitted["mean"][wanted].astype(np.float32)
        if self._settings["features"] == "genes":
            where = np.searchsorted(fitted["selected"], wanted)
            where[where == len(fitted["selected"])] = 0
            direct = fitted["selected"][where] == wanted
            result[:, direct] = predicted[:, where[direct]]
        return np.maximum(result, 0, out=result)

    def get_state(self) -> dict[str, Any]:
        """Fitted parameters as a dictionary of strings, numbers, ``None``, lists of strings and arrays."""
        return {"version": 1} | self._settings | {f"fitted_{key}": value for key, value in self._require_fit().items()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Preprocessor":
        """Restore a fitted preprocessor from the result of :meth:`get_state`."""
        missing = [key for key in ("version", *_SETTINGS, *(f"fitted_{key}" for key in _FITTED)) if key not in state]
        if missing:
            raise ValueError(f"The saved preprocessor lacks {', '.join(missing)}; save the model again.")
        if state["version"] != 1:
            raise ValueError(f"The saved preprocessor has version {state['version']}, known is 1; update spotscape.")
        result = cls(**{key: state[key] for key in _SETTINGS})
        later = (key for key in _FITTED_LATER if f"fitted_{key}" in state)
        result._fitted = {key: state[f"fitted_{key}"] for key in (*_FITTED, *later)}
        return result

    def restrict(self, measured: np.ndarray) -> "Preprocessor":
        """Make a preprocessor for sections in which some of the genes were not measured.

        It takes matrices with all genes, with zeros for those that were not measured, and gives the expected features.
        Without size factors, totals are divided by the fraction of the library of the measured genes in training.

        Parameters
        ----------
        measured
            Whether each gene was measured. ``(n_genes,)``.

        Returns
        -------
        The restricted preprocessor.
        """
        fitted, measured = self._require_fit(), np.asarray(measured, dtype=bool)
        if measured.shape != (len(fitted["gene_names"]),):
            raise ValueError(f"`measured` has shape {measured.shape}; pass ({len(fitted['gene_names'])},).")
        result = Preprocessor(**self._settings)
        result._fitted = restrict_to_measured(fitted, measured, self._settings["max_value"])
        return result

    @property
    def n_features(self) -> int:
        """Number of features."""
        fitted = self._require_fit()
        return len(fitted["selected"]) if self._settings["features"] == "genes" else fitted["projection"].shape[1]

    @property
    def gene_names(self) -> list[str]:
        """Names of all genes that the preprocessor was fitted to."""
        return list(self._require_fit()["gene_names"])

    @property
    def selected_genes(self) -> list[str]:
        """Names of the selected genes, in the order of ``gene_names``."""
        fitted = self._require_fit()
        return [fitted["gene_names"][i] for i in fitted["selected"]]

    @property
    def target_sum(self) -> float:
        """Total of a spot before the logarithm; for log-normalised input the median of the totals of ``expm1``."""
        return self._require_fit()["target_sum"]

    @property
    def values(self) -> str:
        """Scale of the expression: ``"counts"``, ``"normalized"`` or ``"log-normalized"``."""
        return self._require_fit()["values"]

    def _require_fit(self) -> dict[str, Any]:
        if not self._fitted:
            raise RuntimeError("The preprocessor is not fitted; call `fit` first.")
        return self._fitted

    def _checked_rows(self, matrix: Matrix, size_factors: np.ndarray | None) -> RowBlocks:
        """Rows of new expression, after all checks except those of the values."""
        fitted, rows = self._require_fit(), row_blocks(matrix)
        if rows.shape[1] != len(fitted["gene_names"]):
            raise ValueError(
                f"The expression has {rows.shape[1]} genes but the preprocessor was fitted on "
                f"{len(fitted['gene_names'])}; pass the same genes in the same order."
            )
        if (size_factors is not None) != bool(fitted["has_size_factors"]):
            state = "with" if fitted["has_size_factors"] else "without"
            raise ValueError(f"The preprocessor was fitted {state} `size_factors`; transform {state} them as well.")
        if size_factors is not None:
            check_size_factors(size_factors, np.zeros(rows.shape[0]))
        return rows

    def _log_expression(self, matrix: Matrix, size_factors: np.ndarray | None, genes: np.ndarray) -> RowBlocks:
        """Log expression of some genes. Values are checked when they are read, so that they are read once."""
        fitted, rows = self._require_fit(), self._checked_rows(matrix, size_factors)
        given = None if size_factors is None else np.asarray(size_factors).ravel()

        def logarithm(where: slice, block: sparse.csr_matrix) -> sparse.csr_matrix:
            summary = ValueSummary(where, block.shape[1])
            summary.add(where, block)
            summary.check(fitted["values"])
            factors = self._sizes(summary.totals)
            if given is not None:
                factors = check_size_factors(given[where], summary.totals, first_spot=where.start)
            chosen = select_columns(block, genes)
            return log_expression(chosen, fitted["values"], factors, fitted["target_sum"], fitted["constant"])

        return rows.mapped(logarithm, len(genes))

    def _sizes(self, totals: np.ndarray) -> np.ndarray:
        return totals / self._fitted.get("share_measured", 1.0)

    def _completed(self, block: sparse.csr_matrix) -> sparse.csr_matrix:
        """Log expression of the selected genes, with expected values for genes that were not measured."""
        return insert_expected(block, self._scores(block), self._fitted) if "missing" in self._fitted else block

    def _scores(self, expression: Matrix) -> np.ndarray:
        fitted = self._fitted
        return (clip(expression, fitted["ceiling"]) @ fitted["projection"] - fitted["offset"]).astype(np.float32)

    def _gene_positions(self, genes: Sequence[str] | None) -> np.ndarray:
        names = self._fitted["gene_names"]
        if genes is None:
            return np.arange(len(names))
        position = {name: i for i, name in enumerate(names)}
        genes = [genes] if isinstance(genes, str) else list(genes)
        unknown = [gene for gene in genes if gene not in position]
        if unknown:
            raise ValueError(f"`genes` names {unknown[0]!r} (and {len(unknown) - 1} more), not among the fitted genes.")
        return np.array([position[gene] for gene in genes], dtype=np.int64)


def _stacked(rows: RowBlocks) -> sparse.csr_matrix:
    return sparse.vstack([block for _, block in rows], format="csr")
