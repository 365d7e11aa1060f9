"""Detection and checks of the scale of expression: counts, normalised or log-normalised values."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal, cast

import numpy as np
from scipy import sparse

from spotscape._places import ROWS, Places
from spotscape._validate import check_choice
from spotscape.preprocessing._row_blocks import Matrix, row_blocks
from spotscape.preprocessing._value_summary import summarize_values

Values = Literal["counts", "normalized", "log-normalized"]

VALUES: tuple[Values, ...] = ("counts", "normalized", "log-normalized")


def recognise_values(matrix: Matrix) -> Values:
    """Detect whether expression is counts, normalised or log-normalised.

    The rules are, in this order:

    1. all values are whole numbers: ``"counts"``;
    2. all spots have the same total: ``"normalized"``;
    3. the library size is still in the values: ``"counts"`` that were corrected, for example for ambient RNA. Spots
       with more genes then have a larger mean value per detected gene; after division by the library size it is
       smaller. The Spearman correlation of the two must be above -0.35, over at least 20 spots, and the exponentials of
       the values must neither be multiples of one number nor have one total in all spots;
    4. the largest value is above 20: ``"normalized"``, because the logarithm of counts per million is below 14
       (natural) or 20 (base 2);
    5. otherwise ``"log-normalized"``.

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
    return cast(Values, summarize_values(matrix).recognise())


def check_values(
    matrix: Matrix, values: str = "auto", *, warn: Callable[[str], None] | None = None, places: Places = ROWS
) -> Values:
    """Check an expression matrix, and return the scale of its values.

    Parameters
    ----------
    matrix
        Expression, integers or floats: CSR, CSC or dense in memory, a dask array, or the matrix of a backed AnnData. It
        is read block by block, and neither copied nor changed. ``(n_spots, n_genes)``.
    values
        ``"counts"`` (whole numbers or corrected counts, which contain the library size), ``"normalized"`` (linear
        scale, for example divided by the library size) and ``"log-normalized"`` are used as declared. ``"auto"``
        detects the scale with :func:`recognise_values`, and warns if the values are not whole numbers.
    warn
        Function that is given each warning. ``None``: they are issued as ``UserWarning``.
    places
        Names of spots and genes for messages.

    Returns
    -------
    ``"counts"``, ``"normalized"`` or ``"log-normalized"``.

    Raises
    ------
    TypeError
        If the matrix has another format or does not contain numbers.
    ValueError
        If the matrix has no spots or genes, has negative, missing or infinite values, or more than half of its spots
        are empty; if ``values="counts"`` and the values are certainly normalised or logarithms; or if
        ``values="log-normalized"`` and the largest value is too large for a logarithm.
    """
    check_choice(values, ("auto", *VALUES), "values")
    warn = partial(warnings.warn, category=UserWarning, stacklevel=3) if warn is None else warn
    rows = row_blocks(matrix)
    summary = summarize_values(rows)
    summary.check(values, places)
    _check_empty_spots(summary.totals, rows.shape[1], warn)
    recognised = cast(Values, summary.recognise())
    if values != "auto":
        if values == "counts" and recognised != "counts":
            warn(
                f"The expression is declared as counts and used as such, but looks {recognised}: it is not whole "
                "numbers, and the library size seems to be removed."
            )
        return cast(Values, values)
    if recognised == "counts" and not summary.is_whole:
        warn(
            "The expression is not whole numbers, but the library size is still in it: it is used as counts that were "
            'corrected. Pass `values="counts"` to confirm this, or `values="normalized"` or `values="log-normalized"`.'
        )
    elif recognised != "counts":
        handling = {
            "normalized": "scaled by one constant for all spots and log-transformed",
            "log-normalized": "used as it is, without another logarithm",
        }[recognised]
        warn(
            f"The expression is not counts: it was recognised as {recognised} and is {handling}; "
            + "pass "
            + ("" if summary.certain_kind() else '`values="counts"`, ')
            + '`values="normalized"` or `values="log-normalized"` to say what it is.'
        )
    return recognised


def _check_empty_spots(totals: np.ndarray, n_genes: int, warn: Callable[[str], None]) -> None:
    """Warn if some spots have no expression, and raise ``ValueError`` if more than half have none."""
    n_spots, n_empty = len(totals), int((totals == 0).sum())
    if n_empty == n_spots:
        raise ValueError(f"All {n_genes} genes are zero in all {n_spots} spots; pass the layer that holds the counts.")
    if 2 * n_empty > n_spots:
        raise ValueError(
            f"{n_empty} of {n_spots} spots have no expression at all; remove the spots outside the tissue first."
        )
    if n_empty:
        warn(
            f"{n_empty} of {n_spots} spots have no expression at all and are kept as zeros; "
            f"remove them first if they lie outside the tissue."
        )


def spot_sizes(matrix: Matrix, kind: str) -> np.ndarray:
    """Total of each spot on the linear scale, float64. ``(n_spots,)``."""
    if kind != "log-normalized":
        return summarize_values(matrix).totals
    return np.concatenate([sizes for _, sizes in row_blocks(matrix).map(lambda _, block: _sums(block.expm1()))])


def check_size_factors(
    size_factors: np.ndarray,
    totals: np.ndarray,
    kind: str = "counts",
    *,
    first_spot: int = 0,
    key: str | None = None,
    places: Places = ROWS,
) -> np.ndarray:
    """Check size factors, of the column ``key`` if it is given, against the totals; return them as float64."""
    if kind != "counts":
        raise ValueError(f"`size_factors` are given but the expression is {kind}; leave them out or pass counts.")
    factors = np.asarray(size_factors, dtype=np.float64).ravel()
    if len(factors) != len(totals):
        raise ValueError(f"`size_factors` has {len(factors)} entries for {len(totals)} spots; pass one for each.")
    bad = ~np.isfinite(factors) | (factors < 0) | ((factors == 0) & (totals > 0))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        name = "`size_factors`" if key is None else f"`adata.obs[{key!r}]` (`size_factor_key`)"
        raise ValueError(
            f"{name} is {factors[first]:g} at {places.spot(first_spot + first)}; "
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
