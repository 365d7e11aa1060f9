"""Seconds and memory of the stages of a run; also read by the peers, whose environments have no spotscape."""

import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

GIB = 2**30


class Stages:
    """Clock and memory of one process, whose largest memory is that of all stages up to then. Linux only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_gib = {"start": peak_gib()}
        self.current_gib = {"start": current_gib()}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure what is done inside as the stage ``name``."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
        self.peak_gib[name], self.current_gib[name] = peak_gib(), current_gib()
        print(f"{name}: {self.seconds[name]:.2f} s, at most {self.peak_gib[name]:.2f} GiB so far", flush=True)

    def record(self) -> dict[str, Any]:
        """Measurements of all stages, and their totals."""
        return {
            "seconds": self.seconds,
            "total_seconds": sum(self.seconds.values()),
            # Of all threads, since the process began.
            "processor_seconds": time.process_time(),
            "peak_gib": self.peak_gib,
            "current_gib": self.current_gib,
            "max_gib": max(self.peak_gib.values()),
        }


def peak_gib() -> float:
    """Largest resident memory of this process so far."""
    # Not that of getrusage, which begins with what the parent had when it started this process.
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), flags=re.MULTILINE)
    if found is None:
        raise OSError("The system does not tell the largest memory of a process; this needs Linux.")
    return int(found[1]) * 1024 / GIB


def current_gib() -> float:
    """Resident memory of this process."""
    n_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return n_pages * os.sysconf("SC_PAGE_SIZE") / GIB


def found_domains(truth: Sequence[Any], found: Sequence[Any]) -> dict[str, Any]:
    """Adjusted Rand index of the found domains against the true ones, and their number."""
    from sklearn.metrics import adjusted_rand_score

    return {"ari": float(adjusted_rand_score(truth, found)), "n_domains_found": len(set(found))}


def versions(*packages: str) -> dict[str, str]:
    """Versions of installed packages."""
    return {package: version(package) for package in packages}


def write_record(path: str | Path, *parts: dict[str, Any]) -> None:
    """Write the parts of a record as one."""
    record: dict[str, Any] = {}
    for part in parts:
        record |= part
    Path(path).write_text(json.dumps(record))
