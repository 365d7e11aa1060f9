"""What the values of an expression matrix are: raw counts, values on a linear scale, or their logarithm."""

import warnings
from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy import sparse

from spotscape._validate import check_choice

Values = Literal["counts", "normalized", "log-normalized"]

VALUES: tuple[Values, ...] = ("counts", "normalized", "log-normalized")

# log1p of counts per million stays below 13.9 and log2 of them below 20; a linear scale that matters exceeds it.
_LARGEST_LOG_VALUE = 20.0
_CHUNK = 1 << 21


def recognise_values(matrix: np.ndarray | sparse.spmatrix) -> Values:
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
    if max(float(chunk.max()) for _, chunk in _chunks(matrix)) > _LARGEST_LOG_VALUE:
        return "normalized"
    totals = spot_totals(matrix)
    totals = totals[totals > 0]
    if len(totals) > 1 and np.ptp(totals) <= 1e-3 * totals.mean():
        return "normalized"
    return "log-normalized"


def check_values(matrix: np.ndarray | sparse.spmatrix, values: str = "auto", *, check_empty: bool = True) -> Values:
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
        spots are empty, or if ``values="counts"`` and a value is not whole.
    """
    check_choice(values, ("auto", *VALUES), "values")
    _check_format(matrix)
    _check_finite_and_positive(matrix)
    if values == "counts":
        _check_whole_numbers(matrix)
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


def spot_totals(matrix: np.ndarray | sparse.spmatrix) -> np.ndarray:
    """Sum of every spot over its genes, float64 of shape ``(n_spots,)``."""
    return np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()


def _check_format(matrix: np.ndarray | sparse.spmatrix) -> None:
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


def _check_finite_and_positive(matrix: np.ndarray | sparse.spmatrix) -> None:
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
                f"The expression holds {count} {kind} value(s), the first at (row {position[0]}, column {position[1]}); "
                f"pass raw counts, or expression that is not centred, scaled or otherwise corrected."
            )


def _check_whole_numbers(matrix: np.ndarray | sparse.spmatrix) -> None:
    fraction = _first_fraction(matrix)
    if fraction is not None:
        raise ValueError(
            f"The expression is declared as counts but holds {fraction:g}, which is not a whole number; "
            f'pass the layer that holds the raw counts, or `values="auto"`.'
        )


def _check_empty_spots(matrix: np.ndarray | sparse.spmatrix) -> None:
    n_spots, n_empty = matrix.shape[0], int((spot_totals(matrix) == 0).sum())
    if n_empty == n_spots:
        raise ValueError(f"All {matrix.shape[1]} genes are zero in all {n_spots} spots; pass the layer with the counts.")
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


def _first_fraction(matrix: np.ndarray | sparse.spmatrix) -> float | None:
    if matrix.dtype.kind in "iu":
        return None
    for _, chunk in _chunks(matrix):
        fractional = chunk != np.rint(chunk)
        if fractional.any():
            return float(chunk[fractional][0])
    return None


def _chunks(matrix: np.ndarray | sparse.spmatrix) -> Iterator[tuple[int, np.ndarray]]:
    """Views of the stored values, small enough that comparing them needs no memory worth naming."""
    array, step = (matrix.data, _CHUNK) if sparse.issparse(matrix) else (matrix, max(1, _CHUNK // matrix.shape[1]))
    for start in range(0, len(array), step):
        yield start, array[start : start + step]


def _position(matrix: np.ndarray | sparse.spmatrix, start: int, found: np.ndarray) -> tuple[int, int]:
    first = np.argwhere(found)[0]
    if not sparse.issparse(matrix):
        return start + int(first[0]), int(first[1])
    stored = start + int(first[0])
    major = int(np.searchsorted(matrix.indptr, stored, side="right")) - 1
    minor = int(matrix.indices[stored])
    return (major, minor) if matrix.format == "csr" else (minor, major)
