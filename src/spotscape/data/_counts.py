"""What the values of an expression matrix are: raw counts, values on a linear scale, or their logarithm."""

import warnings
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from scipy import sparse

from spotscape._validate import check_choice

# A CSR or CSC matrix or array of scipy (which has no types of its own), or a dense numpy array: spots by genes.
Matrix = Any
Values = Literal["counts", "normalized", "log-normalized"]

VALUES: tuple[Values, ...] = ("counts", "normalized", "log-normalized")

# log1p of counts per million stays below 13.9 and log2 of them below 20; a linear scale that matters exceeds it.
_LARGEST_LOG_VALUE = 20.0
# The user may know of larger logarithms, but the exponential of this is where single precision ends.
_LARGEST_BELIEVABLE = 80.0
_CHUNK = 1 << 21


def recognise_values(matrix: Matrix) -> Values:
    """Tell raw counts from normalised and from log-normalised expression.

    The rules, in this order:

    1. all stored values are whole numbers: ``"counts"``;
    2. the largest value is above 20: ``"normalized"``, because the logarithm of counts per million is below 14
       (natural) or 20 (base 2);
    3. every spot has the same total: ``"normalized"`` (proportions of a spot);
    4. otherwise ``"log-normalized"``.

    Parameters
    ----------
    matrix
        Expression of shape ``(n_spots, n_genes)``: CSR, CSC or a dense array, non-negative and finite.

    Returns
    -------
    One of ``"counts"``, ``"normalized"``, ``"log-normalized"``.
    """
    if _first_fraction(matrix) is None:
        return "counts"
    if _largest(matrix) > _LARGEST_LOG_VALUE:
        return "normalized"
    totals = spot_totals(matrix)
    totals = totals[totals > 0]
    if len(totals) > 1 and np.ptp(totals) <= 1e-3 * totals.mean():
        return "normalized"
    return "log-normalized"


def check_values(matrix: Matrix, values: str = "auto", *, check_empty: bool = True) -> Values:
    """Check an expression matrix and settle what its values are.

    Parameters
    ----------
    matrix
        Expression of shape ``(n_spots, n_genes)``: CSR, CSC or a dense array of integers or floats.
        It is neither copied nor changed.
    values
        ``"counts"`` insists on whole numbers. ``"normalized"`` (linear scale, e.g. divided by cell volume or by the
        library size) and ``"log-normalized"`` take the values as they are declared. ``"auto"`` recognises them by
        :func:`recognise_values` and warns when they are not counts.
    check_empty
        Whether spots without any expression are reported, and too many of them refused. Turned off where a few
        spots of a section that was already checked are looked at.

    Returns
    -------
    One of ``"counts"``, ``"normalized"``, ``"log-normalized"``.

    Raises
    ------
    TypeError
        If the matrix has another format or does not hold numbers.
    ValueError
        If the matrix has no spots or genes, holds negative, missing or infinite values, if more than half of its
        spots are empty, if ``values="counts"`` and a value is not whole, or if ``values="log-normalized"`` and the
        largest value cannot be a logarithm of expression.
    """
    check_choice(values, ("auto", *VALUES), "values")
    _check_format(matrix)
    _check_finite_and_positive(matrix)
    if values == "counts":
        _check_whole_numbers(matrix)
    if values == "log-normalized" and (largest := _largest(matrix)) > _LARGEST_BELIEVABLE:
        raise ValueError(
            f"The expression is declared as log-normalised but its largest value is {largest:g}, "
            f'which is no logarithm of expression; pass `values="normalized"` or the log-transformed layer.'
        )
    if check_empty:
        _check_empty_spots(matrix)
    if values != "auto":
        return values  # type: ignore[return-value]  # check_choice has narrowed it
    recognised = recognise_values(matrix)
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


def spot_totals(matrix: Matrix) -> np.ndarray:
    """Sum of every spot over its genes, float64 of shape ``(n_spots,)``."""
    return np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()


def check_size_factors(size_factors: np.ndarray | None, matrix: Matrix, kind: str) -> np.ndarray:
    """Size factor of every spot, those given or its total on the linear scale, float64 of shape ``(n_spots,)``."""
    if size_factors is None and kind == "log-normalized":
        return spot_totals(matrix.expm1() if sparse.issparse(matrix) else np.expm1(matrix))
    if size_factors is None:
        return spot_totals(matrix)
    if kind != "counts":
        raise ValueError(f"`size_factors` are given but the expression is {kind}; leave them out or pass counts.")
    factors = np.asarray(size_factors, dtype=np.float64).ravel()
    if len(factors) != matrix.shape[0]:
        raise ValueError(f"`size_factors` has {len(factors)} entries for {matrix.shape[0]} spots; pass one for each.")
    bad = ~np.isfinite(factors) | (factors < 0) | ((factors == 0) & (spot_totals(matrix) > 0))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"`size_factors` is {factors[first]:g} at spot {first}; "
            f"pass finite numbers, positive wherever a spot has counts."
        )
    return factors


