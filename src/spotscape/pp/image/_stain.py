"""Stains: optical density, its parts haematoxylin and eosin, and what makes the stains of slides alike."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

#: Colours of haematoxylin, eosin and DAB as optical densities of red, green and blue :cite:p:`Ruifrok2001`.
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_UNMIXING = np.linalg.inv(STAINS).astype(np.float32)

#: Optical density of the 256 values of a colour. One is added, because the density of black would be infinite.
_DENSITY = (-np.log((np.arange(256) + 1) / 256)).astype(np.float32)

# Pixels with less optical density are glass: in Macenko's method in any colour (the published value, 0.15, is in
# decadic logarithms), otherwise in the mean of the colours, which keeps pale tissue.
_GLASS_MACENKO = 0.15 * np.log(10)
_GLASS = 0.15
_MIN_PIXELS = 100

# What slides are brought to: fixed, so that a slide never depends on the others. The stains and intensities for
# Macenko's method are those of its authors' program; the others are rounded from breast and brain sections.
_MACENKO_STAINS = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])
_MACENKO_INTENSITIES = np.array([1.9705, 1.0308])
_SLIDE_MEAN = np.array([1.0, 0.0])
_SLIDE_SD = np.array([0.8, 0.2])

Normalizer = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def optical_density(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    r"""Optical density :math:`-\ln((I + 1) / 256)` of 8-bit colours :math:`I`. Same shape."""
    return _DENSITY[colors]


def unmix(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Amounts of haematoxylin, eosin and DAB in each pixel :cite:p:`Ruifrok2001`. ``(..., 3)``."""
    return optical_density(colors) @ _UNMIXING


def fit_stain(stain: str, pixels: NDArray[np.uint8], name: str) -> Normalizer | None:
    r"""Learn how the stains of a slide are brought to those of the reference.

    Parameters
    ----------
    stain
        ``"none"``; ``"slide"``: haematoxylin and eosin of the tissue get the mean and standard deviation of the
        reference; ``"macenko"``: the two stains are found in the slide :cite:p:`Macenko2009` and replaced by those of
        the reference.
    pixels
        Colours of pixels of the slide. ``(n_pixels, 3)``.
    name
        Name of the slide, for messages.

    Returns
    -------
    A function from colours to colours, 8 bits each; ``None`` for ``"none"``.

    Raises
    ------
    ValueError
        If there is too little stained tissue to learn from.
    """
    if stain == "none":
        return None
    density = optical_density(pixels)
    stained = (density >= _GLASS_MACENKO).all(axis=1) if stain == "macenko" else density.mean(axis=1) >= _GLASS
    tissue = pixels[stained]
    if len(tissue) < _MIN_PIXELS or (stain == "macenko" and len(np.unique(tissue, axis=0)) < 3):
        raise ValueError(
            f"Only {len(tissue)} of {len(pixels)} pixels under the spots of slice {name!r} are stained; check the "
            "image and the scale factor, or pass stain='none'."
        )
    return _fit_slide(tissue) if stain == "slide" else _fit_macenko(tissue)


def _fit_slide(tissue: NDArray[np.uint8]) -> Normalizer:
    amounts = unmix(tissue)[:, :2].astype(np.float64)
    gain = _SLIDE_SD / np.maximum(amounts.std(axis=0), 1e-6)
    shift = _SLIDE_MEAN - gain * amounts.mean(axis=0)

    def normalize(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        changed = unmix(colors)
        changed[..., :2] = changed[..., :2] * gain.astype(np.float32) + shift.astype(np.float32)
        return _colors(changed @ STAINS.astype(np.float32))

    return normalize


def macenko_stains(tissue: NDArray[np.uint8]) -> NDArray[np.float64]:
    r"""Directions of haematoxylin and eosin in the optical density of a slide :cite:p:`Macenko2009`.

    The densities :math:`d_i` are projected on the plane of the two leading eigenvectors :math:`v_1, v_2` of their
    covariance; the stains are the directions at the 1st and 99th percentile of the angle
    :math:`\varphi_i = \operatorname{atan2}(d_i^\top v_2, d_i^\top v_1)`. Haematoxylin is the one with more red density.

    Parameters
    ----------
    tissue
        Colours of stained pixels. ``(n_pixels, 3)``.

    Returns
    -------
    Unit vectors: haematoxylin, eosin. ``(2, 3)``.
    """
    density = optical_density(tissue).astype(np.float64)
    plane = np.linalg.eigh(np.cov(density.T))[1][:, [2, 1]]
    # Eigenvectors have no sign; densities are positive, and the angles must not jump from pi to -pi among them.
    plane *= np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    projected = density @ plane
    angles = np.percentile(np.arctan2(projected[:, 1], projected[:, 0]), [1, 99])
    stains = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane.T
    return stains if stains[0, 0] > stains[1, 0] else stains[::-1]


def _fit_macenko(tissue: NDArray[np.uint8]) -> Normalizer:
    unmixing = np.linalg.pinv(macenko_stains(tissue))
    intensities = np.percentile(optical_density(tissue) @ unmixing, 99, axis=0)
    gain = _MACENKO_INTENSITIES / np.maximum(intensities, 1e-6)
    change = (unmixing * gain @ _MACENKO_STAINS).astype(np.float32)

    def normalize(colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return _colors(optical_density(colors) @ change)

    return normalize


def _colors(density: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(256 * np.exp(-density) - 1), 0, 255).astype(np.uint8)
