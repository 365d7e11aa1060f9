"""Tiles: squares cut out of an image around the spots and resized to the same number of pixels."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from spotscape._images import picture_as_rgb

#: Pillow modes that convert to 8-bit RGB without loss; 16-bit modes would be clipped at 255.
_CONVERTIBLE_MODES = ("RGB", "RGBA", "RGBX", "L", "LA", "P", "PA", "CMYK", "YCbCr")
_DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, UnidentifiedImageError)


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file, from its header alone."""
    with _open_image(path) as image:
        return image.height, image.width


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a TIFF, JPEG or PNG file as RGB. ``(height, width, 3)``."""
    with _open_image(path) as image:
        return picture_as_rgb(image)


def cut_tiles(image: NDArray[np.uint8], centres: NDArray[np.float64], width: float, n_pixels: int) -> NDArray[np.uint8]:
    """Cut a square around each centre and resize it to ``n_pixels`` by ``n_pixels`` pixels.

    Parameters
    ----------
    image
        RGB colours. ``(height, width, 3)``.
    centres
        Positions x, y in pixels of the image; pixel 0 covers the interval from 0 to 1. ``(n_spots, 2)``.
    width
        Side of the squares in pixels of the image; any positive number.
    n_pixels
        Side of the returned tiles. Downsampling averages, upsampling interpolates linearly.

    Returns
    -------
    Tiles; the image is extended by reflection at its borders. ``(n_spots, n_pixels, n_pixels, 3)``.
    """
    tiles = np.empty((len(centres), n_pixels, n_pixels, 3), dtype=np.uint8)
    # The resampling filter extends this far beyond the square.
    margin = int(np.ceil(max(width / n_pixels, 1.0))) + 1
    for tile, (x, y) in zip(tiles, centres, strict=True):
        left, top = x - width / 2, y - width / 2
        columns = np.arange(int(np.floor(left)) - margin, int(np.ceil(left + width)) + margin)
        rows = np.arange(int(np.floor(top)) - margin, int(np.ceil(top + width)) + margin)
        inside = rows[0] >= 0 and columns[0] >= 0 and rows[-1] < image.shape[0] and columns[-1] < image.shape[1]
        crop = (
            image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            if inside
            else image[np.ix_(_reflected(rows, image.shape[0]), _reflected(columns, image.shape[1]))]
        )
        box = (left - columns[0], top - rows[0], left - columns[0] + width, top - rows[0] + width)
        tile[:] = _resampled(crop, n_pixels, box)
    return tiles


def resize_tiles(tiles: NDArray[np.uint8], n_pixels: int) -> NDArray[np.uint8]:
    """Resize whole tiles. ``(n_spots, n_pixels, n_pixels, 3)``."""
    if tiles.shape[1:3] == (n_pixels, n_pixels):
        return tiles
    return np.stack([_resampled(tile, n_pixels, None) for tile in tiles])


def _resampled(
    crop: NDArray[np.uint8], n_pixels: int, box: tuple[float, float, float, float] | None
) -> NDArray[np.uint8]:
    # Pillow widens the filter when it downsamples, which avoids aliasing.
    image = Image.fromarray(np.ascontiguousarray(crop))
    return np.asarray(image.resize((n_pixels, n_pixels), Image.Resampling.BILINEAR, box=box))


def _reflected(positions: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Positions inside an axis of a length, reflected at its ends."""
    folded = positions % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no image at {str(path)!r}; pass the path of a TIFF, JPEG or PNG file.")
    limit = Image.MAX_IMAGE_PIXELS
    # Pillow refuses images as large as whole slides as possible attacks; this file was chosen by the user.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(path) as image:
            if image.mode not in _CONVERTIBLE_MODES:
                raise ValueError(f"its colour mode is {image.mode!r}")
            yield image
    except _DECODING_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"The image {str(path)!r} cannot be read ({reason[:120]}); repair or convert it, or pass an array."
        ) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
