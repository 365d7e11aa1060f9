"""Colour, texture and nuclei of many tiles at once, against scikit-image tile by tile."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import color, feature, filters, measure
from skimage.filters import gabor_kernel

from spotscape.pp.image import _color as colors
from spotscape.pp.image import _gabor as gabor
from spotscape.pp.image import _nuclei as nuclei
from spotscape.pp.image import _texture as texture
from spotscape.pp.image._handcrafted import HANDCRAFTED_NAMES, handcrafted_features
from spotscape.pp.image._stain import unmix


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
    stains = unmix(tiles)[..., :2]
    found = dict(zip(colors.COLOR_NAMES, colors.color_features(tiles, stains).T, strict=True))
    for k, tile in enumerate(tiles):
        lab = color.rgb2lab(tile)
        density = -np.log((tile.astype(float) + 1) / 256) @ color.hed_from_rgb
        expected = {"mean of red": tile[..., 0].mean() / 255, "sd of blue": tile[..., 2].std() / 255}
        expected |= {"mean of lightness": lab[..., 0].mean(), "sd of Lab a": lab[..., 1].std()}
        expected |= {"mean of Lab b": lab[..., 2].mean(), "mean of haematoxylin": density[..., 0].mean()}
        expected |= {"sd of eosin": density[..., 1].std()}
        expected |= {f"percentile {q} of eosin": np.percentile(density[..., 1], q) for q in (5, 50, 95)}
        for name, value in expected.items():
            assert found[name][k] == pytest.approx(value, abs=2e-3), name


def test_cooccurrence(images):
    angles = np.arange(4) * np.pi / 4
    for image, row in zip(images, texture.cooccurrence_features(images), strict=True):
        levels = (image // 8).astype(np.uint8)
        shares = feature.graycomatrix(levels, texture.DISTANCES, angles, levels=32, symmetric=True, normed=True)
        slow = [feature.graycoprops(shares, name).mean(axis=1) for name in texture.PROPERTIES]
        np.testing.assert_allclose(row.reshape(3, 5), np.transpose(slow), rtol=1e-5, atol=1e-6)


def test_local_binary_patterns(images):
    for image, row in zip(images, texture.pattern_features(images), strict=True):
        slow = []
        for n_points, radius in texture.CIRCLES:
            patterns = feature.local_binary_pattern(image, n_points, radius, method="uniform")
            slow.append(np.bincount(patterns.astype(int).ravel(), minlength=n_points + 2) / image.size)
        np.testing.assert_allclose(row, np.concatenate(slow), rtol=1e-6)


@pytest.mark.parametrize("n_pixels", [16, 31, 32])
def test_gabor_energy_without_convolution(images, n_pixels):
    images = images[:, :n_pixels, :n_pixels]
    for image, row in zip(images, gabor.gabor_features(images), strict=True):
        values = image / 255 - (image / 255).mean()
        for frequency, amplitude in zip(gabor.FREQUENCIES, row, strict=True):
            energies = []
            for angle in np.arange(4) * np.pi / 4:
                kernel = gabor._kernel(frequency, angle)
                parts = (ndimage.convolve(values, part, mode="reflect") for part in (kernel.real, kernel.imag))
                energies.append(sum((part**2).mean() for part in parts))
            assert amplitude == pytest.approx(np.sqrt(np.mean(energies)), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("frequency", gabor.FREQUENCIES)
def test_gabor_filters_are_those_of_scikit_image(frequency):
    np.testing.assert_allclose(gabor._kernel(frequency, 0.0), gabor_kernel(frequency), rtol=1e-5, atol=1e-12)
    # turned ones are cut off farther out here
    turned, theirs = gabor._kernel(frequency, np.pi / 4), gabor_kernel(frequency, np.pi / 4)
    rim = (len(turned) - len(theirs)) // 2
    np.testing.assert_allclose(turned[rim : len(turned) - rim, rim : len(turned) - rim], theirs, rtol=1e-5, atol=1e-12)


def test_entropy_and_edges(images):
    found = np.column_stack([texture.entropy(images), texture.edge_density(images)])
    for image, row in zip(images, found, strict=True):
        slow = [measure.shannon_entropy(image), (filters.sobel(image / 255) >= texture.EDGE).mean()]
        np.testing.assert_allclose(row, slow, rtol=1e-5, atol=1e-6)


def test_thresholds(images):
    slow = [filters.threshold_otsu(image) for image in images[:-1]]
    np.testing.assert_array_equal(nuclei.otsu_thresholds(images)[:-1], slow)
    assert nuclei.otsu_thresholds(images)[-1] == 255


def test_nuclei(images):
    discs = np.zeros((2, 32, 32), dtype=np.uint8)
    y, x = np.mgrid[:32, :32]
    discs[0][(y - 8) ** 2 + (x - 8) ** 2 < 20] = 200
    discs[0][(y - 22) ** 2 / 4 + (x - 20) ** 2 < 16] = 150
    discs[0][30, 2:5] = 255
    images = np.concatenate([discs, images])
    for image, row in zip(images, nuclei.nuclei_features(images), strict=True):
        threshold = filters.threshold_otsu(image) if np.ptp(image) else 255
        regions = measure.regionprops(measure.label(image > threshold))
        regions = [region for region in regions if region.area >= nuclei.MIN_AREA]
        if not regions:
            assert not row.any()
            continue
        inside = np.zeros(image.shape, dtype=bool)
        for region in regions:
            inside[tuple(region.coords.T)] = True
        areas = [region.area for region in regions]
        slow = [len(regions), inside.mean(), np.mean(areas), np.mean([region.eccentricity for region in regions])]
        slow.append((image[inside].mean() - image[~inside].mean()) / 255)
        np.testing.assert_allclose(row, slow, rtol=1e-5, atol=1e-6)
    assert nuclei.nuclei_features(images)[0, 0] == 2


def test_all_features_have_a_name_and_do_not_depend_on_their_company(tiles):
    together = handcrafted_features(tiles)
    assert together.shape == (6, len(HANDCRAFTED_NAMES)) and together.dtype == np.float32
    assert len(set(HANDCRAFTED_NAMES)) == len(HANDCRAFTED_NAMES)
    assert np.isfinite(together).all()
    alone = np.concatenate([handcrafted_features(tiles[k : k + 1]) for k in range(6)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_turning_a_tile_changes_little(tiles):
    turned = handcrafted_features(np.rot90(tiles, axes=(1, 2)))
    unlike = np.abs(turned - handcrafted_features(tiles)).max(axis=0) > 1e-2 * np.abs(turned).max(axis=0) + 1e-4
    # scikit-image's patterns read the circle from one place on; all else is exact
    assert all("local binary pattern" in np.array(HANDCRAFTED_NAMES)[k] for k in np.flatnonzero(unlike))
