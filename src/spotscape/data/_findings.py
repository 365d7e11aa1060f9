"""What set-up noticed about data: warned of, and kept with the model."""

import warnings
from collections.abc import Mapping, Sequence

import pandas as pd

_COLUMNS = ("finding", "slice", "message")


class Findings:
    """What set-up noticed about data.

    Attributes
    ----------
    columns
        Lists of text of one length: ``"finding"``, what it is about; ``"slice"``, the slice, or empty; and
        ``"message"``, a sentence.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[str]] = {name: [] for name in _COLUMNS}
        self._warnings: list[str] = []

    def note(self, finding: str, message: str, *, slice_name: str = "", warn: bool = True) -> None:
        """Keep a finding.

        Parameters
        ----------
        finding
            What it is about, a few words.
        message
            A sentence: what was found, and what to do about it.
        slice_name
            Slice that it concerns. Empty: all.
        warn
            Whether :meth:`warn` warns of it.
        """
        for name, text in zip(_COLUMNS, (finding, slice_name, message), strict=True):
            self.columns[name].append(text)
        if warn:
            self._warnings.append(message)

    def warn(self) -> None:
        """Warn of the findings, once all checks have passed."""
        for message in self._warnings:
            warnings.warn(message, UserWarning, stacklevel=5)


def as_table(columns: Mapping[str, Sequence[str]] | None) -> pd.DataFrame:
    """Columns of findings as a data frame with one row each. ``None``: no findings."""
    return pd.DataFrame({name: list(columns[name]) if columns else [] for name in _COLUMNS}, dtype=object)
