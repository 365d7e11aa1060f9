"""Checks of arguments, each raising one sentence that names the argument, its value and what to pass instead."""

import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np


class Integer(NamedTuple):
    """A whole number between two bounds, both included."""

    minimum: int | None = None
    maximum: int | None = None
    optional: bool = False

    def check(self, value: Any, name: str) -> None:
        """Raise unless the value fits."""
        check_integer(value, name, minimum=self.minimum, maximum=self.maximum)


class Number(NamedTuple):
    """A finite number between two bounds, both included."""

    minimum: float | None = None
    maximum: float | None = None
    optional: bool = False

    def check(self, value: Any, name: str) -> None:
        """Raise unless the value fits."""
        check_number(value, name, minimum=self.minimum, maximum=self.maximum)


class Choice(NamedTuple):
    """One of several values."""

    choices: Collection[Any]
    optional: bool = False

    def check(self, value: Any, name: str) -> None:
        """Raise unless the value is one of them."""
        check_choice(value, self.choices, name)


class Flag(NamedTuple):
    """True or False."""

    optional: bool = False

    def check(self, value: Any, name: str) -> None:
        """Raise unless the value is one of the two."""
        check_flag(value, name)


Rule = Integer | Number | Choice | Flag


def check_arguments(values: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Check arguments by rules.

    Parameters
    ----------
    values
        Arguments by name, further ones among them.
    rules
        Rule of each argument to check. Several names that share a rule may stand in one key, separated by spaces. An
        optional argument may be ``None``.

    Raises
    ------
    TypeError, ValueError
        If an argument does not follow its rule.
    """
    for names, rule in rules.items():
        for name in names.split():
            if values[name] is not None or not rule.optional:
                rule.check(values[name], name)


def check_choice(value: Any, choices: Collection[Any], name: str) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``choices``."""
    if not any(value is choice or (isinstance(value, type(choice)) and value == choice) for choice in choices):
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` is {value!r}; choose one of {allowed}.")


def check_flag(value: Any, name: str) -> None:
    """Raise ``TypeError`` unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` is {value!r} ({type(value).__name__}); pass True or False.")


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


def checked_indices(indices: Sequence[int] | np.ndarray | None, n_spots: int) -> np.ndarray:
    """Row numbers of the spots that are asked for, all if ``None``, after a check."""
    if indices is None:
        return np.arange(n_spots)
    indices = np.asarray(indices)
    if indices.ndim != 1 or len(indices) == 0 or indices.dtype.kind not in "biu":
        raise ValueError(
            f"`indices` has shape {indices.shape} and type {indices.dtype}; pass row numbers, at least one, or a mask."
        )
    if indices.dtype == bool:
        if len(indices) != n_spots:
            raise ValueError(
                f"`indices` is a mask of length {len(indices)} for {n_spots} spots; give one value a spot."
            )
        return np.flatnonzero(indices)
    if indices.min() < 0 or indices.max() >= n_spots:
        raise ValueError(f"`indices` must lie between 0 and {n_spots - 1}; got {indices.min()} to {indices.max()}.")
    if len(np.unique(indices)) < len(indices):
        raise ValueError("`indices` names a spot more than once; give each once.")
    return indices


def _check_range(value: float, name: str, minimum: float | None, maximum: float | None) -> None:
    too_small = minimum is not None and value < minimum
    too_large = maximum is not None and value > maximum
    if too_small or too_large:
        bounds = [f"at least {minimum}"] if minimum is not None else []
        bounds += [f"at most {maximum}"] if maximum is not None else []
        raise ValueError(f"`{name}` is {value}; it must be {' and '.join(bounds)}.")
