"""Handcrafted features of tiles: colours, stains, texture and nuclei, computed by scikit-image."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import color, feature, filters, measure
from skimage.util import img_as_ubyte

from spotscape.pp.image._gabor import FREQUENCIES, gabor_features
from spotscape.pp.image._stain import deconvolve_stains

#: Increase this with every change of the features, so that caches of an older version are not read.
HANDCRAFTED_VERSION = 2

PERCENTILES = (5, 25, 50, 75, 95)
GLCM_LEVELS = 32
GLCM_DISTANCES = (1, 3, 5)
GLCM_ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
GLCM_PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation")
#: Number of points and radius in pixels of the circles of the local binary patterns.
LBP_CIRCLES = ((8, 1), (16, 2))
#: Gradient of the Sobel filter above which a pixel is an edge; intensities are between 0 and 1.
EDGE_THRESHOLD = 0.05
#: Smallest nucleus in pixels of the tile.
MIN_NUCLEUS_AREA = 8

# Optical density of haematoxylin that becomes 255 in the 8-bit image used for texture and nuclei.
_MAX_HAEMATOXYLIN = 4.0

COLOR_NAMES = tuple(
    [
        f"{statistic} of {channel}"
        for channel in ("red", "green", "blue", "lightness", "Lab a", "Lab b")
        for statistic in ("mean", "sd")
    ]
    + [
        f"{statistic} of {stain}"
        for stain in ("haematoxylin", "eosin")
        for statistic in ("mean", "sd", *(f"percentile {q}" for q in PERCENTILES))
    ]
)
GLCM_NAMES = tuple(f"GLCM {name} at {distance} px" for distance in GLCM_DISTANCES for name in GLCM_PROPERTIES)
LBP_NAMES = tuple(f"LBP({points},{radius}) bin {k}" for points, radius in LBP_CIRCLES for k in range(points + 2))
GABOR_NAMES = tuple(f"Gabor amplitude at {frequency:g} cycles/px" for frequency in FREQUENCIES)
NUCLEI_NAMES = (
    "number of nuclei",
    "nuclear area fraction",
    "mean nuclear area",
    "mean nuclear eccentricity",
    "nuclear contrast",
)
HANDCRAFTED_NAMES = (
    *COLOR_NAMES,
    *(f"{name} of {image}" for image in ("grey", "haematoxylin") for name in GLCM_NAMES),
    *LBP_NAMES,
    *(f"{name} of {image}" for image in ("grey", "haematoxylin") for name in GABOR_NAMES),
    "entropy",
    "edge density",
    *NUCLEI_NAMES,
)


def handcrafted_features(tiles: NDArray[np.uint8], *, colors_only: bool = False) -> NDArray[np.float32]:
    """Compute all statistics of colour, texture and nuclei of tiles.

    Parameters
    ----------
    tiles
        RGB colours. ``(n_tiles, n_pixels, n_pixels, 3)``.
    colors_only
        Leave out texture and nuclei, which are not informative where a tile was enlarged from a few pixels.

    Returns
    -------
    One column for each of ``HANDCRAFTED_NAMES``, or of ``COLOR_NAMES``. ``(n_tiles, 99)`` or ``(n_tiles, 26)``.
    """
    if colors_only:
        return color_features(tiles)
    grey, haematoxylin = grey_images(tiles), haematoxylin_images(tiles)
    return np.concatenate(
        [
            color_features(tiles),
            glcm_features(grey),
            glcm_features(haematoxylin),
            lbp_features(grey),
            gabor_features(grey),
            gabor_features(haematoxylin),
            entropy_and_edges(grey),
            nuclei_features(haematoxylin),
        ],
        axis=1,
    )


def grey_images(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luminance of the tiles. ``(n_tiles, n_pixels, n_pixels)``."""
    return img_as_ubyte(color.rgb2gray(tiles))


