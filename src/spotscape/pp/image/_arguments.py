"""What the arguments of image features mean, checked before any work begins."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spotscape._validate import check_integer, check_number

_SCALES = (1.0, 2.0)
_N_PIXELS = 64
_MIN_PIXELS = 16


def model_folder(method: str | Path) -> Path | None:
    """Folder of the model that the method names, or ``None`` for a method of this package."""
    if isinstance(method, str) and method in ("handcrafted", "self-supervised"):
        return None
    if not isinstance(method, str | Path) or not Path(method).is_dir():
        raise ValueError(
            f"`method` is {str(method)!r}; choose 'handcrafted' or 'self-supervised', or pass the folder of a model."
        )
    return Path(method)


def checked_pixels(n_pixels: int | None, folder: Path | None) -> int:
    """Side of the tiles in pixels: the given one, that of the model in the folder, or 64."""
    if n_pixels is not None:
        check_integer(n_pixels, "n_pixels", minimum=_MIN_PIXELS)
        return int(n_pixels)
    if folder is None:
        return _N_PIXELS
    from spotscape.pp.image._model import input_size

    return input_size(folder)


def checked_scales(scales: Sequence[float] | None) -> tuple[float, ...]:
    """Multiples of the size of a tile: the given ones, or 1 and 2."""
    if scales is None:
        return _SCALES
    if isinstance(scales, str) or not isinstance(scales, Sequence | np.ndarray) or not len(scales):
        raise TypeError(f"`scales` is {scales!r}; pass a list of numbers, such as [1, 2].")
    for scale in scales:
        check_number(scale, "scales")
        if scale <= 0:
            raise ValueError(f"`scales` has {scale}; they must be positive.")
    if len(set(scales)) < len(scales):
        raise ValueError(f"`scales` is {list(scales)}; pass each once.")
    return tuple(float(scale) for scale in scales)
