"""How tiles become features: batch by batch, so that only a few tiles are in memory as numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from tqdm.auto import tqdm

from spotscape.pp.image._slide import Slide, batches, spread_over
from spotscape.pp.image._stain import Normalizer, fit_stain

Extractor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

_BATCH_SIZE = 32
#: Tiles whose pixels the stains of a slide are learnt from, every fourth pixel in both directions.
_N_STAIN_TILES = 500
_STAIN_STEP = 4


def slide_normalizer(
    slide: Slide, pixels: NDArray[np.uint8], names: NDArray[Any], stain: str, n_pixels: int
) -> Normalizer | None:
    """Learn the stains of a slide from tiles spread over it; ``names`` are those of its spots."""
    if stain == "none":
        return None
    tiles = slide.tiles(pixels, spread_over(names, _N_STAIN_TILES), 1.0, n_pixels)
    return fit_stain(stain, tiles[:, ::_STAIN_STEP, ::_STAIN_STEP].reshape(-1, 3), slide.name)


def normalized_tiles(
    slide: Slide,
    pixels: NDArray[np.uint8],
    normalize: Normalizer | None,
    spots: NDArray[np.intp] | slice,
    scale: float,
    n_pixels: int,
) -> NDArray[np.uint8]:
    """Tiles of some spots of a slide in the stains of the reference. ``(n_tiles, n_pixels, n_pixels, 3)``."""
    tiles = slide.tiles(pixels, spots, scale, n_pixels)
    return tiles if normalize is None else normalize(tiles)


def stream_features(
    slide: Slide,
    pixels: NDArray[np.uint8],
    normalize: Normalizer | None,
    extractors: Sequence[Extractor],
    *,
    scales: Sequence[float],
    n_pixels: int,
    n_jobs: int,
    progress: tqdm,
) -> NDArray[np.float32]:
    """Features of all spots of a slide, the scales, with an extractor each, side by side. ``(n_spots, n_features)``."""

    def features(batch: slice) -> NDArray[np.float32]:
        parts = [
            extract(normalized_tiles(slide, pixels, normalize, batch, scale, n_pixels))
            for extract, scale in zip(extractors, scales, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    # Threads share the image, and numpy lets them run side by side; the batches do not depend on their number.
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    found = []
    for part in parallel(delayed(features)(batch) for batch in batches(len(slide.spots), _BATCH_SIZE)):
        found.append(part)
        progress.update(len(part))
    return np.concatenate(found)
