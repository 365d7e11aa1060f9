"""Processes that are ended when they take too long or too much memory."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.stages import GIB

_SECONDS_BETWEEN_LOOKS = 0.1
_LOOKS_BETWEEN_REPORTS = 10
FINISHED = "finished"
OUT_OF_TIME = "did not finish: time"
OUT_OF_MEMORY = "did not finish: memory"


@dataclass(frozen=True)
class Outcome:
    """How a process ended."""

    status: str
    seconds: float
    gib: float


def run_limited(
    command: Sequence[str],
    *,
    log: Path,
    max_seconds: float | None = None,
    max_gib: float | None = None,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[float, float], None] | None = None,
) -> Outcome:
    """Run a command with its children, and end them all when they are over a limit.

    The resident memory is limited, not the address space: libraries reserve many times what they use.

    Parameters
    ----------
    command
        Program and arguments.
    log
        File that all output is written to.
    max_seconds, max_gib
        Limits of time and of the resident memory of all its processes. ``None``: none.
    environment
        Variables that are added to those of this process.
    watch
        Called every second or so with the seconds and GiB so far.

    Returns
    -------
    Status, seconds and the largest memory that was seen. The status is :data:`FINISHED`, :data:`OUT_OF_TIME`,
    :data:`OUT_OF_MEMORY`, or ``"failed: "`` with the last line of the output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start, largest, status, n_looks = time.perf_counter(), 0.0, None, 0
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | dict(environment or {}),
            # A group of its own, whose number is that of the process: so its children are found, and ended with it.
            start_new_session=True,
        )
        try:
            while process.poll() is None and status is None:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                seconds, gib = time.perf_counter() - start, group_gib(process.pid)
                largest, n_looks = max(largest, gib), n_looks + 1
                if watch is not None and n_looks % _LOOKS_BETWEEN_REPORTS == 0:
                    watch(seconds, gib)
                if max_gib is not None and gib > max_gib:
                    status = OUT_OF_MEMORY
                elif max_seconds is not None and seconds > max_seconds:
                    status = OUT_OF_TIME
        finally:
            _end_group(process)
    if status is None:
        status = FINISHED if process.returncode == 0 else f"failed: {_last_line(log, process.returncode)}"
    return Outcome(status, time.perf_counter() - start, largest)


def group_gib(group: int) -> float:
    """Resident memory of all processes of a group."""
    n_pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name of a program may hold spaces and brackets, so that fields count from the last bracket.
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                n_pages += int((folder / "statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            # It has ended in the meantime.
            continue
    return n_pages * os.sysconf("SC_PAGE_SIZE") / GIB


def _end_group(process: subprocess.Popen) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    # What its children held has to be free before another run is measured.
    while group_gib(process.pid) > 0:
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _last_line(log: Path, code: int) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return lines[-1] if lines else f"exit code {code}"
