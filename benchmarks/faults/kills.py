"""Writing that is ended by SIGKILL: at a random moment, or before a given change to the file system."""

import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MAX_SECONDS = 300
# What the interpreter reports before it changes the file system.
_CHANGES = {"os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree", "shutil.copyfile"}


def kill_before_change(action: Callable[[], object], number: int) -> bool:
    """Run an action in a copy of this process that is killed before its n-th change to the file system.

    Changes are files opened for writing, files flushed to the disk, renames, links, new and removed files and folders,
    and the exchange of two folders.

    Parameters
    ----------
    action
        Writes something. It runs in the copy only.
    number
        Number of the change, from 1.

    Returns
    -------
    Whether the process was killed; otherwise the action has fewer changes and has ended.
    """

    def counted() -> None:
        from spotscape import _write

        left = number

        def count() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if event in _CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
                count()

        def first_counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                count()
                return function(*arguments)

            return call

        sys.addaudithook(watch)
        # Neither is reported by the interpreter.
        os.fsync = first_counted(os.fsync)
        _write.exchange = first_counted(_write.exchange)  # type: ignore[attr-defined]
        action()

    return _ended(_started(counted)) == -signal.SIGKILL


def kill_after(action: Callable[[], object], seconds: float) -> bool:
    """Run an action in a copy of this process that is killed after some seconds; return whether it was killed."""
    process = _started(action)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if os.waitpid(process, os.WNOHANG)[0]:
            return False
        time.sleep(min(0.001, seconds / 100))
    os.kill(process, signal.SIGKILL)
    return _ended(process) == -signal.SIGKILL


def outcomes_of_kills(
    action: Callable[[], object],
    outcome: Callable[[], str],
    prepare: Callable[[], object],
    n_kills: int,
    *,
    seconds: float,
    seed: int,
) -> Counter[str]:
    """Kill an action at random moments, and count what is found afterwards.

    Parameters
    ----------
    action
        Writes something.
    outcome
        Says what is found.
    prepare
        Restores what is there before the action.
    n_kills
        Number of kills. Actions that end before they are killed are not counted, and are repeated up to ten times.
    seconds
        Duration of the action. Moments are drawn from it.
    seed
        Seed of the moments.

    Returns
    -------
    Number of each outcome.
    """
    moments, found = random.Random(seed), Counter[str]()
    for _ in range(10 * n_kills):
        if found.total() == n_kills:
            break
        prepare()
        if kill_after(action, moments.uniform(0, seconds)):
            found[outcome()] += 1
    return found


def seconds_of(action: Callable[[], object]) -> float:
    """Duration of an action that runs in a copy of this process, and ends."""
    start = time.perf_counter()
    process = _started(action)
    while not (ended := os.waitpid(process, os.WNOHANG))[0]:
        if time.perf_counter() - start > _MAX_SECONDS:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.001)
    if (status := os.waitstatus_to_exitcode(ended[1])) != 0:
        raise RuntimeError(f"The action that is to be killed fails by itself or takes too long, with status {status}.")
    return time.perf_counter() - start


def _started(action: Callable[[], object]) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        action()
        status = 0
    except BaseException:  # noqa: BLE001 (the copy must not go on as if it were the process itself)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _ended(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def digest_of(folder: Path) -> dict[str, int]:
    """Hash of each visible file in a folder."""
    return {
        path.relative_to(folder).as_posix(): hash(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
