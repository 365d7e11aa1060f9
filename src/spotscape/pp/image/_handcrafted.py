"""Colour, texture and nuclei of tiles in one row of numbers, without a network."""

import numpy as np
from numpy.typing import NDArray

from spotscape.pp.image._color import COLOR_NAMES, color_features
from spotscape.pp.image._gabor import GABOR_NAMES, gabor_features
from spotscape.pp.image._nuclei import NUCLEI_NAMES, nuclei_features
from spotscape.pp.image._stain import unmix
from spotscape.pp.image._texture import (
    COOCCURRENCE_NAMES,
    PATTERN_NAMES,
    cooccurrence_features,
    edge_density,
    entropy,
    pattern_features,
)

#: Counted up with every change of the numbers, so that caches of other versions are not read.
HANDCRAFTED_VERSION = 1

HANDCRAFTED_NAMES = (
    *COLOR_NAMES,
    *(f"{name} of {image}" for image in ("grey", "haematoxylin") for name in COOCCURRENCE_NAMES),
    *PATTERN_NAMES,
    *(f"{name} of {image}" for image in ("grey", "haematoxylin") for name in GABOR_NAMES),
    "entropy",
    "edge density",
    *NUCLEI_NAMES,
)

_GREY = np.array([0.2125, 0.7154, 0.0721], dtype=np.float32)
#: Amount of haematoxylin that becomes 255; nuclei that are darker are all the same.
_MOST_HAEMATOXYLIN = 4.0


def handcrafted_features(tiles: NDArray[np.uint8], *, colors_only: bool = False) -> NDArray[np.float32]:
    """Compute all statistics of colour, texture and nuclei of tiles.

    Parameters
    ----------
    tiles
        Colours. ``(n_tiles, n_pixels, n_pixels, 3)``.
    colors_only
        Leave out texture and nuclei, which say nothing where few pixels of an image were spread over a tile.

    Returns
    -------
    One column for each of ``HANDCRAFTED_NAMES``, or of ``COLOR_NAMES``. ``(n_tiles, 99)`` or ``(n_tiles, 26)``.
    """
    stains = unmix(tiles)[..., :2]
    if colors_only:
        return color_features(tiles, stains)
    grey = np.rint(tiles @ _GREY).astype(np.uint8)
    scaled = stains[..., 0] * np.float32(255 / _MOST_HAEMATOXYLIN)
    haematoxylin = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    images = (grey, haematoxylin)
    parts = [
        color_features(tiles, stains),
        *(cooccurrence_features(image) for image in images),
        pattern_features(grey),
        *(gabor_features(image) for image in images),
        np.column_stack([entropy(grey), edge_density(grey)]),
        nuclei_features(haematoxylin),
    ]
    return np.concatenate(parts, axis=1)
