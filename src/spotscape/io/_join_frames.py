"""Joining the columns of spots and genes."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api import types


def join_columns(frames: Sequence[pd.DataFrame], files: Sequence[str]) -> pd.DataFrame:
    """Join the columns of the spots; spots of files without a column have missing values.

    Parameters
    ----------
    frames
        ``obs`` of each file.
    files
        Files, for messages.

    Returns
    -------
    All columns. Categories are the union of those of the files, in the order of the files. Columns that are text in
    one file and numbers in another become text.

    Warns
    -----
    UserWarning
        If files lack columns, or have them in another form.
    """
    index = frames[0].index.append([frame.index for frame in frames[1:]])
    columns = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    joined, lacking, converted = {}, [], []
    for name in columns:
        parts = [frame[name] if name in frame else None for frame in frames]
        without = [file for part, file in zip(parts, files, strict=True) if part is None]
        if without:
            lacking.append(f"{name!r} (not in {', '.join(without[:3])}{' ...' if len(without) > 3 else ''})")
        there = [part for part in parts if part is not None]
        text = [_is_text(part) for part in there]
        if any(text) and not all(text):
            with_numbers = next(
                file for part, file in zip(parts, files, strict=True) if part is not None and not _is_text(part)
            )
            converted.append(f"{name!r} (numbers in {with_numbers})")
        joined[name] = _joined(parts, [len(frame) for frame in frames], as_text=any(text)).set_axis(index)
    if lacking:
        _warn(f"Columns of `obs` that are missing for the spots of some files: {', '.join(lacking)}.")
    if converted:
        _warn(f"Columns of `obs` that are text in one file and numbers in another become text: {', '.join(converted)}.")
    return pd.DataFrame(joined, index=index)


def join_genes(frames: Sequence[pd.DataFrame], files: Sequence[str], genes: pd.Index) -> pd.DataFrame:
    """Join the columns of the genes; a column that differs between files is left out with a warning.

    Parameters
    ----------
    frames
        ``var`` of each file.
    files
        Files, for messages.
    genes
        Genes of the joined data.
    """
    joined, different = {}, []
    for name in dict.fromkeys(name for frame in frames for name in frame.columns):
        there = [frame[name].reindex(genes) for frame in frames if name in frame]
        sources = [frame[name] for frame in frames if name in frame]
        values = [part.astype(object) for part in there]
        merged = values[0]
        for part in values[1:]:
            both = merged.notna().to_numpy() & part.notna().to_numpy()
            if not np.array_equal(merged.to_numpy()[both], part.to_numpy()[both]):
                different.append(repr(name))
                break
            merged = merged.where(merged.notna(), part)
        else:
            joined[name] = _restored(merged, sources)
    if different:
        _warn(
            f"Columns of `var` that differ between {', '.join(files[:3])}{' ...' if len(files) > 3 else ''} are left "
            f"out: {', '.join(different)}."
        )
    return pd.DataFrame(joined, index=genes)


def _joined(parts: list[pd.Series | None], lengths: list[int], *, as_text: bool) -> pd.Series:
    if as_text:
        return _joined_text(parts, lengths)
    there = [part for part in parts if part is not None]
    lacking = len(there) < len(parts)
    filled = [
        pd.Series([None] * length, dtype=object) if part is None else part.astype(object)
        for part, length in zip(parts, lengths, strict=True)
    ]
    if all(types.is_bool_dtype(part) for part in there):
        return pd.concat(filled, ignore_index=True).astype("boolean" if lacking else there[0].dtype)
    if all(types.is_numeric_dtype(part) for part in there) and (lacking or any(map(types.is_bool_dtype, there))):
        return pd.concat(filled, ignore_index=True).astype(float)
    if lacking:
        return pd.concat(filled, ignore_index=True).infer_objects()
    return pd.concat(there, ignore_index=True)


def _joined_text(parts: list[pd.Series | None], lengths: list[int]) -> pd.Series:
    """Text as it is if all files have it; else categories of all files, in their order, ordered only if all agree."""
    there = [part for part in parts if part is not None]
    if len(there) == len(parts) and all(part.dtype == object and part.notna().all() for part in there):
        return pd.concat([part.astype(str) for part in there], ignore_index=True)
    columns = [None if part is None else part.astype("category").cat for part in parts]
    known = [column for column in columns if column is not None]
    ordered = all(column.ordered and column.categories.equals(known[0].categories) for column in known)
    categories = pd.Index(dict.fromkeys(str(level) for column in known for level in column.categories))
    codes = []
    for column, length in zip(columns, lengths, strict=True):
        if column is None:
            codes.append(np.full(length, -1))
            continue
        # The last entry is that of missing values, whose code is -1.
        place = np.append(categories.get_indexer([str(level) for level in column.categories]), -1)
        codes.append(place[column.codes.to_numpy()])
    return pd.Series(pd.Categorical.from_codes(np.concatenate(codes), categories, ordered=ordered))


def _restored(merged: pd.Series, sources: list[pd.Series]) -> pd.Series:
    """The merged values in the type of the columns that they come from."""
    if all(types.is_bool_dtype(part) for part in sources):
        return merged.astype("boolean" if merged.isna().any() else bool)
    if all(types.is_numeric_dtype(part) for part in sources):
        return pd.to_numeric(merged)
    merged = merged.where(merged.isna(), merged.astype(str))
    return merged.astype("category") if all(isinstance(part.dtype, pd.CategoricalDtype) for part in sources) else merged


def _is_text(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    return not (types.is_numeric_dtype(column) or types.is_bool_dtype(column) or types.is_datetime64_any_dtype(column))


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=5)
