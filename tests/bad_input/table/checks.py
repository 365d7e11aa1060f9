"""What must hold for every bad value: the error is ours, says what is wrong and what to do, and nothing happened."""

import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import spotscape

_PACKAGE = Path(spotscape.__file__).parent
ADVICE = re.compile(
    r"\b(pass|choose|must|call|available|omit|leave|use|needs?|set|load|train|give|remove|applies|there (is|are)|check|"
    r"assign|name|annotate|build|make|store|subset)\b"
)


#: What is said of arrays, which are too long to be shown.
_FINDINGS = (
    "missing",
    "infinite",
    "is the same for all",
    "1 value(s)",
    "several values per spot",
    "label(s)",
    "slice(s)",
    "no rows",
    "not numeric",
)


def problem_of(call: Callable[[], object], name: str, value: Any, adata: AnnData, before: AnnData) -> str | None:
    """Call, and say what is wrong with the answer to the bad value; ``None`` if nothing is.

    Parameters
    ----------
    call
        Calls a function with the bad value.
    name, value
        The argument.
    adata
        Data that are given to the function.
    before
        Copy of them.
    """
    try:
        call()
    except Exception as error:  # noqa: BLE001 (other libraries raise anything)
        problem = _problem_of_error(error, name, value)
    else:
        problem = "accepted"
    return problem or difference(adata, before)


def _problem_of_error(error: Exception, name: str, value: Any) -> str | None:
    message = str(error.args[0]) if error.args else ""
    said = f"{type(error).__name__}: {message}"
    if not is_ours(error):
        return f"raised elsewhere: {said}"
    if f"`{name}`" not in message and f"`{name}[" not in message:
        return f"does not name the argument: {said}"
    if not any(text in message for text in _texts_of(value)):
        return f"does not say the value: {said}"
    if not ADVICE.search(message):
        return f"does not say what to do: {said}"
    if "\n" in message or len(message) > 400:
        return f"is not one sentence: {said}"
    return None


def is_ours(error: BaseException) -> bool:
    """Whether the package raised the error itself."""
    return Path(traceback.extract_tb(error.__traceback__)[-1].filename).is_relative_to(_PACKAGE)


def _texts_of(value: Any) -> list[str]:
    if isinstance(value, pd.DataFrame | AnnData | np.ndarray):
        shape = str(value.shape)
        length = f" {len(value)}" if np.ndim(value) else "shape ()"
        return [
            length,
            type(value).__name__,
            f"type {getattr(value, 'dtype', '')}",
            "mask of length",
            shape,
            *_FINDINGS,
        ]
    texts = [repr(value), str(value), "shape ()"] if np.ndim(value) == 0 else [repr(value), str(value)]
    if isinstance(value, list | tuple):
        texts += ["empty"] if not value else [repr(value[0]), f"[{value[0]}]"]
        texts += [f" {len(value)} ", f"{len(value)};", *_FINDINGS]
    if isinstance(value, dict):
        parts = [one for part in value.values() for one in (part if isinstance(part, list) else [part])]
        texts += [str(part) for part in parts]
        texts += [str(key) for key in value] or ["[]"]
    return [text for text in texts if text]


def difference(adata: AnnData, before: AnnData) -> str | None:
    """What has changed in the AnnData, if anything has."""
    for attribute in ("obs", "var"):
        if not _same(getattr(adata, attribute), getattr(before, attribute)):
            return f"`{attribute}` has changed"
    for attribute in ("obsm", "varm", "obsp", "varp", "layers", "uns"):
        if not _same(dict(getattr(adata, attribute)), dict(getattr(before, attribute))):
            return f"`{attribute}` has changed"
    return None if _same(adata.X, before.X) else "`X` has changed"


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if sparse.issparse(one):
        return one.shape == other.shape and all(
            _same(getattr(one, part), getattr(other, part)) for part in ("data", "indices", "indptr")
        )
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
    if isinstance(one, pd.DataFrame | pd.Series):
        return bool(one.equals(other)) and one.index.equals(other.index)
    return bool(one == other) or (one != one and other != other)


def stop_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that computes, trains or draws fail."""

    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("the work has started")

    for place in _WORK:
        monkeypatch.setattr(place, work)


_WORK = (
    "torch.nn.Module.__call__",
    "lightning.pytorch.Trainer.fit",
    "sklearn.cluster.KMeans.fit",
    "sklearn.decomposition.PCA.fit",
    "sklearn.neighbors.NearestNeighbors.fit",
    "matplotlib.pyplot.figure",
    "matplotlib.pyplot.subplots",
)
