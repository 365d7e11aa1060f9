"""Colour, texture and nuclei of tiles, compared with definitions written out and with images of known features."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import color

from spotscape.pp.image import _gabor as gabor
from spotscape.pp.image import _handcrafted as handcrafted
from spotscape.pp.image._handcrafted import HANDCRAFTED_NAMES, handcrafted_features
from spotscape.pp.image._stain import deconvolve_stains


@pytest.fixture
def tiles():
    """Three of noise, one smooth, one half black and half white, one of one colour."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    smooth = ndimage.gaussian_filter(rng.normal(size=(1, 32, 32, 3)), (0, 3, 3, 0))
    smooth = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    halves = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    halves[:, :, 16:] = 255
    return np.concatenate([noise, smooth, halves, np.full((1, 32, 32, 3), 180, dtype=np.uint8)])


@pytest.fixture
def images(tiles):
    return tiles[..., 1]


def test_colors(tiles):
    found = dict(zip(handcrafted.COLOR_NAMES, handcrafted.color_features(tiles).T, strict=True))
    for k, tile in enumerate(tiles):
        lab = color.rgb2lab(tile)
        stains = deconvolve_stains(tile)
        expected = {"mean of red": tile[..., 0].mean() / 255, "sd of blue": tile[..., 2].std() / 255}
        expected |= {"mean of lightness": lab[..., 0].mean(), "sd of Lab a": lab[..., 1].std()}
        expected |= {"mean of Lab b": lab[..., 2].mean(), "mean of haematoxylin": stains[..., 0].mean()}
        expected |= {"sd of eosin": stains[..., 1].std()}
        expected |= {f"percentile {q} of eosin": np.percentile(stains[..., 1], q) for q in (5, 50, 95)}
        for name, value in expected.items():
            assert found[name][k] == pytest.approx(value, abs=1e-4), name


def test_haematoxylin_images_have_the_range_of_eight_bits():
    black, white, nucleus = (np.full((1, 4, 4, 3), values, dtype=np.uint8) for values in (0, 255, (80, 50, 130)))
    assert (handcrafted.haematoxylin_images(black) == 255).all()
    assert (handcrafted.haematoxylin_images(white) == 0).all()
    amount = deconvolve_stains(nucleus)[0, 0, 0, 0]
    assert 0 < amount < 4
    assert (handcrafted.haematoxylin_images(nucleus) == np.rint(amount / 4 * 255)).all()


def test_glcm_features(images):
    small = images[:, :12, :12]
    for image, row in zip(small, handcrafted.glcm_features(small), strict=True):
        levels = image.astype(int) // 8
        slow = []
        for distance in handcrafted.GLCM_DISTANCES:
            diagonal = round(distance / np.sqrt(2))
            steps = ((0, distance), (diagonal, diagonal), (distance, 0), (diagonal, -diagonal))
            slow.append(np.mean([glcm_properties(levels, *step) for step in steps], axis=0))
        np.testing.assert_allclose(row.reshape(3, 5), slow, rtol=1e-5, atol=1e-6)


def glcm_properties(levels, rows, columns):
    """Properties of the co-occurrence matrix of pairs at one step, pair by pair."""
    shares = np.zeros((32, 32))
    for row in range(len(levels)):
        for column in range(len(levels)):
            if 0 <= row + rows < len(levels) and 0 <= column + columns < len(levels):
                first, second = levels[row, column], levels[row + rows, column + columns]
                shares[first, second] += 1
                shares[second, first] += 1
    shares /= shares.sum()
    i, j = np.mgrid[:32, :32]
    mean = (i * shares).sum()
    variance = ((i - mean) ** 2 * shares).sum()
    correlation = ((i - mean) * (j - mean) * shares).sum() / variance if variance else 1.0
    contrast, dissimilarity = ((i - j) ** 2 * shares).sum(), (np.abs(i - j) * shares).sum()
    return contrast, dissimilarity, (shares / (1 + (i - j) ** 2)).sum(), np.sqrt((shares**2).sum()), correlation


def test_local_binary_patterns(images):
    found = handcrafted.lbp_features(images)
    np.testing.assert_allclose(found[:, :10].sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found[:, 10:].sum(axis=1), 1, rtol=1e-6)
    for image, shares in zip(images, found[:, :10], strict=True):
        # Interior pixels by the definition; the points of the diagonals are interpolated between four pixels.
        inner = slow_patterns(image.astype(float))
        border = image.size - len(inner)
        assert (np.abs(np.bincount(inner, minlength=10) - shares * image.size)).sum() <= border + 1e-3


