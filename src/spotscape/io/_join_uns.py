"""Joining the unstructured entries of sections: images by slice, colours by category, others if they agree."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

#: Entries of ``uns`` with one part a slice.
_BY_SLICE = ("spatial", "spatial_units")


def by_slice(section: AnnData, key: str, slices: list[str]) -> None:
    """Rename the only entry of ``uns[key]`` after the slice of the section; give it to each if there are several."""
    stored = section.uns.get(key)
    if not isinstance(stored, Mapping) or len(stored) != 1 or set(stored) & set(slices):
        return
    (entry,) = stored.values()
    section.uns[key] = dict.fromkeys(slices, entry)


def join_uns(sections: Sequence[AnnData], files: Sequence[str], obs: pd.DataFrame) -> dict[str, Any]:
    """Join ``uns``.

    Parameters
    ----------
    sections
        Sections, with ``uns["spatial"]`` by slice.
    files
        Files, for messages.
    obs
        Joined columns of the spots.

    Returns
    -------
    Images and units of all slices, the colours of the joined categories, and the entries that are the same in all
    files that have them.

    Warns
    -----
    UserWarning
        If other entries are left out, with their names.
    """
    joined: dict[str, Any] = {}
    lost = []
    for key in dict.fromkeys(key for section in sections for key in section.uns):
        # Set-up of scvi-tools is registered for one AnnData, and done again for the joined one.
        if key.startswith("_scvi"):
            continue
        there = [(section, file) for section, file in zip(sections, files, strict=True) if key in section.uns]
        if key in _BY_SLICE and all(isinstance(section.uns[key], Mapping) for section, _ in there):
            joined[key] = _joined_libraries(there, key)
        elif key.endswith("_colors") and key.removesuffix("_colors") in obs:
            colors = _joined_colors(there, key, obs[key.removesuffix("_colors")])
            if colors is not None:
                joined[key] = colors
            else:
                lost.append(key)
        elif all(_same(section.uns[key], there[0][0].uns[key]) for section, _ in there[1:]):
            joined[key] = there[0][0].uns[key]
        else:
            lost.append(key)
    if lost:
        warnings.warn(
            f"Entries of `uns` that differ between {', '.join(files[:3])}{' ...' if len(files) > 3 else ''} are left "
            f"out: {', '.join(map(repr, lost))}.",
            UserWarning,
            stacklevel=4,
        )
    _warn_of_units(joined.get("spatial_units", {}))
    return joined


def _joined_libraries(there: list[tuple[AnnData, str]], key: str) -> dict[str, Any]:
    libraries: dict[str, Any] = {}
    for section, file in there:
        for name, entry in section.uns[key].items():
            if name in libraries and not _same(libraries[name], entry):
                raise ValueError(
                    f"`uns[{key!r}]` has the entry {name!r} in more than one file, with other contents in {file}; name "
                    "the entries of each file after its slices."
                )
            libraries[name] = entry
    return libraries


def _joined_colors(there: list[tuple[AnnData, str]], key: str, column: pd.Series) -> list[str] | None:
    """One colour a category; the first file that has a category decides. ``None`` if a category has none."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return None
    colors: dict[str, str] = {}
    for section, _ in there:
        own = section.obs.get(key.removesuffix("_colors"))
        own = own.astype("category") if own is not None else pd.Series(dtype="category")
        if len(own.cat.categories) != len(section.uns[key]):
            return None
        for category, color in zip(own.cat.categories, section.uns[key], strict=True):
            colors.setdefault(str(category), str(color))
    missing = [category for category in column.cat.categories if category not in colors]
    return None if missing else [colors[category] for category in column.cat.categories]


def _warn_of_units(units: Mapping[str, Any]) -> None:
    names: dict[str, str] = {}
    for name, entry in units.items():
        names.setdefault(str(entry.get("unit", "unknown")), name)
    if len(names) > 1:
        listed = ", ".join(f"{unit} (slice {name!r})" for unit, name in names.items())
        warnings.warn(
            f"Coordinates are in different units: {listed}; multiply them by `micrometres_per_unit` of "
            "`uns['spatial_units']` before you compare distances between slices.",
            UserWarning,
            stacklevel=5,
        )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, pd.DataFrame | pd.Series) or isinstance(other, pd.DataFrame | pd.Series):
        return type(one) is type(other) and one.equals(other)
    if hasattr(one, "toarray") or hasattr(other, "toarray"):
        return False
    try:
        return bool(np.array_equal(np.asarray(one), np.asarray(other)))
    except (TypeError, ValueError):
        return False
