"""Calls to the operating system that writing needs: exchange of two folders, locks, and full disks."""

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

_AT_CURRENT_FOLDER = -100
_EXCHANGE_ON_LINUX = 2
_SWAP_ON_MACOS = 2
_NOT_OFFERED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NEARLY_NOTHING = 2**16


def exchange(first: Path, second: Path) -> bool:
    """Exchange two paths in one step. ``False``, and nothing done, where the system or the file system cannot."""
    call = _exchange_call()
    if call is None:
        return False
    if call(os.fsencode(first), os.fsencode(second)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_OFFERED:
        return False
    raise OSError(number, os.strerror(number), str(second))


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file against other processes and threads.

    Returns
    -------
    ``False`` if another one holds it, ``None`` if the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES) else None
    return True


def is_full(error: BaseException, path: Path) -> bool:
    """Whether an error of writing comes from a full disk, also where a library does not pass on the error number."""
    if getattr(error, "errno", None) in _FULL or "No space left" in str(error):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return False
    there = next((place for place in (path, *path.parents) if place.exists()), path)
    try:
        return shutil.disk_usage(there).free < _NEARLY_NOTHING
    except OSError:
        return False


@cache
def _exchange_call() -> Callable[[bytes, bytes], int] | None:
    if sys.platform == "win32":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        renameat2 = library.renameat2
        return lambda first, second: renameat2(
            _AT_CURRENT_FOLDER, first, _AT_CURRENT_FOLDER, second, _EXCHANGE_ON_LINUX
        )
    if hasattr(library, "renamex_np"):
        return lambda first, second: library.renamex_np(first, second, _SWAP_ON_MACOS)
    return None
