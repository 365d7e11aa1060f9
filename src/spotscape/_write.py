"""Writing: a file or folder is replaced by a whole one in one step, or stays as it was.

Content is written to a temporary folder beside its target, flushed to the disk, and renamed. A process that is killed
at any moment therefore leaves the old or the new content under the name of the target. What it leaves beside the target
is removed by the next process that writes there.
"""

import glob
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spotscape._write_system import exchange, is_full, try_lock

_POLL_SECONDS = 0.05
_UNFINISHED, _ASIDE, _LOCK = ".unfinished", ".aside", ".lock"
# How torch and h5py report that the system refused to write; neither raises an OSError then.
_SIGNS_OF_FAILED_WRITING = ("enforce fail", "PytorchStreamWriter", "No space left", "errno", "Unable to ", "Can't ")


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Replace a file in one step when the block ends without an error.

    Parameters
    ----------
    path
        File to write. Its folder is created if it does not exist.

    Yields
    ------
    Path to write to: a file of the same name in a temporary folder beside the target.

    Raises
    ------
    OSError
        If the file cannot be written. The old file stays.
    """
    target = _real(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; pass the path of a file.")
    with explained(target):
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError("the file is read-only")
        target.parent.mkdir(parents=True, exist_ok=True)
    with (
        _locked(target.parent, target.name, target, wait=True) as alone,
        _staging(target.parent, target, alone=alone) as folder,
    ):
        written = folder / target.name
        with explained(target):
            yield written
            if target.exists():
                shutil.copymode(target, written)
            _flush(folder)
            os.replace(written, target)
            _flush_entry(target.parent)


@contextmanager
def whole_folder(path: str | Path, *, replaced: Collection[str] | None = None, wait: bool = True) -> Iterator[Path]:
    """Replace a folder in one step when the block ends without an error.

    Files in the old folder that are not replaced are carried over as hard links, or as copies where there are none.

    Parameters
    ----------
    path
        Folder to write. Its parents are created if they do not exist.
    replaced
        Files of the old folder, relative to it, that are dropped. ``None``: those of which there is a new one. A file
        that is not dropped, and of which there is a new one, gets the ending ``.old``.
    wait
        Whether to wait for another process that writes this folder, or to raise an error.

    Yields
    ------
    Temporary folder to write to, on the same file system.

    Raises
    ------
    OSError
        If another process writes the folder, or it cannot be written. The old folder stays.
    """
    target = _real(path)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file; pass a folder.")
    with explained(target):
        base = _base(target)
        base.mkdir(parents=True, exist_ok=True)
    with _locked(base, target.name, target, wait=wait) as alone:
        _recover(target)
        with _staging(base, target, alone=alone) as folder:
            yield folder
            with explained(target):
                if base == target:
                    _move_entries(folder, target)
                else:
                    _replace_folder(folder, target, replaced)


@contextmanager
def locked(path: str | Path, *, wait: bool = True) -> Iterator[None]:
    """Exclude other processes and threads that write a folder with :func:`whole_folder` or this function.

    Parameters
    ----------
    path
        Folder, which need not exist.
    wait
        Whether to wait for the others, or to raise an error.

    Raises
    ------
    BlockingIOError
        If another process writes the folder and ``wait`` is ``False``.
    """
    target = _real(path)
    with explained(target):
        base = _base(target)
        base.mkdir(parents=True, exist_ok=True)
    with _locked(base, target.name, target, wait=wait):
        _recover(target)
        yield


def recover(path: str | Path) -> None:
    """Put a folder back that a killed process had moved aside, on systems that cannot exchange two folders."""
    target = _real(path)
    if not target.exists() and _aside(target).is_dir():
        with locked(target):
            pass


def locked_elsewhere(path: str | Path) -> bool:
    """Whether another process writes a folder at the moment."""
    target = _real(path)
    try:
        descriptor = os.open(_base(target) / f".{target.name}{_LOCK}", os.O_RDWR)
    except OSError:
        return False
    try:
        return try_lock(descriptor) is False
    finally:
        os.close(descriptor)


class NotWrittenError(OSError):
    """Writing failed; ``reason`` says why."""

    reason = ""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of writing into an ``OSError`` of one sentence that says why, and that nothing was changed."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, BlockingIOError):
            raise
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in _SIGNS_OF_FAILED_WRITING):
            raise
        kept = "what was there is unchanged" if path.exists() else "nothing was written"
        reason = "the disk is full" if is_full(error, path) else _reason(error)
        shown = NotWrittenError(f"{path} could not be written ({reason}); {kept}. Make room or choose another place.")
        shown.errno, shown.reason = getattr(error, "errno", None), reason
        raise shown from error


def is_replaceable(path: str | Path) -> bool:
    """Whether a folder can be exchanged for another: not the current folder, a mount point, or in a read-only one."""
    target = _real(path)
    return _base(target) != target


# ------------------------------------------------------------------------------------------------ temporary folders


def _real(path: str | Path) -> Path:
    """Absolute path without links, so that a link stays a link and its target is replaced."""
    return Path(os.path.realpath(path))


def _base(target: Path) -> Path:
    """Folder for temporary folders and the lock: the parent, or the target itself if it cannot be renamed."""
    if not target.is_dir():
        return target.parent
    fixed = os.path.ismount(target) or target == Path(os.path.realpath(os.curdir))
    return target if fixed or not os.access(target.parent, os.W_OK | os.X_OK) else target.parent


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}{_ASIDE}")


@contextmanager
def _staging(base: Path, target: Path, *, alone: bool) -> Iterator[Path]:
    """Temporary folder. Those that killed processes left are removed first, if no other process can be writing."""
    if alone:
        for stale in base.glob(f".{glob.escape(target.name)}.*{_UNFINISHED}"):
            shutil.rmtree(stale, ignore_errors=True)
    folder = base / f".{target.name}.{secrets.token_hex(4)}{_UNFINISHED}"
    with explained(target):
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_ours(name: str) -> bool:
    return name.startswith(".") and name.endswith((_UNFINISHED, _LOCK))


@contextmanager
def _locked(base: Path, name: str, target: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock file of a target; tell whether that excludes others, which some file systems do not offer.

    The file is removed when the lock is released, so a lock counts only if the file is still there.
    """
    path = base / f".{name}{_LOCK}"
    while True:
        with explained(target):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        held = try_lock(descriptor)
        if held is None or (held and _is_at(descriptor, path)):
            break
        os.close(descriptor)
        if not wait and path.exists():
            raise BlockingIOError(
                f"{target} is being written by another process; wait for it to end, or choose another folder."
            )
        time.sleep(_POLL_SECONDS)
    try:
        yield held is not None
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


