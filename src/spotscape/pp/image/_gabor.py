"""Energy of tiles in a bank of Gabor filters, without a single convolution."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

#: Cycles a pixel.
FREQUENCIES = (0.05, 0.1, 0.2, 0.4)
N_DIRECTIONS = 4
GABOR_NAMES = tuple(f"Gabor amplitude at {frequency:g} cycles a pixel" for frequency in FREQUENCIES)

# Width of the Gaussian times the frequency, for a bandwidth of one octave.
_SIGMA = 3 / np.pi * np.sqrt(np.log(2) / 2)
_N_SIGMA = 3


def gabor_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    r"""Compute the root mean square amplitude of the response to Gabor filters, averaged over four directions.

    The tile :math:`x`, less its mean and continued by its mirror images, is convolved with

    .. math:: g_{f,\theta}(r) = \frac{1}{2 \pi \sigma^2} e^{-|r|^2 / 2 \sigma^2 + 2 \pi i f\, r \cdot e_\theta},
        \qquad \sigma = \frac{3}{\pi f} \sqrt{\frac{\ln 2}{2}}.

    Mirroring maps the four directions onto each other, so that the mean energy over the tile equals that over one
    period of its mirrored continuation, which is by Parseval's theorem a weighted sum of squares of the cosine
    transform :math:`\hat x` of the tile: one matrix product for all frequencies, directions and tiles.

    Parameters
    ----------
    images
        Grey values. ``(n_tiles, n_pixels, n_pixels)``.

    Returns
    -------
    One column for each of ``GABOR_NAMES``, as a share of black to white. ``(n_tiles, 4)``.
    """
    values = images.astype(np.float32) / np.float32(255)
    values -= values.mean(axis=(1, 2), keepdims=True)
    power = fft.dctn(values, type=2, axes=(1, 2), overwrite_x=True) ** 2
    return np.sqrt(power.reshape(len(images), -1) @ _weights(images.shape[1])).astype(np.float32)


@cache
def _weights(n_pixels: int) -> NDArray[np.float32]:
    """Weight of the square of each cosine coefficient in the mean energy. ``(n_pixels ** 2, 4)``."""
    period = 2 * n_pixels
    weights = np.zeros((n_pixels, n_pixels, len(FREQUENCIES)))
    for f, frequency in enumerate(FREQUENCIES):
        for direction in range(N_DIRECTIONS):
            folded = np.zeros((period, period), dtype=np.complex128)
            kernel = _kernel(frequency, np.pi * direction / N_DIRECTIONS)
            places = (np.arange(len(kernel)) - len(kernel) // 2) % period
            # A filter longer than the period of the tile meets the same pixels again.
            np.add.at(folded, np.ix_(places, places), kernel)
            gain = np.abs(fft.fft2(folded)) ** 2
            # The transform of a mirrored tile is that of cosines, at k and at -k alike, and nothing at k = n_pixels.
            mirrored = gain[:n_pixels, :n_pixels].copy()
            mirrored[1:] += gain[:-n_pixels:-1, :n_pixels]
            mirrored[:, 1:] += gain[:n_pixels, :-n_pixels:-1]
            mirrored[1:, 1:] += gain[:-n_pixels:-1, :-n_pixels:-1]
            weights[..., f] += mirrored / (N_DIRECTIONS * period**4)
    return weights.reshape(n_pixels**2, -1).astype(np.float32)


def _kernel(frequency: float, angle: float) -> NDArray[np.complex128]:
    sigma = _SIGMA / frequency
    radius = int(np.ceil(_N_SIGMA * sigma))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    along = x * np.cos(angle) + y * np.sin(angle)
    return np.exp(-(x**2 + y**2) / (2 * sigma**2) + 2j * np.pi * frequency * along) / (2 * np.pi * sigma**2)
