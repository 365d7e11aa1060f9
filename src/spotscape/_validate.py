"""Argument checks: each error names the argument and its value in one sentence, and says what to pass instead."""

import inspect
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np

MAX_SEED = 2**32 - 1
_MAX_SHOWN = 100
_MAX_LISTED = 12
# Beyond these, the search for a similar name would take seconds.
_MAX_SEARCHED = 50_000

#: What an argument has to be: a function of its value and its name that raises unless the value fits.
Rule = Callable[[Any, str], None]


def integer(minimum: int, maximum: int | None = None) -> Rule:
    """A whole number from ``minimum`` to ``maximum``, both included."""
    return partial(check_integer, minimum=minimum, maximum=maximum)


def number(minimum: float, maximum: float | None = None) -> Rule:
    """A finite number from ``minimum`` to ``maximum``, both included."""
    return partial(check_number, minimum=minimum, maximum=maximum)


def share_above_zero(value: Any, name: str) -> None:
    """Raise unless ``value`` is a number above 0, at most 1."""
    check_number(value, name, maximum=1)
    check_positive(value, name)


def choice(choices: Collection[Any]) -> Rule:
    """One of several values."""
    return lambda value, name: check_choice(value, choices, name)


def optional(rule: Rule) -> Rule:
    """``None``, or what another rule demands."""
    return lambda value, name: None if value is None else rule(value, name)


def check_arguments(values: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    """Check several arguments, each by its rule.

    Parameters
    ----------
    values
        Arguments by name. Arguments without a rule are not checked.
    rules
        Rule of each argument. A key may be several names separated by spaces.

    Raises
    ------
    TypeError, ValueError
        If an argument violates its rule.
    """
    for names, rule in rules.items():
        for name in names.split():
            rule(values[name], name)


def shown(value: Any) -> str:
    """A value as error messages show it: its text if that is short, otherwise its type."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN and "\n" not in text else f"of type {type(value).__name__}"


def numeric_array(value: Any, name: str) -> np.ndarray:
    """Return ``value`` as an array, and raise ``ValueError`` unless it has real numbers."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"`{name}` is {shown(value)}, of type {array.dtype}; pass numbers.")
    return array


def check_mapping(value: Any, name: str) -> None:
    """Raise ``TypeError`` unless ``value`` maps the names of arguments to their values."""
    if not isinstance(value, Mapping):
        raise TypeError(f"`{name}` is {shown(value)}; pass a dictionary of arguments.")


def check_choice(value: Any, choices: Collection[Any], name: str) -> None:
    """Raise ``ValueError`` unless ``value`` is one of ``choices``."""
    if not any(value is choice or (isinstance(value, type(choice)) and value == choice) for choice in choices):
        raise ValueError(f"`{name}` is {shown(value)}; choose one of {_listed(choices)}.")


def check_flag(value: Any, name: str) -> None:
    """Raise ``TypeError`` unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` is {shown(value)} ({type(value).__name__}); pass True or False.")


def check_integer(value: Any, name: str, *, minimum: int | None = None, maximum: int | None = None) -> None:
    """Raise unless ``value`` is a whole number from ``minimum`` to ``maximum``, both included."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` is {shown(value)} ({type(value).__name__}); pass a whole number.")
    _check_range(int(value), name, minimum, maximum)


