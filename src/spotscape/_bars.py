"""Progress bars of long work, on standard error, in terminals and notebooks only."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm


def progress_bar(iterable: Iterable[Any] | None = None, *, hidden: bool = False, **settings: Any) -> tqdm:
    """Bar that is not written to log files and pipes.

    Parameters
    ----------
    iterable
        What is counted, as in tqdm.
    hidden
        Whether the work is too short for a bar.
    **settings
        Arguments of tqdm.

    Returns
    -------
    The bar.
    """
    return tqdm(iterable, disable=hidden or not (_on_terminal() or _in_notebook()), **settings)


def _on_terminal() -> bool:
    # Without a console, Windows has no standard error.
    return sys.stderr is not None and sys.stderr.isatty()


def _in_notebook() -> bool:
    """Whether this runs in a kernel of Jupyter, whose standard error is no terminal though somebody watches it."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config
