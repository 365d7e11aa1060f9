"""Energy of tiles in a bank of Gabor filters, computed for many tiles at once without convolutions."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from skimage.filters import gabor_kernel

#: Frequencies of the filters in cycles per pixel.
FREQUENCIES = (0.05, 0.1, 0.2, 0.4)
N_DIRECTIONS = 4


def gabor_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    r"""Compute the root mean square amplitude of the response to Gabor filters, averaged over four directions.

    The tile :math:`x`, minus its mean and extended by reflection at its borders, is convolved with

    .. math:: g_{f,\theta}(r) = \frac{1}{2 \pi \sigma^2} e^{-|r|^2 / 2 \sigma^2 + 2 \pi i f\, r \cdot e_\theta},
        \qquad \sigma = \frac{3}{\pi f} \sqrt{\frac{\ln 2}{2}}.

    Reflection maps the four directions onto each other, so the mean energy over the tile equals the mean over one
    period of its reflected extension. By Parseval's theorem that is a weighted sum of squares of the discrete cosine
    transform :math:`\hat x` of the tile: one matrix product for all frequencies, directions and tiles.

    Parameters
    ----------
    images
        Grey values. ``(n_tiles, n_pixels, n_pixels)``.

    Returns
    -------
    One column for each of ``FREQUENCIES``; 1 is the difference between black and white. ``(n_tiles, 4)``.
    """
    values = images.astype(np.float32) / np.float32(255)
    values -= values.mean(axis=(1, 2), keepdims=True)
    power = fft.dctn(values, type=2, axes=(1, 2), overwrite_x=True) ** 2
    return np.sqrt(power.reshape(len(images), -1) @ _energy_weights(images.shape[1])).astype(np.float32)


def filter_kernel(frequency: float, angle: float) -> NDArray[np.complex128]:
    """Gabor filter of a bandwidth of one octave, cut off at three standard deviations along both axes."""
    # scikit-image cuts at `n_stds` along the direction of the wave, and so closer along the axes for a rotated filter.
    return gabor_kernel(frequency, angle, n_stds=3 / max(abs(np.cos(angle)), abs(np.sin(angle))))


@cache
def _energy_weights(n_pixels: int) -> NDArray[np.float32]:
    """Weight of each squared cosine coefficient in the mean energy. ``(n_pixels ** 2, 4)``."""
    period = 2 * n_pixels
    weights = np.zeros((n_pixels, n_pixels, len(FREQUENCIES)))
    for f, frequency in enumerate(FREQUENCIES):
        for direction in range(N_DIRECTIONS):
            kernel = filter_kernel(frequency, np.pi * direction / N_DIRECTIONS)
            # A filter longer than the period of the extended tile wraps around.
            wrapped = np.zeros((period, period), dtype=np.complex128)
            positions = (np.arange(len(kernel)) - len(kernel) // 2) % period
            np.add.at(wrapped, np.ix_(positions, positions), kernel)
            gain = np.abs(fft.fft2(wrapped)) ** 2
            # A cosine has the frequencies k and -k; there is no cosine coefficient at k = n_pixels.
            folded = gain[:n_pixels, :n_pixels].copy()
            folded[1:] += gain[:-n_pixels:-1, :n_pixels]
            folded[:, 1:] += gain[:n_pixels, :-n_pixels:-1]
            folded[1:, 1:] += gain[:-n_pixels:-1, :-n_pixels:-1]
            weights[..., f] += folded / (N_DIRECTIONS * period**4)
    return weights.reshape(n_pixels**2, -1).astype(np.float32)
