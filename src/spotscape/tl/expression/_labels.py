"""Columns of ``obs`` that group spots, and what is known of where they come from."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from anndata import AnnData

from spotscape._validate import check_present, checked_names

#: Note in results whose domains were found from expression.
FOUND_FROM_EXPRESSION = (
    "The domains were found from expression, and the genes that they were found from are tested: differences between "
    "domains are expected by construction, and their p values are too small. Test genes that were left out of the "
    "representation with `genes`."
)
#: The same where the user has chosen the genes.
CHOSEN_GENES = (
    "The domains were found from expression. The p values of differences between domains hold only for genes that were "
    "left out of the representation; the genes in `genes` are taken to be such."
)


def read_labels(adata: AnnData, key: str, name: str) -> pd.Categorical:
    """Return a column as a categorical of strings without unused categories, in the user's order. ``(n_spots,)``.

    Raises
    ------
    KeyError
        If the column does not exist.
    ValueError
        If no spot has a label.
    """
    check_present(key, name, adata.obs.columns, "adata.obs")
    column = adata.obs[key].astype("category").cat.remove_unused_categories()
    if column.isna().all():
        raise ValueError(f"`adata.obs[{key!r}]` is missing for all spots; name a column with labels in `{name}`.")
    names = list(dict.fromkeys(map(str, column.cat.categories)))
    return pd.Categorical(column.astype(object).map(str, na_action="ignore"), categories=names)


def chosen_labels(wanted: str | Iterable[str] | None, available: Iterable[str], name: str, where: str) -> list[str]:
    """Return the labels that the user asks for, all if ``None``, and raise ``KeyError`` if one does not exist."""
    available = list(available)
    if wanted is None:
        return available
    return list(dict.fromkeys(checked_names(wanted, name, available, where)))


def notes_on_domains(adata: AnnData, domain_key: str, genes: object) -> list[str]:
    """Return the note to store where domains come from expression; annotations have no parameters in ``uns``."""
    known = [domain_key, domain_key.rpartition("_")[0]]
    if not any(isinstance(adata.uns.get(key), Mapping) for key in known):
        return []
    return [FOUND_FROM_EXPRESSION if genes is None else CHOSEN_GENES]


def as_notes(notes: list[str]) -> dict[str, np.ndarray]:
    """Return the entry of ``uns`` with the notes, or none: an empty array of texts cannot be written to a file."""
    return {"notes": np.array(notes, dtype=object)} if notes else {}
