"""Texture of tiles: co-occurrence of grey levels, local binary patterns, entropy and edges, for many tiles at once."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

N_LEVELS = 32
DISTANCES = (1, 3, 5)
#: Points and radius of the circles.
CIRCLES = ((8, 1), (16, 2))
#: Sobel's gradient, with black at 0 and white at 1, from which a pixel is an edge.
EDGE = 0.05
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")

COOCCURRENCE_NAMES = tuple(f"{name} at {distance} pixels" for distance in DISTANCES for name in PROPERTIES)
PATTERN_NAMES = tuple(
    f"local binary pattern {n_points}-{radius}-{k}" for n_points, radius in CIRCLES for k in range(n_points + 2)
)


def cooccurrence_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    r"""Compute properties of the co-occurrence of grey levels :cite:p:`Haralick1973`, averaged over four directions.

    With :math:`P_{ij}` the share of the pairs of pixels, at a distance and in a direction, that have the levels
    :math:`i` and :math:`j` (each pair counted both ways): contrast :math:`\sum P_{ij} (i - j)^2`, dissimilarity
    :math:`\sum P_{ij} |i - j|`, homogeneity :math:`\sum P_{ij} / (1 + (i - j)^2)`, energy
    :math:`(\sum P_{ij}^2)^{1/2}` and the correlation of :math:`i` and :math:`j`, which is 1 where all are equal.

    Parameters
    ----------
    images
        Grey values, which are brought to 32 levels. ``(n_tiles, n_pixels, n_pixels)``.

    Returns
    -------
    One column for each of ``COOCCURRENCE_NAMES``. ``(n_tiles, 15)``.
    """
    n_tiles = len(images)
    levels = (images // (256 // N_LEVELS)).astype(np.int32)
    first_bin = (np.arange(n_tiles, dtype=np.int32) * N_LEVELS**2)[:, None, None]
    features = np.zeros((n_tiles, len(DISTANCES), len(PROPERTIES)))
    for d, distance in enumerate(DISTANCES):
        diagonal = int(distance * np.sqrt(0.5) + 0.5)
        steps = ((0, distance), (diagonal, diagonal), (distance, 0), (diagonal, -diagonal))
        for rows, columns in steps:
            first, second = _pairs(levels, rows, columns)
            bins = first_bin + first * N_LEVELS + second
            counts = np.bincount(bins.ravel(), minlength=n_tiles * N_LEVELS**2)
            counts = counts.reshape(n_tiles, N_LEVELS, N_LEVELS).astype(np.float64)
            features[:, d] += _properties((counts + counts.transpose(0, 2, 1)) / (2 * first[0].size))
    return (features / 4).reshape(n_tiles, -1).astype(np.float32)


def _pairs(images: NDArray[np.int32], rows: int, columns: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Pixels that have a partner so many rows below and columns to the right, and these partners."""
    height, width = images.shape[1:]
    left, right = max(0, -columns), width - max(0, columns)
    return images[:, : height - rows, left:right], images[:, rows:, left + columns : right + columns]


def _properties(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    level = np.arange(N_LEVELS, dtype=np.float64)
    difference = level[:, None] - level
    weights = np.stack([difference**2, np.abs(difference), 1 / (1 + difference**2)])
    sums = shares.reshape(len(shares), -1) @ weights.reshape(3, -1).T
    energy = np.sqrt((shares**2).sum(axis=(1, 2)))
    margin = shares.sum(axis=2)
    variance = margin @ level**2 - (margin @ level) ** 2
    # Of a symmetric matrix: E[(i - j)^2] = 2 (variance - covariance).
    even = variance < 1e-12
    correlation = np.where(even, 1.0, 1 - sums[:, 0] / (2 * np.where(even, 1.0, variance)))
    return np.column_stack([sums, energy, correlation])


def pattern_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the shares of uniform local binary patterns :cite:p:`Ojala2002`, which rotations leave as they are.

    Points on a circle around each pixel are 1 where they are at least as bright as it. Patterns with at most two
    changes along the circle are counted by their number of ones, all others together.

    Parameters
    ----------
    images
        Grey values. ``(n_tiles, n_pixels, n_pixels)``.

    Returns
    -------
    One column for each of ``PATTERN_NAMES``. ``(n_tiles, 28)``.
    """
    return np.concatenate([_pattern_shares(images, *circle) for circle in CIRCLES], axis=1).astype(np.float32)


def _pattern_shares(images: NDArray[np.uint8], n_points: int, radius: int) -> NDArray[np.float64]:
    n_tiles, height, width = images.shape
    edge = radius + 1
    # Outside of the tile it is dark, as in scikit-image, whose patterns these are.
    padded = np.pad(images.astype(np.float64), ((0, 0), (edge, edge), (edge, edge)))
    angle = 2 * np.pi * np.arange(n_points) / n_points
    offsets = np.round(np.column_stack([-radius * np.sin(angle), radius * np.cos(angle)]), 5)
    previous: NDArray[np.bool_] | None = None
    ones = np.zeros(images.shape, dtype=np.int8)
    changes = np.zeros(images.shape, dtype=np.int8)
    for row_offset, column_offset in offsets:
        brighter = _interpolated(padded, row_offset, column_offset, edge, height, width) >= images
        ones += brighter
        if previous is not None:
            changes += brighter != previous
        previous = brighter
    patterns = np.where(changes <= 2, ones, n_points + 1) + np.arange(n_tiles)[:, None, None] * (n_points + 2)
    counts = np.bincount(patterns.ravel(), minlength=n_tiles * (n_points + 2))
    return counts.reshape(n_tiles, n_points + 2) / (height * width)


def _interpolated(
    padded: NDArray[np.float64], row_offset: float, column_offset: float, edge: int, height: int, width: int
) -> NDArray[np.float64]:
    """Values at an offset from each pixel, between the four around that place."""
    rows, columns = np.arange(height) + row_offset, np.arange(width) + column_offset
    # The weights are taken from the sums, with their rounding, so that ties fall as in scikit-image.
    down, right = (rows - np.floor(rows))[:, None], columns - np.floor(columns)
    top, left = int(np.floor(row_offset)) + edge, int(np.floor(column_offset)) + edge

    def line(first: int) -> NDArray[np.float64]:
        part = padded[:, first : first + height]
        if column_offset == int(column_offset):
            return part[:, :, left : left + width]
        return (1 - right) * part[:, :, left : left + width] + right * part[:, :, left + 1 : left + 1 + width]

    return line(top) if row_offset == int(row_offset) else (1 - down) * line(top) + down * line(top + 1)


def entropy(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shannon entropy of the grey values of each tile, in bits. ``(n_tiles,)``."""
    shares = histograms(images) / images[0].size
    return -(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum(axis=1).astype(np.float32)


def edge_density(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of pixels where Sobel's gradient of the brightness is at least 0.05. ``(n_tiles,)``."""
    values = images.astype(np.float32) / np.float32(255)
    energy = np.zeros_like(values)
    for along, across in ((1, 2), (2, 1)):
        slope = ndimage.correlate1d(values, [-1.0, 0.0, 1.0], along, mode="reflect")
        energy += ndimage.correlate1d(slope, [0.25, 0.5, 0.25], across, mode="reflect") ** 2
    return (np.sqrt(energy / 2) >= EDGE).mean(axis=(1, 2)).astype(np.float32)


def histograms(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each of the 256 values occurs in each tile. ``(n_tiles, 256)``."""
    bins = images.reshape(len(images), -1) + np.arange(len(images), dtype=np.int32)[:, None] * 256
    return np.bincount(bins.ravel(), minlength=len(images) * 256).reshape(-1, 256)
