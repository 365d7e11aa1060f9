"""Stains of slides: colour deconvolution, estimation and normalisation."""

import numpy as np
import pytest
from skimage import color

from spotscape.pp.image._stain import (
    _REFERENCE_STAINS,
    RUIFROK_STAINS,
    deconvolve_stains,
    fit_stain_normalizer,
    macenko_stains,
    optical_density,
)

TRUE = np.array([[0.70, 0.65, 0.30], [0.30, 0.85, 0.43]])
TRUE = TRUE / np.linalg.norm(TRUE, axis=1, keepdims=True)


def slide(stains, strength=(1.0, 1.0), seed=0):
    """Pixels with both stains in any mixture, some of them almost pure, and some glass."""
    rng = np.random.default_rng(seed)
    amounts = rng.gamma(2.0, 0.4, (4000, 2)) + 0.4
    amounts[:600, 1] = 0.01
    amounts[600:1200, 0] = 0.01
    amounts[:1200] += 0.8 * (amounts[:1200] > 0.1)
    amounts[3500:] = 0.01
    density = (amounts * strength) @ stains
    return np.clip(np.rint(256 * np.exp(-density) - 1), 0, 255).astype(np.uint8)


def test_deconvolution_is_that_of_scikit_image_before_clipping():
    np.testing.assert_allclose(RUIFROK_STAINS, color.rgb_from_hed)
    pixels = slide(RUIFROK_STAINS[:2])
    np.testing.assert_allclose(deconvolve_stains(pixels), optical_density(pixels) @ color.hed_from_rgb, atol=1e-4)
    np.testing.assert_allclose(deconvolve_stains(pixels) @ RUIFROK_STAINS, optical_density(pixels), atol=1e-4)
    clipped = color.separate_stains((pixels + 1.0) / 256, color.hed_from_rgb) * -np.log(1e-6)
    np.testing.assert_allclose(np.maximum(deconvolve_stains(pixels), 0), clipped, atol=1e-4)


def test_macenko_finds_the_stains():
    pixels = slide(TRUE)
    tissue = pixels[(optical_density(pixels) >= 0.15 * np.log(10)).all(axis=1)]
    found = macenko_stains(tissue)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    assert (found * TRUE).sum(axis=1).min() > 0.995


@pytest.mark.parametrize("stain", ["slide", "macenko"])
def test_slides_of_different_staining_intensity_become_alike(stain):
    strong, weak = slide(TRUE, (1.2, 1.1)), slide(TRUE, (0.8, 0.7))
    before = np.abs(optical_density(strong) - optical_density(weak))[:3500].mean()
    changed = [fit_stain_normalizer(stain, pixels, "a")(pixels) for pixels in (strong, weak)]
    after = np.abs(optical_density(changed[0]) - optical_density(changed[1]))[:3500].mean()
    assert after < 0.35 * before


def test_macenko_gives_the_stains_of_the_reference_and_leaves_glass_white():
    pixels = slide(TRUE)
    changed = fit_stain_normalizer("macenko", pixels, "a")(pixels)
    reference = _REFERENCE_STAINS / np.linalg.norm(_REFERENCE_STAINS, axis=1, keepdims=True)
    assert (macenko_stains(changed[:3500]) * reference).sum(axis=1).min() > 0.995
    assert changed[3500:].min() > 235


def test_slide_gives_the_moments_of_the_reference():
    pixels = slide(RUIFROK_STAINS[:2])
    tissue = pixels[optical_density(pixels).mean(axis=1) >= 0.15]
    amounts = deconvolve_stains(tissue)[:, :2]
    expected = (amounts - amounts.mean(axis=0)) / amounts.std(axis=0) * (0.8, 0.2) + (1.0, 0.0)
    changed = fit_stain_normalizer("slide", pixels, "a")(tissue)
    # dark and pure colours suffer from the rounding to 8 bits and from its limits
    shown = ((changed > 20) & (changed < 254)).all(axis=1)
    assert shown.mean() > 0.5
    np.testing.assert_allclose(deconvolve_stains(changed)[shown, :2], expected[shown], atol=0.06)


@pytest.mark.parametrize("stain", ["slide", "macenko"])
def test_glass_alone_is_refused(stain):
    with pytest.raises(ValueError, match="Only 0 of 500 pixels under the spots of slice 'a' are stained"):
        fit_stain_normalizer(stain, np.full((500, 3), 250, dtype=np.uint8), "a")


def test_one_colour_has_no_two_stains():
    with pytest.raises(ValueError, match="fewer than three colours"):
        fit_stain_normalizer("macenko", np.full((500, 3), 90, dtype=np.uint8), "a")
