"""The one reader and the one writer of results: rows that are appended as they come, and read again to go on."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Row = dict[str, Any]


class Results:
    """Rows of a benchmark in a CSV file.

    Parameters
    ----------
    path
        The file; its folder is made when the first row is written.
    columns
        Type of each column: ``str``, ``int`` or ``float``. Numbers may be missing; a text that is missing is empty.
    keys
        Columns by which what has been measured is known again. Rows of one key are written together.
    digits
        Decimals of the numbers that are written. ``None``: all.
    """

    def __init__(
        self, path: Path, columns: Mapping[str, type], keys: Sequence[str], *, digits: int | None = None
    ) -> None:
        self.path, self.columns, self.keys, self.digits = path, dict(columns), list(keys), digits

    def read(self) -> pd.DataFrame:
        """Read all rows; a last one that was cut off when a run was ended is removed from the file.

        Raises
        ------
        ValueError
            If the file has other columns.
        """
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        if text and not text.endswith("\n"):
            text = text[: text.rfind("\n") + 1]
            self.path.write_text(text, encoding="utf-8")
        if not text:
            self.path.unlink(missing_ok=True)
            return pd.DataFrame({name: pd.Series(dtype=_DTYPES[kind]) for name, kind in self.columns.items()})
        texts = [name for name, kind in self.columns.items() if kind is str]
        results = pd.read_csv(
            self.path,
            dtype=dict.fromkeys(texts, str),
            # An empty field is no number, but a text may be "None" or "NA".
            na_values={name: [""] for name in self.columns if name not in texts},
            keep_default_na=False,
            float_precision="round_trip",
        )
        if list(results.columns) != list(self.columns):
            raise ValueError(
                f"{self.path} has the columns {', '.join(results.columns)}, not {', '.join(self.columns)}; "
                "it is of another version of this benchmark: give another --out."
            )
        # Whole numbers of which some are missing stay whole.
        whole = {n: "Int64" for n, k in self.columns.items() if k is int and results[n].isna().any()}
        return results.astype(whole)

    def done(self) -> set[tuple]:
        """Keys of all that has been measured."""
        return set(self.read()[self.keys].itertuples(index=False, name=None))

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows, all of them or none.

        Raises
        ------
        ValueError
            If a row has a column that the file has not.
        OSError
            If they cannot be written in full; the file is then as it was.
        """
        rows = list(rows)
        if unknown := {name for row in rows for name in row} - set(self.columns):
            raise ValueError(f"{self.path.name} has no columns {', '.join(sorted(unknown))}.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists() or self.path.stat().st_size == 0
        text = self._text(pd.DataFrame(rows, columns=list(self.columns)), header=is_new)
        with self.path.open("ab", buffering=0) as file:
            size, data = file.seek(0, os.SEEK_END), text.encode()
            try:
                # In one piece, so that a process that is ended in between leaves no part of a measurement.
                written = file.write(data)
                if written != len(data):
                    raise OSError(f"{self.path} took {written} of {len(data)} bytes; the disk may be full.")
            except OSError:
                file.truncate(size)
                raise

    def replace(self, rows: pd.DataFrame, column: str) -> None:
        """Put rows in place of all that have the same values of a column."""
        before = self.read()
        others = before[~before[column].isin(rows[column])]
        unfinished = self.path.with_suffix(".part")
        both = pd.concat([others, rows[list(self.columns)]]) if len(others) else rows[list(self.columns)]
        unfinished.write_text(self._text(both, header=True), encoding="utf-8")
        unfinished.replace(self.path)

    def _text(self, rows: pd.DataFrame, *, header: bool) -> str:
        if self.digits is not None:
            numbers = [name for name, kind in self.columns.items() if kind is float]
            rows = rows.astype(dict.fromkeys(numbers, np.float64)).round(dict.fromkeys(numbers, self.digits))
        return rows.to_csv(header=header, index=False)


_DTYPES = {str: object, int: "int64", float: "float64"}


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Keep the settings of a folder of results, and end the program where it has results of other ones."""
    path, wanted = folder / "settings.json", json.loads(json.dumps(settings))
    if path.exists() and (before := json.loads(path.read_text(encoding="utf-8"))) != wanted:
        raise SystemExit(f"{folder} has results of other settings, {before}; give another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(wanted), encoding="utf-8")


def kept(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Read an array from a file, or compute it and put it there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.part")
        with unfinished.open("wb") as file:
            np.save(file, compute())
        unfinished.replace(path)
    return np.load(path)


def require_results(results: pd.DataFrame, path: Path) -> None:
    """End the program where there is nothing to make tables of."""
    if results.empty:
        raise SystemExit(f"There are no results in {path}.")