def check_number(value: Any, name: str, *, minimum: float | None = None, maximum: float | None = None) -> None:
    """Raise unless ``value`` is a finite number from ``minimum`` to ``maximum``, both included."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise TypeError(f"`{name}` is {shown(value)}; pass a finite number.")
    _check_range(float(value), name, minimum, maximum)


def check_positive(value: Any, name: str) -> None:
    """Raise unless ``value`` is a finite number above 0."""
    check_number(value, name)
    if value <= 0:
        raise ValueError(f"`{name}` is {value}; it must be positive.")


def check_name(value: Any, name: str, what: str) -> None:
    """Raise ``TypeError`` unless ``value`` is a non-empty string, the name of ``what``."""
    if not isinstance(value, str) or not value:
        raise TypeError(f"`{name}` is {shown(value)}; pass the name of {what}.")


def check_text(value: Any, name: str) -> None:
    """Raise ``TypeError`` unless ``value`` is a text."""
    if not isinstance(value, str):
        raise TypeError(f"`{name}` is {shown(value)} ({type(value).__name__}); pass a text.")


def check_replaceable(adata: Any, key: str, name: str, own: str) -> None:
    """Raise ``ValueError`` if a column is not of an earlier result, but what the user has stored.

    The column ``own`` is that of the function by default, also where its entry in ``uns`` was lost, as by concatenation
    of slices.
    """
    if key in adata.obs and key != own and not isinstance(adata.uns.get(key), Mapping):
        raise ValueError(
            f"`{name}` is {key!r}, and `adata.obs[{key!r}]` is no earlier result, so it would be lost; pass another "
            "name, or remove it first."
        )


def is_key(value: Any, available: Collection[Any]) -> bool:
    """Whether a value is one of the keys, also if it cannot be one."""
    return isinstance(value, Hashable) and value in available


def check_seed(value: Any, name: str) -> None:
    """Raise unless ``value`` is a seed that every generator of random numbers takes."""
    check_integer(value, name, minimum=0, maximum=MAX_SEED)


def check_present(value: Any, name: str, available: Iterable[Any], where: str) -> None:
    """Raise ``KeyError`` unless ``value`` is in ``available``, which ``where`` names in code or with "the"."""
    if not isinstance(value, Hashable) or value not in available:
        raise KeyError(f"`{name}` is {shown(value)}, which is not in {_place(where)}; {_advice(value, available)}.")


def unknown_argument(method: Callable[..., Any], name: str, further: Iterable[str] = ()) -> TypeError:
    """The error for an argument that a method does not have, with those it has and the further ones it passes on."""
    named = [key for key, one in inspect.signature(method).parameters.items() if one.kind is not one.VAR_KEYWORD]
    arguments = named if get_close_matches(name, named) else [*named, *sorted(further)]
    return TypeError(f"`{method.__name__}` has no argument {name!r}; {_advice(name, arguments)}.")


def checked_names(value: Any, name: str, available: Iterable[Any], where: str) -> list[str]:
    """Return one or several names as a list of texts, and raise unless there is one and all are in ``available``."""
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    names = [str(one) for one in (value if several else [value])]
    if not names:
        raise ValueError(f"`{name}` is empty; pass one or several of {_place(where)}.")
    for one in names:
        check_present(one, name, available, where)
    return names


def checked_indices(indices: Sequence[int] | np.ndarray | None, n_spots: int, *, distinct: bool = True) -> np.ndarray:
    """Check the requested spots, and return their row numbers; all rows if ``None``."""
    if indices is None:
        return np.arange(n_spots)
    given, indices = indices, np.asarray(indices)
    if indices.ndim != 1 or len(indices) == 0 or indices.dtype.kind not in "biu":
        raise ValueError(
            f"`indices` is {shown(given)}, of shape {indices.shape} and type {indices.dtype}; pass row numbers of some "
            "spots, or a mask."
        )
    if indices.dtype == bool:
        if len(indices) != n_spots or not indices.any():
            raise ValueError(
                f"`indices` is a mask of length {len(indices)} with {indices.sum()} spot(s), for {n_spots} spots; pass "
                "one value per spot, True for at least one."
            )
        return np.flatnonzero(indices)
    low, high = indices.min(), indices.max()
    if low < 0 or high >= n_spots:
        raise ValueError(f"`indices` ranges from {low} to {high}; pass row numbers between 0 and {n_spots - 1}.")
    if distinct and len(np.unique(indices)) < len(indices):
        raise ValueError(f"`indices` is {shown(given)}, with a spot more than once; pass each spot once.")
    return indices


def _check_range(value: float, name: str, minimum: float | None, maximum: float | None) -> None:
    too_small = minimum is not None and value < minimum
    too_large = maximum is not None and value > maximum
    if too_small or too_large:
        bounds = [f"at least {minimum}"] if minimum is not None else []
        bounds += [f"at most {maximum}"] if maximum is not None else []
        raise ValueError(f"`{name}` is {value}; it must be {' and '.join(bounds)}.")


def _advice(value: Any, keys: Iterable[Any]) -> str:
    """The keys of which one may have been meant, all of them if there are few."""
    # Newer AnnData lists `X` among the layers, under no name.
    available = [key for key in keys if key is not None]
    names = [key for key in available if isinstance(key, str)]
    searched = isinstance(value, str) and len(names) <= _MAX_SEARCHED
    close = get_close_matches(value, names, n=1) if searched else []
    if len(available) > _MAX_LISTED:
        listed = f"{_listed(available[:_MAX_LISTED])} and {len(available) - _MAX_LISTED} more"
    else:
        listed = _listed(available) or "none"
    return f"did you mean {close[0]!r}? available: {listed}" if close else f"available: {listed}"


def _place(where: str) -> str:
    return where if where.startswith("the ") else f"`{where}`"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(repr, values))