def haematoxylin_images(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Amount of haematoxylin as 8-bit images; an optical density of 4 or more is 255. Same shape as grey images."""
    amount = deconvolve_stains(tiles)[..., 0] / _MAX_HAEMATOXYLIN
    return img_as_ubyte(np.clip(amount, 0, 1))


def color_features(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute mean and standard deviation of RGB, CIE Lab and the two stains, and percentiles of the stains.

    Parameters
    ----------
    tiles
        RGB colours. ``(n_tiles, n_pixels, n_pixels, 3)``.

    Returns
    -------
    One column for each of ``COLOR_NAMES``; RGB is between 0 and 1, stains are optical densities. ``(n_tiles, 26)``.
    """
    images = np.concatenate([tiles / 255, color.rgb2lab(tiles), deconvolve_stains(tiles)[..., :2]], axis=-1)
    pixels = images.reshape(len(tiles), -1, images.shape[-1])
    moments = np.stack([pixels.mean(axis=1), pixels.std(axis=1)], axis=2)
    percentiles = np.percentile(pixels[..., 6:], PERCENTILES, axis=1).transpose(1, 2, 0)
    stains = np.concatenate([moments[:, 6:], percentiles], axis=2)
    return np.concatenate(
        [values.reshape(len(tiles), -1) for values in (moments[:, :6], stains)], axis=1, dtype=np.float32
    )


def glcm_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    r"""Compute properties of grey-level co-occurrence matrices (GLCM) :cite:p:`Haralick1973`.

    With :math:`P_{ij}` the share of pixel pairs at a distance and in a direction that have the levels :math:`i` and
    :math:`j` (each pair is counted in both orders): contrast :math:`\sum P_{ij} (i - j)^2`, dissimilarity
    :math:`\sum P_{ij} |i - j|`, homogeneity :math:`\sum P_{ij} / (1 + (i - j)^2)`, energy
    :math:`(\sum P_{ij}^2)^{1/2}` and the correlation of :math:`i` and :math:`j`. Each is the mean over four
    directions.

    Parameters
    ----------
    images
        Grey values, which are binned to 32 levels. ``(n_tiles, n_pixels, n_pixels)``.

    Returns
    -------
    One column for each of ``GLCM_NAMES``. ``(n_tiles, 15)``.
    """

    def properties(image: NDArray[np.uint8]) -> NDArray[np.float64]:
        glcm = feature.graycomatrix(
            image // (256 // GLCM_LEVELS), GLCM_DISTANCES, GLCM_ANGLES, levels=GLCM_LEVELS, symmetric=True, normed=True
        )
        values = [feature.graycoprops(glcm, name).mean(axis=1) for name in GLCM_PROPERTIES]
        return np.stack(values, axis=1).ravel()

    return _of_each(images, properties)


def lbp_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute histograms of uniform local binary patterns (LBP), invariant to rotation :cite:p:`Ojala2002`.

    Parameters
    ----------
    images
        Grey values. ``(n_tiles, n_pixels, n_pixels)``.

    Returns
    -------
    One column for each of ``LBP_NAMES``; the last bin of each circle holds all non-uniform patterns. ``(n_tiles, 28)``.
    """

    def histograms(image: NDArray[np.uint8]) -> NDArray[np.float64]:
        shares = []
        for n_points, radius in LBP_CIRCLES:
            patterns = feature.local_binary_pattern(image, n_points, radius, method="uniform").astype(np.intp)
            shares.append(np.bincount(patterns.ravel(), minlength=n_points + 2) / image.size)
        return np.concatenate(shares)

    return _of_each(images, histograms)


def entropy_and_edges(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute Shannon entropy of the grey values in bits, and the share of edge pixels. ``(n_tiles, 2)``."""

    def values(image: NDArray[np.uint8]) -> tuple[float, float]:
        return measure.shannon_entropy(image), (filters.sobel(image) >= EDGE_THRESHOLD).mean()

    return _of_each(images, values)


def nuclei_features(haematoxylin: NDArray[np.uint8]) -> NDArray[np.float32]:
    r"""Compute statistics of nuclei: connected regions above Otsu's threshold of haematoxylin :cite:p:`Otsu1979`.

    The threshold is found in each tile, and splits any tile that is not of one value; the contrast (mean haematoxylin
    inside nuclei minus that outside) shows whether the split is meaningful. Touching nuclei count as one. The
    eccentricity :math:`(1 - \lambda_2 / \lambda_1)^{1/2}` is that of the ellipse with the same second moments, 0 for
    a circle.

    Parameters
    ----------
    haematoxylin
        Amount of the stain. ``(n_tiles, n_pixels, n_pixels)``.

    Returns
    -------
    One column for each of ``NUCLEI_NAMES``; areas are in pixels of the tile, and all are 0 in a tile without nuclei.
    ``(n_tiles, 5)``.
    """

    def statistics(image: NDArray[np.uint8]) -> tuple[float, ...]:
        labels = measure.label(image > filters.threshold_otsu(image))
        labels[np.bincount(labels.ravel())[labels] < MIN_NUCLEUS_AREA] = 0
        nuclei = measure.regionprops(labels)
        if not nuclei:
            return (0.0,) * len(NUCLEI_NAMES)
        inside = labels > 0
        return (
            len(nuclei),
            inside.mean(),
            np.mean([nucleus.area for nucleus in nuclei]),
            np.mean([nucleus.eccentricity for nucleus in nuclei]),
            (image[inside].mean() - image[~inside].mean()) / 255,
        )

    return _of_each(haematoxylin, statistics)


def _of_each(images: NDArray[np.uint8], describe: Callable[..., Any]) -> NDArray[np.float32]:
    """Values of each image, one row each. ``(n_tiles, n_features)``."""
    return np.array([describe(image) for image in images], dtype=np.float32)
