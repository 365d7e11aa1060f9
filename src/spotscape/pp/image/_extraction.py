"""Tiles of a slide, and extraction of their features in batches, so that only a few tiles are in memory at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from tqdm.auto import tqdm

from spotscape.pp.image._slide import Slide, evenly_chosen_spots
from spotscape.pp.image._stain import fit_stain_normalizer

Extractor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
TileReader = Callable[[NDArray[np.intp] | slice, float], NDArray[np.uint8]]

_BATCH_SIZE = 32
#: Number of tiles from which the stains of a slide are learned, and the step between pixels in both directions.
_N_STAIN_TILES = 500
_STAIN_PIXEL_STEP = 4


def tile_reader(
    slide: Slide, pixels: NDArray[np.uint8], spot_names: NDArray[Any], stain: str, n_pixels: int
) -> TileReader:
    """Learn the stains of a slide from tiles evenly chosen among its spots; the tiles come after normalisation.

    Returns
    -------
    Function of some spots and of a scale to their tiles, ``(n_tiles, n_pixels, n_pixels, 3)``.
    """

    def read(spots: NDArray[np.intp] | slice, scale: float) -> NDArray[np.uint8]:
        return slide.tiles(pixels, spots, scale, n_pixels)

    if stain == "none":
        return read
    tiles = read(evenly_chosen_spots(spot_names, _N_STAIN_TILES), 1.0)
    stain_pixels = tiles[:, ::_STAIN_PIXEL_STEP, ::_STAIN_PIXEL_STEP].reshape(-1, 3)
    normalize = fit_stain_normalizer(stain, stain_pixels, slide.name)
    return lambda spots, scale: normalize(read(spots, scale))


def extract_features(
    read: TileReader,
    n_spots: int,
    extractors: Sequence[Extractor],
    scales: Sequence[float],
    *,
    n_jobs: int,
    progress: tqdm,
) -> NDArray[np.float32]:
    """Features of all spots of a slide; one extractor per scale, concatenated by columns. ``(n_spots, n_features)``."""

    def features_of_batch(spots: slice) -> NDArray[np.float32]:
        features = [extract(read(spots, scale)) for extract, scale in zip(extractors, scales, strict=True)]
        return np.concatenate(features, axis=1)

    batches = (slice(start, start + _BATCH_SIZE) for start in range(0, n_spots, _BATCH_SIZE))
    # Threads share the image. The batches do not depend on the number of threads, so neither do the features.
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    all_features = []
    for features in parallel(delayed(features_of_batch)(batch) for batch in batches):
        all_features.append(features)
        progress.update(len(features))
    return np.concatenate(all_features)
