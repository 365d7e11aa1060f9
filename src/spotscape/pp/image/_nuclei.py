"""Number, size and shape of the nuclei of tiles."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spotscape.pp.image._texture import histograms

#: Smaller specks are no nuclei.
MIN_AREA = 8
NUCLEI_NAMES = (
    "number of nuclei",
    "share of nuclei in the area",
    "mean area of nuclei",
    "mean eccentricity of nuclei",
    "contrast of nuclei",
)
# Pixels touch in their own tile only, by sides and by corners.
_TOUCHING = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])


def nuclei_features(haematoxylin: NDArray[np.uint8]) -> NDArray[np.float32]:
    r"""Compute statistics of the connected regions above Otsu's threshold of haematoxylin :cite:p:`Otsu1979`.

    The threshold is that of the tile. It finds two classes in any tile; the contrast (difference of the means of
    haematoxylin inside and outside) tells whether they mean anything. Nuclei that touch count as one. The eccentricity
    :math:`(1 - \lambda_2 / \lambda_1)^{1/2}` is that of the ellipse with the same second moments; 0 is a circle.

    Parameters
    ----------
    haematoxylin
        Amount of the stain. ``(n_tiles, n_pixels, n_pixels)``.

    Returns
    -------
    One column for each of ``NUCLEI_NAMES``; all are 0 in a tile without nuclei. ``(n_tiles, 5)``.
    """
    n_tiles = len(haematoxylin)
    inside = haematoxylin > otsu_thresholds(haematoxylin)[:, None, None]
    regions, n_regions = ndimage.label(inside, structure=_TOUCHING)
    tile, row, column = np.nonzero(inside)
    region = regions[tile, row, column] - 1
    area = np.bincount(region, minlength=n_regions)
    large = area >= MIN_AREA
    tile_of_region = np.zeros(n_regions, dtype=np.intp)
    tile_of_region[region] = tile

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(region, weights=values, minlength=n_regions) / np.maximum(area, 1)

    eccentricity = _eccentricity(mean, region, row.astype(np.float64), column.astype(np.float64))

    def per_tile(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(tile_of_region[large], weights=weights[large], minlength=n_tiles).astype(np.float64)

    number, covered = per_tile(np.ones(n_regions)), per_tile(area.astype(np.float64))
    stain_inside = per_tile(mean(haematoxylin[inside].astype(np.float64)) * area) / 255
    n_pixels = haematoxylin[0].size
    stain = haematoxylin.reshape(n_tiles, -1).sum(axis=1, dtype=np.float64) / 255
    outside = np.maximum(n_pixels - covered, 1)
    contrast = np.where(number > 0, stain_inside / np.maximum(covered, 1) - (stain - stain_inside) / outside, 0.0)
    some = np.maximum(number, 1)
    columns = [number, covered / n_pixels, covered / some, per_tile(eccentricity) / some, contrast]
    return np.column_stack(columns).astype(np.float32)


def otsu_thresholds(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Threshold of each tile: the value that best separates those up to it from those above. ``(n_tiles,)``."""
    counts = histograms(images).astype(np.float64)
    below = counts.cumsum(axis=1)
    sums = (counts * np.arange(256)).cumsum(axis=1)
    above = below[:, -1:] - below
    valid = (below > 0) & (above > 0)
    difference = sums / np.where(valid, below, 1) - (sums[:, -1:] - sums) / np.where(valid, above, 1)
    # A tile of one value has no two classes; with the highest threshold it has no nuclei either.
    between = np.where(valid, below * above * difference**2, -1.0)
    return np.where(valid.any(axis=1), between.argmax(axis=1), 255)


def _eccentricity(
    mean: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    region: NDArray[np.intp],
    row: NDArray[np.float64],
    column: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Eccentricity of each region, from the means of what its pixels are."""
    row, column = row - mean(row)[region], column - mean(column)[region]
    rows, columns, both = mean(row**2), mean(column**2), mean(row * column)
    root = np.sqrt((rows - columns) ** 2 + 4 * both**2)
    large, small = (rows + columns + root) / 2, (rows + columns - root) / 2
    return np.sqrt(np.where(large > 0, 1 - np.clip(small, 0, None) / np.where(large > 0, large, 1), 0.0))