def slow_patterns(image):
    """Uniform patterns of eight points at radius 1 of all pixels that are not at the border."""
    patterns = []
    for row in range(1, len(image) - 1):
        for column in range(1, len(image) - 1):
            angles = 2 * np.pi * np.arange(8) / 8
            points = np.round([row - np.sin(angles), column + np.cos(angles)], 5)
            values = ndimage.map_coordinates(image, points, order=1)
            bits = values >= image[row, column] - 1e-3
            n_changes = (bits[1:] != bits[:-1]).sum()
            patterns.append(int(bits.sum()) if n_changes <= 2 else 9)
    return np.array(patterns)


@pytest.mark.parametrize("n_pixels", [16, 31, 32])
def test_gabor_energy_equals_that_of_convolutions(images, n_pixels):
    images = images[:, :n_pixels, :n_pixels]
    for image, row in zip(images, gabor.gabor_features(images), strict=True):
        values = image / 255 - (image / 255).mean()
        for frequency, amplitude in zip(gabor.FREQUENCIES, row, strict=True):
            energies = []
            for angle in np.arange(4) * np.pi / 4:
                kernel = gabor.filter_kernel(frequency, angle)
                parts = (ndimage.convolve(values, part, mode="reflect") for part in (kernel.real, kernel.imag))
                energies.append(sum((part**2).mean() for part in parts))
            assert amplitude == pytest.approx(np.sqrt(np.mean(energies)), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("frequency", gabor.FREQUENCIES)
@pytest.mark.parametrize("angle", np.arange(4) * np.pi / 4)
def test_gabor_filters_follow_their_formula(frequency, angle):
    sigma = 3 / (np.pi * frequency) * np.sqrt(np.log(2) / 2)
    reach = int(np.ceil(3 * sigma))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    wave = np.exp(2j * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)))
    expected = np.exp(-(x**2 + y**2) / (2 * sigma**2)) * wave / (2 * np.pi * sigma**2)
    np.testing.assert_allclose(gabor.filter_kernel(frequency, angle), expected, rtol=1e-5, atol=1e-12)


def test_entropy_and_edges(images):
    entropy, edges = handcrafted.entropy_and_edges(images).T
    shares = np.unique(images[0], return_counts=True)[1] / images[0].size
    assert entropy[0] == pytest.approx(-(shares * np.log2(shares)).sum(), rel=1e-5)
    # half black, half white: one bit, and the two columns beside the border are edges
    assert entropy[4] == 1 and edges[4] == 2 / 32
    assert entropy[5] == 0 and edges[5] == 0


def test_nuclei():
    image = np.zeros((32, 32), dtype=np.uint8)
    y, x = np.mgrid[:32, :32]
    disc, ellipse = (y - 8) ** 2 + (x - 8) ** 2 < 20, (y - 22) ** 2 / 4 + (x - 20) ** 2 < 16
    image[disc] = 200
    image[ellipse] = 200
    # too small to be a nucleus
    image[30, 2:5] = 200
    area = disc.sum() + ellipse.sum()
    rows, columns = np.nonzero(ellipse)
    eccentricity = np.sqrt(1 - columns.var() / rows.var()) / 2
    contrast = 200 / 255 * (1 - 3 / (32 * 32 - area))
    np.testing.assert_allclose(
        handcrafted.nuclei_features(image[None])[0], [2, area / 32**2, area / 2, eccentricity, contrast], rtol=1e-5
    )


def test_tiles_without_nuclei(images):
    specks = np.zeros((1, 32, 32), dtype=np.uint8)
    specks[0, ::4, ::4] = 255
    found = handcrafted.nuclei_features(np.concatenate([specks, images[-1:]]))
    np.testing.assert_array_equal(found, 0)


def test_all_features_have_a_name_and_do_not_depend_on_other_tiles(tiles):
    together = handcrafted_features(tiles)
    assert together.shape == (6, len(HANDCRAFTED_NAMES)) and together.dtype == np.float32
    assert len(set(HANDCRAFTED_NAMES)) == len(HANDCRAFTED_NAMES)
    assert np.isfinite(together).all()
    alone = np.concatenate([handcrafted_features(tiles[k : k + 1]) for k in range(6)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    colors = handcrafted_features(tiles, colors_only=True)
    np.testing.assert_array_equal(colors, together[:, : len(handcrafted.COLOR_NAMES)])


def test_rotating_a_tile_changes_little(tiles):
    rotated = handcrafted_features(np.rot90(tiles, axes=(1, 2)))
    differs = np.abs(rotated - handcrafted_features(tiles)).max(axis=0) > 1e-2 * np.abs(rotated).max(axis=0) + 1e-4
    # scikit-image reads the circle of a pattern from a fixed point, so a change across that point is not counted
    assert all(HANDCRAFTED_NAMES[k].startswith("LBP") for k in np.flatnonzero(differs))
