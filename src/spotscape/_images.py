"""Colours of images: files and arrays of any depth as 8-bit red, green and blue, white where they are transparent."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def picture_as_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    """Convert an opened image, which has no 16-bit channels, to RGB. ``(height, width, 3)``."""
    if "A" in picture.getbands() or "transparency" in picture.info:
        return _on_white(np.asarray(picture.convert("RGBA")))
    return np.asarray(picture.convert("RGB"))


def as_rgb(values: Any, name: str) -> NDArray[np.uint8]:
    """Convert colours from 0 to 1, 0 to 255 or (16-bit images) 0 to 65,535 to 8-bit RGB.

    Parameters
    ----------
    values
        Red, green and blue, and opacity if there is a fourth channel. ``(..., 3)`` or ``(..., 4)``.
    name
        What error messages call the values.

    Returns
    -------
    ``(..., 3)``.

    Raises
    ------
    ValueError
        If the values are not colours.
    """
    array = np.asarray(values)
    if array.ndim < 3 or array.shape[-1] not in (3, 4) or array.dtype.kind not in "uif" or not array.size:
        raise ValueError(
            f"{name} has shape {array.shape} and type {array.dtype}; pass numbers with red, green and blue on the last "
            "axis."
        )
    if array.dtype != np.uint8:
        high = check_range(array, name)
        if array.dtype.kind == "f" and high <= 1:
            array = array * 255
        elif high > 255:
            array = array / 257
        array = np.rint(array).astype(np.uint8)
    return _on_white(array) if array.shape[-1] == 4 else array


def check_range(array: NDArray[Any], name: str) -> float:
    """Return the highest value of an image, and raise ``ValueError`` unless all are from 0 to 65,535."""
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high) and 0 <= low and high <= 65535):
        raise ValueError(f"{name} has values from {low} to {high}; pass colours from 0 to 255, or from 0 to 1.")
    return high


def grey_as_rgb(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Show brightness as greys, from black at its lowest to white at its highest value. ``(...)`` to ``(..., 3)``."""
    values = np.nan_to_num(np.asarray(values, dtype=np.float32))
    low, high = values.min(), values.max()
    greys = np.rint((values - low) * (255 / (high - low) if high > low else 0))
    return np.repeat(greys.astype(np.uint8)[..., None], 3, axis=-1)


def _on_white(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay colours with an opacity over white. ``(..., 4)`` to ``(..., 3)``."""
    opacity = colors[..., 3:].astype(np.uint16)
    if (opacity == 255).all():
        return colors[..., :3]
    return ((colors[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
