"""Features kept in files that are named by the content of what they were made from."""

import os
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray


def content_key(*parts: Any) -> str:
    """Fingerprint of numbers, texts and tuples of them."""
    return sha256(repr(parts).encode()).hexdigest()


class FeatureCache:
    """Files in a folder, one for each slice and setting; without a folder nothing is kept.

    Parameters
    ----------
    folder
        Folder, which is made where it is missing.

    Raises
    ------
    ValueError
        If the folder cannot be made or written to.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self.folder = None if folder is None else Path(folder)
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"`cache_dir` is {str(folder)!r}, which cannot be made; pass another folder.") from error
        if not os.access(self.folder, os.W_OK):
            raise ValueError(f"`cache_dir` is {str(folder)!r}, which cannot be written to; pass another folder.")

    def read(self, key: str) -> NDArray[np.float32] | None:
        """Features kept under a key, or ``None``."""
        path = self._path(key)
        if path is None or not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return kept["features"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            warnings.warn(f"The file {path.name!r} of `cache_dir` is damaged and is made anew.", stacklevel=3)
            return None

    def write(self, key: str, features: NDArray[np.float32]) -> None:
        """Keep features under a key."""
        path = self._path(key)
        if path is None:
            return
        # A process that ends half way leaves no half file under the name.
        draft = path.with_name(f"{path.stem}.{os.getpid()}.npz")
        np.savez_compressed(draft, features=features)
        draft.replace(path)

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{key}.npz"
