"""Cache of features: files named by a hash of everything that determines the features."""

import os
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray


def content_key(*parts: Any) -> str:
    """SHA-256 of numbers, strings and tuples of them."""
    return sha256(repr(parts).encode()).hexdigest()


class FeatureCache:
    """Files in a folder, one for each slice and setting.

    Parameters
    ----------
    folder
        Folder, which is created if it does not exist.

    Raises
    ------
    ValueError
        If the folder cannot be created or written to.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"`cache_dir` is {str(folder)!r}, which cannot be created; pass another folder."
            ) from error
        if not os.access(self.folder, os.W_OK):
            raise ValueError(f"`cache_dir` is {str(folder)!r}, which cannot be written to; pass another folder.")

    def read(self, key: str) -> NDArray[np.float32] | None:
        """Features stored under a key, or ``None``."""
        path = self.folder / f"{key}.npz"
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return archive["features"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            warnings.warn(
                f"The file {path.name!r} in `cache_dir` is damaged; its features are computed again.", stacklevel=3
            )
            return None

    def write(self, key: str, features: NDArray[np.float32]) -> None:
        """Store features under a key."""
        # Renamed when complete, so that an interrupted process leaves no partial file under the final name.
        temporary = self.folder / f"{key}.{os.getpid()}.npz"
        np.savez_compressed(temporary, features=features)
        temporary.replace(self.folder / f"{key}.npz")
