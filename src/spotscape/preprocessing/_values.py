"""Detection and checks of the scale of expression: counts, normalised or log-normalised values."""

import warnings
import weakref
from typing import Literal

import numpy as np
from scipy import sparse

from spotscape._validate import check_choice
from spotscape.preprocessing._row_blocks import Matrix, row_blocks

Values = Literal["counts", "normalized", "log-normalized"]

VALUES: tuple[Values, ...] = ("counts", "normalized", "log-normalized")

# log1p of counts per million stays below 13.9 and log2 of them below 20; a linear scale that matters exceeds it.
_LARGEST_LOG_VALUE = 20.0
# The user may know of larger logarithms, but the exponential of this is where single precision ends.
_LARGEST_BELIEVABLE = 80.0


class ValueSummary:
    """Summary of the values of an expression matrix, computed in one pass.

    Parameters
    ----------
    where
        Rows of the matrix to summarise.

    Attributes
    ----------
    totals
        Total of each spot, float64. ``(n_spots,)``.
    """

    def __init__(self, where: slice) -> None:
        self.totals = np.zeros(where.stop - where.start)
        self._first = where.start
        self._largest = 0.0
        self._fraction: float | None = None
        self._wrong: dict[str, tuple[int, int, int]] = {}

    def add(self, where: slice, block: sparse.csr_matrix) -> None:
        """Add a block with the rows ``where`` of the matrix."""
        self.totals[where.start - self._first : where.stop - self._first] = _sums(block)
        values = block.data
        if len(values) == 0 or values.dtype.kind == "u":
            self._largest = max(self._largest, float(values.max(initial=0)))
            return
        smallest, largest = values.min(), values.max()
        # A NaN fails both comparisons, so that good data, the usual case, is passed in one go.
        if not (smallest >= 0 and largest < np.inf):
            self._note_wrong(where, block)
            return
        self._largest = max(self._largest, float(largest))
        if self._fraction is None and values.dtype.kind == "f":
            fractional = values != np.rint(values)
            if fractional.any():
                self._fraction = float(values[fractional.argmax()])

    def check(self, values: str) -> None:
        """Raise ``ValueError`` if values are invalid, or not on the declared scale."""
        for kind in ("missing (NaN)", "infinite", "negative"):
            if kind in self._wrong:
                count, row, column = self._wrong[kind]
                raise ValueError(
                    f"The expression holds {count} {kind} value(s), the first at row {row}, column {column}; "
                    f"pass raw counts, or expression that is not centred, scaled or otherwise corrected."
                )
        if values == "counts" and self._fraction is not None:
            raise ValueError(
                f"The expression is declared as counts but holds {self._fraction:g}, which is not a whole number; "
                f'pass the layer that holds the raw counts, or `values="auto"`.'
            )
        if values == "log-normalized" and self._largest > _LARGEST_BELIEVABLE:
            raise ValueError(
                f"The expression is declared as log-normalised but its largest value is {self._largest:g}, "
                f'which is no logarithm of expression; pass `values="normalized"` or the log-transformed layer.'
            )

    def check_empty_spots(self, n_genes: int) -> None:
        """Warn if some spots have no expression, and raise ``ValueError`` if more than half have none."""
        n_spots, n_empty = len(self.totals), int((self.totals == 0).sum())
        if n_empty == n_spots:
            raise ValueError(
                f"All {n_genes} genes are zero in all {n_spots} spots; pass the layer that holds the counts."
            )
        if 2 * n_empty > n_spots:
            raise ValueError(
                f"{n_empty} of {n_spots} spots have no expression at all; remove the spots outside the tissue first."
            )
        if n_empty:
            warnings.warn(
                f"{n_empty} of {n_spots} spots have no expression at all and are kept as zeros; "
                f"remove them first if they lie outside the tissue.",
                UserWarning,
                stacklevel=3,
            )

    def recognise(self) -> Values:
        """Detect the scale of the values, by the rules of :func:`recognise_values`."""
        if self._fraction is None:
            return "counts"
        if self._largest > _LARGEST_LOG_VALUE:
            return "normalized"
        totals = self.totals[self.totals > 0]
        if len(totals) > 1 and np.ptp(totals) <= 1e-3 * totals.mean():
            return "normalized"
        return "log-normalized"

    def _note_wrong(self, where: slice, block: sparse.csr_matrix) -> None:
        values = block.data
        for kind, found in (
            ("missing (NaN)", np.isnan(values)),
            ("infinite", np.isinf(values)),
            ("negative", values < 0),
        ):
            if found.any():
                first = int(found.argmax())
                row = where.start + int(np.searchsorted(block.indptr, first, side="right")) - 1
                count, *position = self._wrong.get(kind, (0, row, int(block.indices[first])))
                self._wrong[kind] = (count + int(found.sum()), position[0], position[1])


def summarize_values(matrix: Matrix) -> ValueSummary:
    """Summarise all values of a matrix in one pass. The summary of row blocks and dask arrays is cached."""
    rows = row_blocks(matrix)
    # Dask arrays do not change, and row blocks live no longer than the work on them; any array in memory may change.
    owner = rows.source if hasattr(rows.source, "dask") else rows
    key = id(owner)
    if key in _summaries and _summaries[key][0]() is owner:
        return _summaries[key][1]
    summary = ValueSummary(slice(0, rows.shape[0]))
    for where, block in rows:
        summary.add(where, block)
    _summaries[key] = (weakref.ref(owner, lambda _: _summaries.pop(key, None)), summary)
    return summary


