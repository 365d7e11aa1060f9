"""Arguments of image features, checked before any work starts."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from spotscape._validate import check_integer, check_number

_DEFAULT_SCALES = (1.0, 2.0)
_DEFAULT_N_PIXELS = 64
_MIN_N_PIXELS = 16


def check_method(method: str | Path) -> Path | None:
    """Folder of the model that the method names, or ``None`` for a method of this package.

    Raises
    ------
    ImportError
        If the method needs scikit-image, which is not installed.
    ValueError
        If there is no such method or folder.
    """
    if method == "handcrafted":
        if find_spec("skimage") is None:
            raise ImportError("method='handcrafted' needs scikit-image; run: pip install \"spotscape[image]\"")
        return None
    if method == "self-supervised":
        return None
    if not method or not isinstance(method, str | Path) or not Path(method).is_dir():
        raise ValueError(
            f"`method` is {str(method)!r}; choose 'handcrafted' or 'self-supervised', or pass the folder of a model."
        )
    return Path(method)


def tile_pixels(n_pixels: int | None, folder: Path | None) -> int:
    """Side of the tiles in pixels: the given one, the input size of the model in the folder, or 64."""
    if n_pixels is not None:
        check_integer(n_pixels, "n_pixels", minimum=_MIN_N_PIXELS)
        return int(n_pixels)
    if folder is None:
        return _DEFAULT_N_PIXELS
    from spotscape.pp.image._local_model import input_size

    return input_size(folder)


def tile_scales(scales: Sequence[float] | None) -> tuple[float, ...]:
    """Tile widths as multiples of the tile size: the given ones, or 1 and 2."""
    if scales is None:
        return _DEFAULT_SCALES
    if isinstance(scales, str) or not isinstance(scales, Sequence | np.ndarray) or not len(scales):
        raise TypeError(f"`scales` is {scales!r}; pass a list of numbers, such as [1, 2].")
    for scale in scales:
        check_number(scale, "scales")
        if scale <= 0:
            raise ValueError(f"`scales` contains {scale}; pass positive numbers.")
    if len(set(scales)) < len(scales):
        raise ValueError(f"`scales` is {list(scales)}; pass each scale once.")
    return tuple(float(scale) for scale in scales)
