"""Stains: colour deconvolution into haematoxylin and eosin, and normalisation of the stains of a slide."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

#: What image features offer; see :func:`fit_stain_normalizer`.
STAIN_METHODS = ("none", "slide", "macenko")

#: Optical densities of red, green and blue of haematoxylin, eosin and DAB :cite:p:`Ruifrok2001`, as in scikit-image.
RUIFROK_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_DECONVOLUTION = np.linalg.inv(RUIFROK_STAINS).astype(np.float32)

# Optical density of each of the 256 intensities. One is added because the density of black would be infinite.
_DENSITY_OF_INTENSITY = (-np.log((np.arange(256) + 1) / 256)).astype(np.float32)

# Pixels of lower optical density are background. Macenko's method asks for this density in each colour (the published
# value, 0.15, is in decadic logarithms); the other method for this mean over the colours, which keeps pale tissue.
_MIN_DENSITY_MACENKO = 0.15 * np.log(10)
_MIN_MEAN_DENSITY = 0.15
_MIN_TISSUE_PIXELS = 100

# The reference of the normalisation is fixed, so that a slide never depends on the others. Stains and maximal densities
# are those of Macenko's program; means and standard deviations are rounded from breast and brain sections.
_REFERENCE_STAINS = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])
_REFERENCE_MAXIMA = np.array([1.9705, 1.0308])
_REFERENCE_MEANS = np.array([1.0, 0.0])
_REFERENCE_SDS = np.array([0.8, 0.2])

Normalizer = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def optical_density(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    r"""Optical density :math:`-\ln((I + 1) / 256)` of 8-bit intensities :math:`I`. Same shape."""
    return _DENSITY_OF_INTENSITY[colors]


def deconvolve_stains(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Amounts of haematoxylin, eosin and DAB in each pixel by colour deconvolution :cite:p:`Ruifrok2001`.

    Amounts may be negative. ``skimage.color.rgb2hed`` sets negative amounts to 0, which discards eosin in about half of
    the pixels of H&E images and cannot be inverted.

    Parameters
    ----------
    colors
        RGB colours. ``(..., 3)``.

    Returns
    -------
    Amounts, as optical densities in natural logarithms. ``(..., 3)``.
    """
    return optical_density(colors) @ _DECONVOLUTION


def fit_stain_normalizer(method: str, pixels: NDArray[np.uint8], slice_name: str) -> Normalizer:
    """Learn how to map the stains of a slide to those of the reference.

    Parameters
    ----------
    method
        ``"slide"``: haematoxylin and eosin of the tissue get the mean and standard deviation of the
        reference; ``"macenko"``: the two stain vectors of the slide are estimated :cite:p:`Macenko2009` and replaced by
        those of the reference.
    pixels
        RGB colours of pixels of the slide. ``(n_pixels, 3)``.
    slice_name
        Name of the slice, for messages.

    Returns
    -------
    A function from colours to normalised colours, 8 bits each.

    Raises
    ------
    ValueError
        If there are too few pixels of stained tissue.
    """
    density = optical_density(pixels)
    if method == "macenko":
        is_tissue = (density >= _MIN_DENSITY_MACENKO).all(axis=1)
    else:
        is_tissue = density.mean(axis=1) >= _MIN_MEAN_DENSITY
    tissue = pixels[is_tissue]
    if len(tissue) < _MIN_TISSUE_PIXELS:
        raise ValueError(
            f"Only {len(tissue)} of {len(pixels)} pixels under the spots of slice {slice_name!r} are stained tissue; "
            "check the image and the scale factor, or pass stain='none'."
        )
    if method == "macenko" and len(np.unique(tissue, axis=0)) < 3:
        raise ValueError(
            f"The tissue of slice {slice_name!r} has fewer than three colours, from which two stains cannot be "
            "estimated; check the image, or pass stain='none'."
        )
    return _fit_moments(tissue) if method == "slide" else _fit_macenko(tissue)


def _fit_moments(tissue: NDArray[np.uint8]) -> Normalizer:
    amounts = deconvolve_stains(tissue)[:, :2].astype(np.float64)
    gain = _REFERENCE_SDS / np.maximum(amounts.std(axis=0), 1e-6)
    shift = _REFERENCE_MEANS - gain * amounts.mean(axis=0)

    def normalize(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        normalized = deconvolve_stains(colors)
        normalized[..., :2] = normalized[..., :2] * gain.astype(np.float32) + shift.astype(np.float32)
        return _to_rgb(normalized @ RUIFROK_STAINS.astype(np.float32))

    return normalize


def macenko_stains(tissue: NDArray[np.uint8]) -> NDArray[np.float64]:
    r"""Estimate the stain vectors of haematoxylin and eosin of a slide :cite:p:`Macenko2009`.

    The optical densities :math:`d_i` are projected on the plane of the two leading eigenvectors :math:`v_1, v_2` of
    their covariance. The stain vectors are the directions at the 1st and 99th percentile of the angle
    :math:`\varphi_i = \operatorname{atan2}(d_i^\top v_2, d_i^\top v_1)`. Haematoxylin is the one that absorbs more red.

    Parameters
    ----------
    tissue
        RGB colours of pixels of stained tissue. ``(n_pixels, 3)``.

    Returns
    -------
    Unit vectors: haematoxylin, eosin. ``(2, 3)``.
    """
    density = optical_density(tissue).astype(np.float64)
    plane = np.linalg.eigh(np.cov(density.T))[1][:, [2, 1]]
    # The sign of an eigenvector is arbitrary. Densities are positive, so with positive eigenvectors their angles do not
    # cross from pi to -pi.
    plane *= np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    projected = density @ plane
    angles = np.percentile(np.arctan2(projected[:, 1], projected[:, 0]), [1, 99])
    stains = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane.T
    return stains if stains[0, 0] > stains[1, 0] else stains[::-1]


def _fit_macenko(tissue: NDArray[np.uint8]) -> Normalizer:
    deconvolution = np.linalg.pinv(macenko_stains(tissue))
    maxima = np.percentile(optical_density(tissue) @ deconvolution, 99, axis=0)
    gain = _REFERENCE_MAXIMA / np.maximum(maxima, 1e-6)
    density_map = (deconvolution * gain @ _REFERENCE_STAINS).astype(np.float32)

    def normalize(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return _to_rgb(optical_density(colors) @ density_map)

    return normalize


def _to_rgb(density: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(256 * np.exp(-density) - 1), 0, 255).astype(np.uint8)
