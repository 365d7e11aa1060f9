"""Cache of features: files named by a hash of everything that determines the features."""

import os
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotscape._write import whole_file


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

    def read(self, key: str, n_spots: int) -> NDArray[np.float32] | None:
        """Features stored under a key, or ``None`` if there are none, or none that are finite, whole and of n spots."""
        path = self.folder / f"{key}.npz"
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                features = archive["features"]
                # Files of the first release have no checksum of their own, only that of the zip archive.
                checksum = str(archive["sha256"]) if "sha256" in archive else None
        # The reader meets whatever bytes a damaged file has; the features are computed again in any case.
        except Exception:  # noqa: BLE001
            features, checksum = None, None
        if features is not None and _is_valid(features, n_spots) and checksum in (None, _checksum(features)):
            return features
        warnings.warn(
            f"The file {path.name!r} in `cache_dir` is damaged; its features are computed again.", stacklevel=3
        )
        return None

    def write(self, key: str, features: NDArray[np.float32]) -> None:
        """Store features under a key. If that fails, warn, because the features themselves are not affected."""
        try:
            with whole_file(self.folder / f"{key}.npz") as path:
                np.savez_compressed(path, features=features, sha256=_checksum(features))
        except OSError as error:
            warnings.warn(f"Image features are not cached: {error}", stacklevel=3)


def _is_valid(features: NDArray[Any], n_spots: int) -> bool:
    is_table = features.ndim == 2 and features.shape[0] == n_spots and features.shape[1] > 0
    return is_table and features.dtype == np.float32 and bool(np.isfinite(features).all())


def _checksum(features: NDArray[Any]) -> str:
    return sha256(repr((features.shape, features.dtype.str)).encode() + np.ascontiguousarray(features).data).hexdigest()
