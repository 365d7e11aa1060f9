"""Saved models: files without code, and how they are read without running code."""

import pickle
import urllib.request
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

#: Version of the saved format. Raised when a file of this package can no longer be read by older releases.
FORMAT_VERSION = 1

_rebuild_array = np.empty(0).__reduce__()[0]
_rebuild_scalar = np.float64(0).__reduce__()[0]

# Containers and arrays of numbers and names: all that a model file of this package holds besides tensors.
_SAFE_TYPES: list[Any] = [
    bytes,
    np.ndarray,
    np.dtype,
    _rebuild_array,
    _rebuild_scalar,
    *{
        type(np.dtype(kind))
        for kind in ("bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "O", "U")
    },
]
_ENTRIES = {"model_state_dict", "var_names", "attr_dict"}


def read_model_file(path: Path, *, allow_pickle: bool = False) -> dict[str, Any]:
    """Read a saved model without executing code.

    Parameters
    ----------
    path
        The file ``model.pt``.
    allow_pickle
        Whether to read a file with anything but numbers, strings and plain containers. Any code in it is run.

    Returns
    -------
    Dictionary with the entries ``model_state_dict``, ``var_names`` and ``attr_dict``.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file does not exist, is damaged, is not a model of this package, was saved by a newer release, or may
        execute code.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no model at {path}; pass the folder that `save` made (and its `prefix`).")
    try:
        with torch.serialization.safe_globals(_SAFE_TYPES):
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _is_archive(path):
            raise ValueError(f"{path} is damaged or no model file; save the model again.") from error
        if not allow_pickle:
            raise ValueError(
                f"{path} holds Python objects that could run code when it is read; pass `allow_pickle=True` only if "
                "you trust whoever made it."
            ) from error
        contents = torch.load(path, map_location="cpu", weights_only=False)
    except (RuntimeError, EOFError, OSError, KeyError) as error:
        raise ValueError(f"{path} is damaged or no model file; save the model again.") from error
    if not isinstance(contents, dict) or not _ENTRIES <= contents.keys():
        raise ValueError(f"{path} is not a model saved by scvi-tools or this package.")
    version = contents["attr_dict"].get("format_version_")
    if version is None:
        raise ValueError(f"{path} was not saved by this package; load it with the package that made it.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format {version}, but this release reads up to {FORMAT_VERSION}; update with "
            "`pip install --upgrade spotscape`."
        )
    return contents


def check_model_file(
    path: Path, class_name: str, backup_url: str | None, allow_pickle: bool, allowed_names: Collection[str]
) -> dict[str, Any]:
    """Check that a file holds a model of the right class that can be read safely.

    Parameters
    ----------
    path
        The file ``model.pt``.
    class_name, allowed_names
        Name of the class, and of other classes that are allowed.
    backup_url
        URL from which the file is downloaded if it does not exist.
    allow_pickle
        As in :func:`read_model_file`.

    Returns
    -------
    Setup arguments of the model.
    """
    if backup_url is not None and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        urllib.request.urlretrieve(backup_url, path)
    registry = read_model_file(path, allow_pickle=allow_pickle)["attr_dict"]["registry_"]
    saved_as = registry.get("model_name")
    if saved_as != class_name and saved_as not in allowed_names:
        raise ValueError(f"{path} holds a {saved_as} model; load it with `{saved_as}.load`.")
    return registry["setup_args"]


def plain_attributes(attributes: dict[str, Any]) -> list[tuple[str, Any]]:
    """Attributes of a model as plain numbers, names and containers."""
    registry = attributes["registry_"] = _plain(attributes["registry_"])
    # scvi-tools loses this where a model is given other data than it was set up with.
    registry["setup_method_name"] = "setup_mudata" if "modality" in registry["setup_args"] else "setup_anndata"
    if attributes.get("history_") is not None:
        attributes["history_"] = {
            name: {"epoch": frame.index.to_numpy(dtype=float), "value": frame.iloc[:, 0].to_numpy(dtype=float)}
            for name, frame in attributes["history_"].items()
        }
    return list(attributes.items())


def restored_history(history: dict[str, dict[str, np.ndarray]]) -> dict[str, pd.DataFrame]:
    """Training history as data frames, as in scvi-tools."""
    return {
        name: pd.DataFrame({name: entry["value"]}, index=pd.Index(entry["epoch"].astype(int), name="epoch"))
        for name, entry in history.items()
    }


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _plain(value: Any) -> Any:
    """Convert mappings to dictionaries, recursively."""
    return {key: _plain(entry) for key, entry in value.items()} if isinstance(value, Mapping) else value
