"""Saved models: files without code, with a checksum, and how they are read without running code."""

import io
import pickle
import urllib.error
import urllib.request
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from spotscape._write import recover, whole_file

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
_DOWNLOAD_SECONDS = 60

# The checksum is the comment of the zip archive, which other readers skip.
_ZIP_END, _LENGTH_OF_ZIP_END = b"PK\x05\x06", 22
_CHECKSUM = b"spotscape-sha256:"
_LENGTH_OF_COMMENT = len(_CHECKSUM) + 64


def read_model_file(path: Path, *, allow_pickle: bool = False, backup_url: str | None = None) -> dict[str, Any]:
    """Read a saved model once, without executing code, and verify its checksum.

    Parameters
    ----------
    path
        The file ``model.pt``.
    allow_pickle
        Whether to read a file with anything but numbers, strings and plain containers. Any code in it is run.
    backup_url
        URL from which the file is downloaded if it does not exist. It is kept only if it can be read.

    Returns
    -------
    Dictionary with the entries ``model_state_dict``, ``var_names`` and ``attr_dict``.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file does not exist, is damaged, is not a model of this package, was saved by a newer release, or may
        execute code.
    """
    recover(path.parent)
    if backup_url is not None and not path.is_file():
        content = _downloaded(backup_url)
        contents = _parsed(content, f"{path} (from {backup_url})", allow_pickle)
        with whole_file(path) as unfinished:
            unfinished.write_bytes(content)
        return contents
    if not path.is_file():
        raise FileNotFoundError(f"There is no model at {path}; pass the folder that `save` made (and its `prefix`).")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); copy it to another place.") from error
    return _parsed(content, str(path), allow_pickle)


def read_checkpoint_file(path: Path) -> dict[str, Any]:
    """Read a checkpoint of training without executing code, and verify its checksum.

    Parameters
    ----------
    path
        File that was written with :func:`torch.save` and :func:`add_checksum`.

    Returns
    -------
    Its contents.

    Raises
    ------
    ValueError
        If the file is damaged, is no checkpoint, or may execute code.
    """
    remedy = "remove it to train from the start"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); {remedy}.") from error
    if not content[-_LENGTH_OF_COMMENT:].startswith(_CHECKSUM):
        raise ValueError(f"{path} is damaged or no checkpoint: it has no checksum; {remedy}.")
    if not _has_right_checksum(content):
        raise ValueError(f"{path} is damaged: its checksum differs; {remedy}.")
    try:
        with torch.serialization.safe_globals(_SAFE_TYPES):
            contents = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} holds Python objects that could run code when it is read; {remedy}.") from error
    # The reader meets whatever bytes the file has, and none of these errors says more than that.
    except Exception as error:
        raise ValueError(f"{path} is damaged or no checkpoint; {remedy}.") from error
    if not isinstance(contents, dict):
        raise ValueError(f"{path} is no checkpoint of training; {remedy}.")
    return contents


def add_checksum(path: Path) -> None:
    """Add the SHA-256 of a model file to it, as the comment of the zip archive."""
    content = bytearray(path.read_bytes())
    end = len(content) - _LENGTH_OF_ZIP_END
    # Files in the older format of PyTorch are no archive.
    if content[end : end + 4] != _ZIP_END:
        return
    content[-2:] = _LENGTH_OF_COMMENT.to_bytes(2, "little")
    content += _CHECKSUM + sha256(content).hexdigest().encode()
    path.write_bytes(content)


def check_class(path: Path, registry: Mapping[str, Any], class_name: str, allowed_names: Any) -> None:
    """Raise ``ValueError`` unless a file holds a model of a class, or of another class that is allowed."""
    saved_as = registry.get("model_name")
    if saved_as != class_name and saved_as not in (allowed_names or ()):
        raise ValueError(f"{path} holds a {saved_as} model; load it with `{saved_as}.load`.")


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


def _parsed(content: bytes, name: str, allow_pickle: bool) -> dict[str, Any]:
    """Contents of a model file, checked."""
    damaged = f"{name} is damaged or no model file; copy it again from its source, or save the model again."
    if content[-_LENGTH_OF_COMMENT:].startswith(_CHECKSUM) and not _has_right_checksum(content):
        raise ValueError(f"{name} is damaged: its checksum differs. Copy it from its source, or save it again.")
    try:
        with torch.serialization.safe_globals(_SAFE_TYPES):
            contents = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not content.startswith(b"PK"):
            raise ValueError(damaged) from error
        if not allow_pickle:
            raise ValueError(
                f"{name} holds Python objects that could run code when it is read; pass `allow_pickle=True` only if "
                "you trust whoever made it."
            ) from error
        contents = torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
    # The reader meets whatever bytes a damaged file has, and none of these errors says more than that.
    except Exception as error:
        raise ValueError(damaged) from error
    if not isinstance(contents, dict) or not _ENTRIES <= contents.keys():
        raise ValueError(f"{name} is not a model saved by scvi-tools or this package.")
    attributes = contents["attr_dict"]
    version = attributes.get("format_version_") if isinstance(attributes, dict) else None
    if version is None:
        raise ValueError(f"{name} was not saved by this package; load it with the package that made it.")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ValueError(
            f"{name} has format {version}, but this release reads up to {FORMAT_VERSION}; update with "
            "`pip install --upgrade spotscape`."
        )
    registry, init_params = attributes.get("registry_"), attributes.get("init_params_")
    if not (
        isinstance(version, int)
        and isinstance(registry, dict)
        and isinstance(registry.get("setup_args"), dict)
        and isinstance(init_params, dict)
        and isinstance(init_params.get("non_kwargs"), dict)
        and isinstance(contents["model_state_dict"], dict)
    ):
        raise ValueError(damaged)
    return contents


def _has_right_checksum(content: bytes) -> bool:
    found = sha256(memoryview(content)[:-_LENGTH_OF_COMMENT]).hexdigest().encode()
    return content[len(_CHECKSUM) - _LENGTH_OF_COMMENT :] == found


def _downloaded(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS) as response:
            return response.read()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ValueError(f"The model cannot be downloaded from {url!r} ({reason}); check `backup_url`.") from error


def _plain(value: Any) -> Any:
    """Convert mappings to dictionaries, recursively."""
    return {key: _plain(entry) for key, entry in value.items()} if isinstance(value, Mapping) else value
