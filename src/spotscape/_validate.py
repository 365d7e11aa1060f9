"""Checks of arguments, each raising one sentence that names the argument, its value and what to pass instead."""

import math
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any


def check_choice(value: Any, choices: Collection[Any], name: str) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``choices``."""
    if not any(value is choice or value == choice for choice in choices):
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` is {value!r}; choose one of {allowed}.")


def check_integer(value: Any, name: str, *, minimum: int | None = None, maximum: int | None = None) -> None:
    """Raise unless ``value`` is a whole number between ``minimum`` and ``maximum``, both included."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); pass a whole number.")
    _check_range(int(value), name, minimum, maximum)


def check_number(value: Any, name: str, *, minimum: float | None = None, maximum: float | None = None) -> None:
    """Raise unless ``value`` is a finite number between ``minimum`` and ``maximum``, both included."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise TypeError(f"`{name}` is {value!r}; pass a finite number.")
    _check_range(float(value), name, minimum, maximum)


def _check_range(value: float, name: str, minimum: float | None, maximum: float | None) -> None:
    too_small = minimum is not None and value < minimum
    too_large = maximum is not None and value > maximum
    if too_small or too_large:
        bounds = [f"at least {minimum}"] if minimum is not None else []
        bounds += [f"at most {maximum}"] if maximum is not None else []
        raise ValueError(f"`{name}` is {value}; it must be {' and '.join(bounds)}.")
