"""Tables in Markdown, and the figures in them."""

from collections.abc import Iterable, Sequence

import pandas as pd

MISSING = "–"


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown of a table; a cell is anything that has a text."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines)


def markdown_of(table: pd.DataFrame) -> str:
    """Markdown of a table whose index is its first column."""
    rows = ([index, *row] for index, row in zip(table.index, table.to_numpy(), strict=True))
    return markdown([table.index.name or "", *table.columns], rows)


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where it is missing."""
    return MISSING if value is None or pd.isna(value) else f"{value:.{digits}f}"


def mean_and_deviation(mean: float, deviation: float, digits: int = 3) -> str:
    """Mean ± standard deviation; the mean alone where there is one value, a dash where there is none."""
    spread = "" if pd.isna(deviation) or pd.isna(mean) else f" ± {number(deviation, digits)}"
    return number(mean, digits) + spread


def cells(values: pd.Series, digits: int = 3) -> str:
    """Mean ± standard deviation of values."""
    return mean_and_deviation(values.mean(), values.std(), digits)
