"""Reading and filtering of the tables of results."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from anndata import AnnData

from spotscape._validate import check_number, checked_names


def read_result(adata: AnnData, key: str, function: str, columns: Sequence[str]) -> dict[str, Any]:
    """Return a result in ``uns``, and raise ``KeyError`` unless it has a table with these columns."""
    result = adata.uns.get(key)
    table = result.get("table") if isinstance(result, dict) else None
    if not isinstance(table, pd.DataFrame) or not set(columns) <= set(table.columns):
        raise KeyError(
            f"`key` is {key!r}, which is not such a result in `adata.uns`; call `spotscape.tl.{function}` first."
        )
    return result


def filter_table(
    result: dict[str, Any],
    domain: str | Sequence[str] | None,
    *,
    max_p_adjusted: float | None = None,
    minima: dict[str, float | None] | None = None,
) -> pd.DataFrame:
    """Return a copy of the table with the rows of some domains that pass the thresholds, and its notes in ``attrs``."""
    table = result["table"]
    keep = pd.Series(True, index=table.index)
    if domain is not None:
        available = list(pd.unique(table["domain"].astype(str)))
        names = checked_names(domain, "domain", available, "the result")
        keep &= table["domain"].astype(str).isin(names)
    if max_p_adjusted is not None:
        check_number(max_p_adjusted, "max_p_adjusted", minimum=0.0, maximum=1.0)
        keep &= table["p_adjusted"] <= max_p_adjusted
    for column, minimum in (minima or {}).items():
        if minimum is not None:
            check_number(minimum, f"min_{column}")
            keep &= table[column] >= minimum
    found = table[keep].reset_index(drop=True)
    found.attrs["notes"] = [str(note) for note in result.get("notes", [])]
    return found
