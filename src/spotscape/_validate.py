"""Argument checks: each error names the argument and its value in one sentence, and says what to pass instead."""

import math
from collections.abc import Collection, Iterable
from numbers import Integral, Real
from typing import Any


def check_choice(value: Any, choices: Collection[Any], name: str) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``choices``."""
    if not any(value is choice or value == choice for choice in choices):
        raise ValueError(f"`{name}` is {value!r}; choose one of {_listed(choices)}.")


def check_integer(value: Any, name: str, *, minimum: int | None = None, maximum: int | None = None) -> None:
    """Raise unless ``value`` is a whole number from ``minimum`` to ``maximum``, both included."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); pass a whole number.")
    _check_range(int(value), name, minimum, maximum)


def check_number(value: Any, name: str, *, minimum: float | None = None, maximum: float | None = None) -> None:
    """Raise unless ``value`` is a finite number from ``minimum`` to ``maximum``, both included."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise TypeError(f"`{name}` is {value!r}; pass a finite number.")
    _check_range(float(value), name, minimum, maximum)


def check_positive(value: Any, name: str) -> None:
    """Raise unless ``value`` is a finite number above 0."""
    check_number(value, name)
    if value <= 0:
        raise ValueError(f"`{name}` is {value}; it must be positive.")


def check_name(value: Any, name: str, what: str) -> None:
    """Raise ``TypeError`` unless ``value`` is a text that can name ``what``, such as "a column of `adata.obs`"."""
    if not isinstance(value, str) or not value:
        raise TypeError(f"`{name}` is {value!r}; pass the name of {what}.")


def check_present(value: Any, name: str, available: Iterable[Any], where: str) -> None:
    """Raise ``KeyError`` unless ``value`` is a key in ``available``, which users know as ``where``."""
    if value not in available:
        raise KeyError(f"`{name}` is {value!r}, which is not in `{where}`; available: {_listed(available) or 'none'}.")


def _check_range(value: float, name: str, minimum: float | None, maximum: float | None) -> None:
    too_small = minimum is not None and value < minimum
    too_large = maximum is not None and value > maximum
    if too_small or too_large:
        bounds = [f"at least {minimum}"] if minimum is not None else []
        bounds += [f"at most {maximum}"] if maximum is not None else []
        raise ValueError(f"`{name}` is {value}; it must be {' and '.join(bounds)}.")


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(repr, values))
