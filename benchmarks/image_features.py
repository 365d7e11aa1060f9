"""Measure how long each group of handcrafted image features takes per tile, on one core.

    python benchmarks/image_features.py [section.h5ad --patches-key patches] [--tiles 300] [--pixels 64] [--repeats 3]

Without a section, the tiles are drawn: pink tissue with violet nuclei. The time of nuclei depends on their number.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import anndata
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spotscape.pp.image import _handcrafted as handcrafted
from spotscape.pp.image._gabor import gabor_features
from spotscape.pp.image._sources import read_patches
from spotscape.pp.image._tiles import resize_tiles

# As many as the package describes at a time.
BATCH_SIZE = 32


def synthetic_tiles(n_tiles: int, n_pixels: int, *, n_nuclei: int = 30, seed: int = 0) -> NDArray[np.uint8]:
    """Draw tiles of pink tissue with violet nuclei of random positions and sizes."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:n_pixels, :n_pixels]
    tiles = np.array([200.0, 150.0, 190.0]) + rng.normal(0, 12, (n_tiles, n_pixels, n_pixels, 1))
    for tile in tiles:
        for y, x, radius in rng.uniform([0, 0, 1.5], [n_pixels, n_pixels, 4], (n_nuclei, 3)):
            tile[(row - y) ** 2 + (column - x) ** 2 < radius**2] -= rng.uniform(60, 110)
    return np.clip(tiles, 0, 255).astype(np.uint8)


def feature_groups(tiles: NDArray[np.uint8]) -> dict[str, Callable[[], Any]]:
    """Return a function without arguments for each group of features of a batch of tiles."""
    grey, haematoxylin = handcrafted.grey_images(tiles), handcrafted.haematoxylin_images(tiles)
    both = (grey, haematoxylin)
    return {
        "grey and haematoxylin images": lambda: [
            handcrafted.grey_images(tiles),
            handcrafted.haematoxylin_images(tiles),
        ],
        "colours and stains": partial(handcrafted.color_features, tiles),
        "GLCM": lambda: [handcrafted.glcm_features(images) for images in both],
        "local binary patterns": partial(handcrafted.lbp_features, grey),
        "Gabor filters": lambda: [gabor_features(images) for images in both],
        "entropy and edges": partial(handcrafted.entropy_and_edges, grey),
        "nuclei": partial(handcrafted.nuclei_features, haematoxylin),
        "all": partial(handcrafted.handcrafted_features, tiles),
    }


def time_per_tile(tiles: NDArray[np.uint8], n_repeats: int) -> pd.DataFrame:
    """Processor time per tile of each group in milliseconds: the shortest of the repeats of each batch, summed."""
    # The first call loads modules and computes the weights of the filters.
    handcrafted.handcrafted_features(tiles[:1])
    shortest = []
    for start in range(0, len(tiles), BATCH_SIZE):
        groups = feature_groups(tiles[start : start + BATCH_SIZE])
        shortest.append({name: min(_seconds(compute) for _ in range(n_repeats)) for name, compute in groups.items()})
    time_of_groups = pd.DataFrame(shortest).sum() * 1000 / len(tiles)
    return pd.DataFrame({"ms per tile": time_of_groups, "share of all": time_of_groups / time_of_groups["all"]})


def _seconds(compute: Callable[[], Any]) -> float:
    start = time.process_time()
    compute()
    return time.process_time() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Time all groups and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="?", help="file with tiles in obsm (default: drawn tiles)")
    parser.add_argument("--patches-key", metavar="KEY", help="key of the tiles in obsm")
    parser.add_argument("--tiles", type=int, default=300, help="largest number of tiles (default: 300)")
    parser.add_argument("--pixels", type=int, default=64, help="side of the tiles (default: 64)")
    parser.add_argument("--repeats", type=int, default=3, help="number of repeats of each batch (default: 3)")
    options = parser.parse_args(arguments)
    if (options.section is None) != (options.patches_key is None):
        parser.error("give a section and --patches-key together")
    for name in ("tiles", "repeats"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}; it must be at least 1")
    if options.section is None:
        tiles = synthetic_tiles(options.tiles, options.pixels)
    else:
        patches = read_patches(anndata.read_h5ad(options.section), options.patches_key)
        tiles = resize_tiles(patches[: options.tiles], options.pixels)
    print(time_per_tile(tiles, options.repeats).to_string(float_format="{:.3f}".format))
    return 0


if __name__ == "__main__":
    sys.exit(main())
