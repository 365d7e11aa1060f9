"""Paths that the user passes, and the slice that each is named after."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spotscape._validate import shown

#: Folders and files that have the same name in every output, so that the folder above names the slice.
_SAME_EVERYWHERE = re.compile(r"outs|binned_outputs|square_\d+um|(filtered|raw)_feature_bc_matrix|cell_feature_matrix")
_SUFFIXES = (".h5ad.gz", ".h5ad", ".h5mu", ".zarr", ".h5")


def list_paths(paths: Any) -> list[Path]:
    """Paths from one path or several, with ``~`` replaced by the home folder.

    Parameters
    ----------
    paths
        A path as text or ``Path``, or several.

    Returns
    -------
    The paths, at least one.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    TypeError
        If something else was passed.
    ValueError
        If there is no path.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    # The keys of a dict and the columns of a table would be taken for paths.
    elif isinstance(paths, Mapping | bytes) or hasattr(paths, "columns") or not isinstance(paths, Iterable):
        raise TypeError(f"`paths` is {shown(paths)} ({type(paths).__name__}); pass one path, or a list of paths.")
    checked = [_checked_path(path) for path in paths]
    if not checked:
        raise ValueError(
            "`paths` is [], without a path; pass at least one, or check the folder and pattern of the search for files."
        )
    return checked


def name_slices(paths: Iterable[Path]) -> list[str]:
    """Name of the slice in each file: the stem, or where stems tie, the nearest folder that tells them apart."""
    parts = [_telling_parts(path) for path in paths]
    names = [part[-1] for part in parts]
    tied = [i for i, name in enumerate(names) if names.count(name) > 1]
    depth = max(map(len, parts))
    for level in range(2, depth + 1):
        above = {i: parts[i][-min(level, len(parts[i]))] for i in tied}
        renamed = [above.get(i, name) for i, name in enumerate(names)]
        if len(set(renamed)) == len(renamed):
            return renamed
    for level in range(2, depth + 1):
        renamed = ["_".join(parts[i][-level:]) if i in tied else name for i, name in enumerate(names)]
        if len(set(renamed)) == len(renamed):
            return renamed
    return names


def _checked_path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"`paths` contains {shown(path)} ({type(path).__name__}); pass paths as text or `Path`.")
    if re.match(r"[a-z][a-z0-9]+://", str(path)):
        raise ValueError(f"{path} is an address on the internet; download it, and pass the path of the local file.")
    if not str(path):
        raise ValueError("`paths` contains '', an empty text; pass the path of a file or folder.")
    checked = Path(os.path.expanduser(path))
    if not checked.exists():
        pattern = "list the files that fit it with `pathlib.Path.glob`" if "*" in str(path) else "check the path"
        raise FileNotFoundError(f"There is no file {path}; {pattern}.")
    return checked


def _telling_parts(path: Path) -> list[str]:
    """Names of the folders above a file and its stem, without those that all outputs share."""
    absolute = Path(os.path.abspath(path))
    suffix = next((suffix for suffix in _SUFFIXES if absolute.name.endswith(suffix)), "")
    names = [*absolute.parent.parts[1:], absolute.name.removesuffix(suffix) or absolute.name]
    telling = [name for name in names if not _SAME_EVERYWHERE.fullmatch(name)]
    return telling or names or ["slice"]