# By identity, since dask arrays have no hash, and for as long as the owner lives.
_summaries: dict[int, tuple[weakref.ref, ValueSummary]] = {}


def recognise_values(matrix: Matrix) -> Values:
    """Detect whether expression is counts, normalised or log-normalised.

    The rules are, in this order:

    1. all values are integers: ``"counts"``;
    2. the largest value is above 20: ``"normalized"``, because the logarithm of counts per million is below 14
       (natural) or 20 (base 2);
    3. all spots have the same total: ``"normalized"``;
    4. otherwise ``"log-normalized"``.

    Parameters
    ----------
    matrix
        Non-negative and finite expression, in memory or not, as for :meth:`Preprocessor.fit`. ``(n_spots, n_genes)``.

    Returns
    -------
    ``"counts"``, ``"normalized"`` or ``"log-normalized"``.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> counts = np.array([[3.0, 0.0, 1.0], [0.0, 5.0, 2.0]])
    >>> sps.preprocessing.recognise_values(counts), sps.preprocessing.recognise_values(np.log1p(counts))
    ('counts', 'log-normalized')
    """
    return summarize_values(matrix).recognise()


def check_values(matrix: Matrix, values: str = "auto") -> Values:
    """Check an expression matrix, and return the scale of its values.

    Parameters
    ----------
    matrix
        Expression, integers or floats: CSR, CSC or dense in memory, a dask array, or the matrix of a backed AnnData. It
        is read block by block, and neither copied nor changed. ``(n_spots, n_genes)``.
    values
        ``"counts"`` requires integers. ``"normalized"`` (linear scale, for example divided by the library size) and
        ``"log-normalized"`` are accepted as declared. ``"auto"`` detects the scale with :func:`recognise_values`, and
        warns if the values are not counts.

    Returns
    -------
    ``"counts"``, ``"normalized"`` or ``"log-normalized"``.

    Raises
    ------
    TypeError
        If the matrix has another format or does not contain numbers.
    ValueError
        If the matrix has no spots or genes, has negative, missing or infinite values, or more than half of its spots
        are empty; if ``values="counts"`` and a value is not an integer; or if ``values="log-normalized"`` and the
        largest value is too large for a logarithm.
    """
    check_choice(values, ("auto", *VALUES), "values")
    rows = row_blocks(matrix)
    summary = summarize_values(rows)
    summary.check(values)
    summary.check_empty_spots(rows.shape[1])
    if values != "auto":
        return values  # type: ignore[return-value]  # check_choice has narrowed it
    recognised = summary.recognise()
    if recognised != "counts":
        handling = {
            "normalized": "scaled by one constant for all spots and log-transformed",
            "log-normalized": "used as it is, without another logarithm",
        }[recognised]
        warnings.warn(
            f"The expression is not counts: it was recognised as {recognised} and is {handling}; "
            f'pass `values="counts"`, `values="normalized"` or `values="log-normalized"` to say what it is.',
            UserWarning,
            stacklevel=2,
        )
    return recognised


def spot_sizes(matrix: Matrix, kind: str) -> np.ndarray:
    """Total of each spot on the linear scale, float64. ``(n_spots,)``."""
    if kind != "log-normalized":
        return summarize_values(matrix).totals
    return np.concatenate([sizes for _, sizes in row_blocks(matrix).map(lambda _, block: _sums(block.expm1()))])


def check_size_factors(
    size_factors: np.ndarray, totals: np.ndarray, kind: str = "counts", *, first_spot: int = 0
) -> np.ndarray:
    """Check size factors against the totals of the spots, and return them as float64. ``(n_spots,)``."""
    if kind != "counts":
        raise ValueError(f"`size_factors` are given but the expression is {kind}; leave them out or pass counts.")
    factors = np.asarray(size_factors, dtype=np.float64).ravel()
    if len(factors) != len(totals):
        raise ValueError(f"`size_factors` has {len(factors)} entries for {len(totals)} spots; pass one for each.")
    bad = ~np.isfinite(factors) | (factors < 0) | ((factors == 0) & (totals > 0))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"`size_factors` is {factors[first]:g} at spot {first_spot + first}; "
            f"pass finite numbers, positive wherever a spot has counts."
        )
    return factors


def log_expression(
    matrix: sparse.csr_matrix, kind: str, factors: np.ndarray, target_sum: float, constant: float
) -> sparse.csr_matrix:
    """Log expression, float32 CSR with its own values. A spot with a size factor of 0 stays zero."""
    data = matrix.data.astype(np.float32)
    if kind != "log-normalized":
        scale = np.full(matrix.shape[0], constant)
        if kind == "counts":
            scale = np.divide(target_sum, factors, out=np.zeros(len(factors)), where=factors > 0)
        data *= np.repeat(scale.astype(np.float32), np.diff(matrix.indptr))
        np.log1p(data, out=data)
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _sums(block: sparse.csr_matrix) -> np.ndarray:
    return np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
