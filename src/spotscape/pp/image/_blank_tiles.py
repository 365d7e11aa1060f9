"""Tiles without tissue, by which wrong positions are noticed."""

import warnings

import numpy as np
from numpy.typing import NDArray

from spotscape.pp.image._slide import Slide
from spotscape.pp.image._tiles import cut_tiles
from spotscape.preprocessing._subsample import evenly_spaced_rows

_N_TILES = 1000
_TILE_PIXELS = 8
_BACKGROUND_QUANTILE = 0.95
_MIN_BRIGHTNESS = 150
_MAX_COLOUR = 35
# Mean optical density above that of the background, in natural logarithms.
_MIN_DENSITY = 0.08
# On eight sections with images, at most 4 % of the tiles at the right positions are blank, and 16 to 41 % of those with
# x and y swapped.
_SHARE_TO_WARN = 0.15


def warn_of_blank_tiles(slide: Slide, pixels: NDArray[np.uint8]) -> None:
    """Warn if many tiles of a slide are as bright as its background.

    Parameters
    ----------
    slide
        A slide with an image. Stored patches are not checked.
    pixels
        Its image. ``(height, width, 3)``.
    """
    if slide.has_patches:
        return
    # Every spot has expression, so that tissue should lie under it.
    sample = pixels[:: max(1, pixels.shape[0] // 500), :: max(1, pixels.shape[1] // 500)].reshape(-1, 3)
    background = np.quantile(sample, _BACKGROUND_QUANTILE, axis=0)
    # Bare glass is bright and has no colour; an image without it is not checked.
    if background.min() < _MIN_BRIGHTNESS or np.ptp(background) > _MAX_COLOUR:
        return
    centres = slide.centres[evenly_spaced_rows(len(slide.centres), _N_TILES)]

    def blank(at: NDArray[np.float64]) -> float:
        tiles = cut_tiles(pixels, at, slide.tile_width, _TILE_PIXELS).reshape(len(at), -1, 3).astype(float)
        density = np.maximum(-np.log((tiles + 1) / (background + 1)), 0).mean(axis=(1, 2))
        return float((density < _MIN_DENSITY).mean())

    share = blank(centres)
    if share <= _SHARE_TO_WARN:
        return
    swapped = centres[:, ::-1]
    inside = (swapped < np.array(pixels.shape[1::-1])).all(axis=1)
    advice = "check the positions and `scale_factor`"
    if inside.mean() > 0.9 and (other := blank(swapped[inside])) < share / 2:
        advice = f"x and y may be swapped (with them the other way round it is {other:.0%})"
    name = f" of slice {slide.name!r}" if slide.name else ""
    warnings.warn(
        f"{share:.0%} of the tiles{name} show background and no tissue; {advice}.",
        UserWarning,
        stacklevel=3,
    )