# ---------------------------------------------------------------------------------------------- moving into place


def _replace_folder(folder: Path, target: Path, replaced: Collection[str] | None) -> None:
    """Put a new folder in the place of the target, with the files of the old one that are not replaced."""
    if not target.exists():
        _flush(folder)
        os.rename(folder, target)
        _flush_entry(target.parent)
        return
    shutil.copymode(target, folder)
    _carry_over(target, folder, replaced)
    _flush(folder)
    if exchange(folder, target):
        _flush_entry(target.parent)
        # Other programs may have written to the old folder in the meantime.
        _carry_over(folder, target, replaced)
        return
    aside = _aside(target)
    os.rename(target, aside)
    try:
        os.rename(folder, target)
    except OSError:
        os.rename(aside, target)
        raise
    _flush_entry(target.parent)
    _carry_over(aside, target, replaced)
    shutil.rmtree(aside, ignore_errors=True)


def _move_entries(folder: Path, target: Path) -> None:
    """Move new files one by one into a folder that cannot be renamed; ``result.json`` last, as a mark of completion."""
    names = sorted((entry.name for entry in folder.iterdir()), key=lambda name: name == "result.json")
    there = [name for name in names if (target / name).exists()]
    if there:
        raise OSError(
            f"it has {there[0]!r}, and as a mount point, the current folder or a folder in a read-only one it cannot "
            "be replaced in one step"
        )
    _flush(folder)
    for name in names:
        os.rename(folder / name, target / name)
    _flush_entry(target)


def _carry_over(old: Path, new: Path, replaced: Collection[str] | None) -> None:
    """Link, or copy, files of the old folder into the new one."""
    for parent, folders, files in os.walk(old):
        folders[:] = [name for name in folders if not _is_ours(name)]
        place = Path(parent).relative_to(old)
        if not folders and not files and place.parts:
            (new / place).mkdir(parents=True, exist_ok=True)
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in [*(name for name in files if not _is_ours(name)), *links]:
            source, destination = Path(parent) / name, new / place / name
            if replaced is not None and (place / name).as_posix() in replaced:
                continue
            if os.path.lexists(destination):
                if replaced is None or source.lstat().st_ino == destination.lstat().st_ino:
                    continue
                destination = destination.with_name(f"{name}.old")
                if os.path.lexists(destination):
                    continue
            destination.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, destination, follow_symlinks=False)
            except OSError:
                shutil.copy2(source, destination, follow_symlinks=False)


def _recover(target: Path) -> None:
    """Undo what a process left that was killed between two renames. Needs the lock."""
    aside = _aside(target)
    if not aside.is_dir():
        return
    if target.exists():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        os.rename(aside, target)


def _flush(folder: Path) -> None:
    """Write a folder and everything in it to the disk."""
    for parent, _, files in os.walk(folder):
        for name in files:
            path = Path(parent) / name
            if not path.is_symlink():
                _flush_entry(path)
        _flush_entry(Path(parent))


def _flush_entry(path: Path) -> None:
    # Some systems cannot open folders, and some network file systems refuse to flush them.
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _reason(error: BaseException) -> str:
    text = (
        getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    )
    return text.splitlines()[0][:150].rstrip(".")
