"""Statistics of the colours and stains of tiles."""

import numpy as np
from numpy.typing import NDArray

_PERCENTILES = (5, 25, 50, 75, 95)

COLOR_NAMES = tuple(
    [f"{statistic} of {channel}" for channel in ("red", "green", "blue") for statistic in ("mean", "sd")]
    + [f"{statistic} of {channel}" for channel in ("lightness", "Lab a", "Lab b") for statistic in ("mean", "sd")]
    + [
        f"{statistic} of {channel}"
        for channel in ("haematoxylin", "eosin")
        for statistic in ("mean", "sd", *(f"percentile {q}" for q in _PERCENTILES))
    ]
)

# Conversion from sRGB to CIE Lab under daylight (D65).
_LINEAR = np.arange(256) / 255
_LINEAR = np.where(_LINEAR > 0.04045, ((_LINEAR + 0.055) / 1.055) ** 2.4, _LINEAR / 12.92).astype(np.float32)
_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_XYZ = (_XYZ / _WHITE[:, None]).T.astype(np.float32)


def color_features(tiles: NDArray[np.uint8], stains: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute mean and standard deviation of RGB, CIE Lab and the stains, of the last with percentiles.

    Parameters
    ----------
    tiles
        Colours. ``(n_tiles, n_pixels, n_pixels, 3)``.
    stains
        Amounts of haematoxylin and eosin. ``(n_tiles, n_pixels, n_pixels, 2)``.

    Returns
    -------
    One column for each of ``COLOR_NAMES``; RGB goes from 0 to 1. ``(n_tiles, 26)``.
    """
    n_tiles = len(tiles)
    moments = [_moments(tiles.astype(np.float32) / np.float32(255)), _moments(_lab(tiles))]
    pixels = stains.reshape(n_tiles, -1, 2)
    quantiles = np.percentile(pixels, _PERCENTILES, axis=1).transpose(1, 2, 0)
    stain_statistics = np.concatenate([_moments(stains).reshape(n_tiles, 2, 2), quantiles], axis=2)
    return np.concatenate([*moments, stain_statistics.reshape(n_tiles, -1)], axis=1).astype(np.float32)


def _moments(values: NDArray[np.float32]) -> NDArray[np.float32]:
    pixels = values.reshape(len(values), -1, values.shape[-1])
    return np.stack([pixels.mean(axis=1), pixels.std(axis=1)], axis=2).reshape(len(values), -1)


def _lab(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    xyz = _LINEAR[tiles] @ _TO_XYZ
    f = np.where(xyz > 0.008856, np.cbrt(xyz), np.float32(7.787) * xyz + np.float32(16 / 116))
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
