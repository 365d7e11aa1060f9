"""Folder of the results of a run: refused if it has results, and replaced only by whole ones."""

import functools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from spotscape._write import explained, is_replaceable, locked_elsewhere, recover, whole_folder

#: File that lists the others. A folder with it has the results of a run.
RESULT = "result.json"
#: Names that a run may write, with which no file of the user may be confused.
_PICTURES = {"domains.png", "annotation.png", "embedding.png", "history.png"}
_NAMES = {
    *(RESULT, "report.html", "README.txt", "config.toml", "model", "sections.h5ad", "loupe", "xenium_explorer"),
    *("domains.csv", "markers.csv", "composition.csv", "denoised.csv", "alignment.csv", "alignment.png"),
    *_PICTURES,
}
#: What runs wrote before they listed their files.
_OLD_FILES = {RESULT, "model/model.pt", "sections.h5ad", *_PICTURES}


def into_whole_folder(analyse: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Let a function write to a temporary folder that becomes the folder of the results when all are complete.

    Parameters
    ----------
    analyse
        Function of data and a folder, which writes ``result.json`` and returns its content.

    Returns
    -------
    The same function with the further argument ``force``: whether to replace the results of an earlier run. It adds the
    names of all files to ``result.json``.
    """

    @functools.wraps(analyse)
    def write_whole_folder(adata: Any, out: str | Path, *, force: bool = False, **arguments: Any) -> dict[str, Any]:
        out = Path(out)
        check_out(out, force=force)
        # Files of the earlier run are dropped, so that none of them passes for one of this run.
        with whole_folder(out, replaced=_files_of_run(out), wait=False) as folder:
            # Another run may have ended since the first check.
            check_out(out, force=force, is_locked=True)
            with explained(out):
                result = analyse(adata, folder, **arguments)
                result["files"] = sorted({*_files_below(folder), RESULT})
                (folder / RESULT).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        return result

    return write_whole_folder


def check_out(out: Path, *, force: bool, inputs: Iterable[str | Path] = (), is_locked: bool = False) -> None:
    """Raise unless results can be written to a folder without a loss.

    Parameters
    ----------
    out
        Folder of the results.
    force
        Whether to replace the results of an earlier run.
    inputs
        Files that the run reads.
    is_locked
        Whether this process writes to the folder already.

    Raises
    ------
    FileExistsError
        If the folder has results and ``force`` is ``False``, or files that a run would replace but did not write.
    BlockingIOError
        If another run writes to the folder.
    OSError, ValueError
        If it is a file, cannot be replaced in one step, or has one of the inputs among its results.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file; choose a folder for the results.")
    if not is_locked:
        if locked_elsewhere(out):
            raise BlockingIOError(
                f"{out} is being written by another process; wait for it to end, or choose another folder."
            )
        recover(out)
    if not out.exists():
        return
    if not (out / RESULT).is_file():
        foreign = sorted(_NAMES & {entry.name for entry in out.iterdir()})
        if foreign:
            raise FileExistsError(
                f"{out} has {foreign[0]!r} but no {RESULT}, so no complete run wrote it; choose another folder."
            )
        return
    if not force:
        raise FileExistsError(
            f"{out} has the results of an earlier run; pass --force to replace them, or choose another folder."
        )
    if not is_replaceable(out):
        raise OSError(
            f"{out} is the current folder, a mount point or in a read-only folder, so its results cannot be replaced "
            "in one step; choose a folder in it."
        )
    old = _files_of_run(out)
    for path in map(Path, inputs):
        real = Path(os.path.realpath(path))
        if real.is_relative_to(os.path.realpath(out)) and real.relative_to(os.path.realpath(out)).as_posix() in old:
            raise ValueError(f"{path} is one of the results that the run would replace; choose another folder.")


def _files_of_run(out: Path) -> set[str]:
    """Files in a folder that an earlier run wrote, relative to it."""
    try:
        listed = json.loads((out / RESULT).read_text(encoding="utf-8"))["files"]
        return {str(name) for name in listed}
    except (KeyError, TypeError):
        return set(_OLD_FILES)
    except (OSError, ValueError):
        return set()


def _files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
