"""Threads, messages and processes of the programs."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numba
import torch
from threadpoolctl import threadpool_limits

#: Root of the repository, from which ``benchmarks`` is found.
ROOT = Path(__file__).parents[2]


def module_command(module: str, *arguments: object, python: str | Path = sys.executable) -> list[str]:
    """Command that runs a module of this package in a Python, to be started with :func:`module_environment`."""
    return [str(python), "-m", f"benchmarks.{module}", *map(str, arguments)]


def module_environment() -> dict[str, str]:
    """Environment variables with which a Python finds this package, whatever folder it is started in."""
    others = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), *([others] if others else [])])}


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread, which adds up in one order and leaves other processes alone."""
    before = torch.get_num_threads(), numba.get_num_threads()
    # Before the others: when numba starts its threads, it raises the number that OpenMP gives to all libraries.
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])


def silence_training() -> None:
    """Show no messages of training, only warnings."""
    for library in ("lightning.pytorch", "scvi"):
        logging.getLogger(library).setLevel(logging.WARNING)