def as_csr(matrix: Matrix) -> sparse.csr_matrix:
    """Matrix as CSR in which every entry is stored once; shares memory with the input where it can."""
    result = sparse.csr_matrix(matrix)
    if not result.has_canonical_format:
        # Entries stored twice would each get their own logarithm.
        result = result.copy()
        result.sum_duplicates()
    return result


def log_expression(
    matrix: sparse.csr_matrix, kind: str, factors: np.ndarray, target_sum: float, constant: float
) -> sparse.csr_matrix:
    """Log expression, float32 CSR, whose values are its own; a spot whose size factor is 0 stays zero."""
    data = matrix.data.astype(np.float32)
    if kind != "log-normalized":
        scale = np.full(matrix.shape[0], constant)
        if kind == "counts":
            scale = np.divide(target_sum, factors, out=np.zeros(len(factors)), where=factors > 0)
        data *= np.repeat(scale.astype(np.float32), np.diff(matrix.indptr))
        np.log1p(data, out=data)
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _check_format(matrix: Matrix) -> None:
    if sparse.issparse(matrix):
        if matrix.format not in ("csr", "csc"):
            raise TypeError(f"The expression is a sparse {matrix.format.upper()} matrix; convert it with `.tocsr()`.")
    elif not isinstance(matrix, np.ndarray):
        raise TypeError(
            f"The expression is a {type(matrix).__name__}; pass a scipy CSR or CSC matrix or a numpy array."
        )
    if matrix.ndim != 2:
        raise ValueError(f"The expression has {matrix.ndim} dimension(s); pass a matrix of spots by genes.")
    n_spots, n_genes = matrix.shape
    if n_spots == 0 or n_genes == 0:
        raise ValueError(f"The expression has {n_spots} spots and {n_genes} genes; pass at least one of each.")
    if matrix.dtype.kind not in "iuf":
        raise TypeError(f"The expression has dtype {matrix.dtype}; pass integers or floating-point numbers.")


def _check_finite_and_positive(matrix: Matrix) -> None:
    if matrix.dtype.kind == "u":
        return
    wrong: dict[str, list] = {"missing (NaN)": [0, None], "infinite": [0, None], "negative": [0, None]}
    for start, chunk in _chunks(matrix):
        # A NaN fails both comparisons, so that good data, the usual case, is passed in one go.
        if chunk.size == 0 or (chunk.min() >= 0 and chunk.max() < np.inf):
            continue
        for kind, found in zip(wrong, (np.isnan(chunk), np.isinf(chunk), chunk < 0), strict=True):
            if count := int(found.sum()):
                wrong[kind][0] += count
                if wrong[kind][1] is None:
                    wrong[kind][1] = _position(matrix, start, found)
    for kind, (count, position) in wrong.items():
        if count:
            raise ValueError(
                f"The expression holds {count} {kind} value(s), the first at row {position[0]}, column {position[1]}; "
                f"pass raw counts, or expression that is not centred, scaled or otherwise corrected."
            )


def _check_whole_numbers(matrix: Matrix) -> None:
    fraction = _first_fraction(matrix)
    if fraction is not None:
        raise ValueError(
            f"The expression is declared as counts but holds {fraction:g}, which is not a whole number; "
            f'pass the layer that holds the raw counts, or `values="auto"`.'
        )


def _check_empty_spots(matrix: Matrix) -> None:
    n_spots, n_empty = matrix.shape[0], int((spot_totals(matrix) == 0).sum())
    if n_empty == n_spots:
        raise ValueError(
            f"All {matrix.shape[1]} genes are zero in all {n_spots} spots; pass the layer that holds the counts."
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


def _first_fraction(matrix: Matrix) -> float | None:
    if matrix.dtype.kind in "iu":
        return None
    for _, chunk in _chunks(matrix):
        fractional = chunk != np.rint(chunk)
        if fractional.any():
            return float(chunk[fractional][0])
    return None


def _largest(matrix: Matrix) -> float:
    return max((float(chunk.max()) for _, chunk in _chunks(matrix) if chunk.size), default=0.0)


def _chunks(matrix: Matrix) -> Iterator[tuple[int, np.ndarray]]:
    """Yield views of the stored values, small enough that comparing them needs no memory worth naming."""
    array, step = (matrix.data, _CHUNK) if sparse.issparse(matrix) else (matrix, max(1, _CHUNK // matrix.shape[1]))
    for start in range(0, len(array), step):
        yield start, array[start : start + step]


def _position(matrix: Matrix, start: int, found: np.ndarray) -> tuple[int, int]:
    first = np.argwhere(found)[0]
    if not sparse.issparse(matrix):
        return start + int(first[0]), int(first[1])
    stored = start + int(first[0])
    major = int(np.searchsorted(matrix.indptr, stored, side="right")) - 1
    minor = int(matrix.indices[stored])
    return (major, minor) if matrix.format == "csr" else (minor, major)
