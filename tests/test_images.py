"""Colours of images with opacity and of any depth."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from spotscape import report
from spotscape._images import as_rgb, grey_as_rgb
from spotscape.datasets import synthetic_tissue
from spotscape.pl._image import tissue_images
from spotscape.pp.image._tiles import read_image

COLOR, HALF = [200, 100, 50], [228, 178, 153]  # the second is the first, half opaque, over white


@pytest.fixture
def pixels():
    """Three rows: opaque, half opaque and transparent black."""
    pixels = np.zeros((3, 4, 4), dtype=np.uint8)
    pixels[:2] = [*COLOR, 255]
    pixels[1, :, 3] = 128
    return pixels


def assert_on_white(colors):
    assert colors.shape == (3, 4, 3) and colors.dtype == np.uint8
    expected = np.array([COLOR, HALF, [255, 255, 255]])[:, None].repeat(4, axis=1)
    np.testing.assert_allclose(colors.astype(int), expected, atol=1)


def test_arrays_are_white_where_they_are_transparent(pixels):
    for values in (pixels, pixels / 255, (pixels / 255).astype(np.float32), pixels.astype(np.uint16) * 257):
        assert_on_white(as_rgb(values, "x"))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_files_are_white_where_they_are_transparent(pixels, tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(pixels).save(path)
    assert_on_white(read_image(path))


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_other_modes_are_white_where_they_are_transparent(pixels, tmp_path, mode):
    picture = Image.fromarray(pixels)
    (picture.quantize() if mode == "P" else picture.convert(mode)).save(tmp_path / "image.png")
    with Image.open(tmp_path / "image.png") as picture:
        assert picture.mode == mode
    colors = read_image(tmp_path / "image.png")
    assert (colors[2] == 255).all() and (colors[0] < 255).any()


def test_greys_are_those_of_the_colour_map():
    values = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    expected = 255 * (values - values.min()) / np.ptp(values)
    np.testing.assert_allclose(grey_as_rgb(values), expected[..., None].repeat(3, axis=-1), atol=0.51)
    assert (grey_as_rgb(np.ones((2, 2))) == 0).all()


@pytest.mark.parametrize("kind", ["8 bit", "16 bit", "shares", "opacity", "grey"])
def test_maps_and_reports_have_the_same_image(tmp_path, kind):
    adata = synthetic_tissue(n_slices=1, n_spots=150, seed=0)
    adata.obs["spatial_domain"] = adata.obs["domain"]
    colors = np.zeros((40, 40, 3), dtype=np.uint8)
    colors[:20] = COLOR
    image = {
        "8 bit": colors,
        "16 bit": colors.astype(np.uint16) * 257,
        "shares": colors / 255,
        "opacity": np.dstack([colors, np.full((40, 40), 255, np.uint8)]),
        "grey": colors[..., 0],
    }[kind]
    scale = 40 / adata.obsm["spatial"].max()
    adata.uns["spatial"] = {
        "slice_1": {"images": {"hires": image}, "scalefactors": {"tissue_hires_scalef": scale}},
    }
    expected = colors if kind != "grey" else np.repeat([[[255]], [[0]]], 20, axis=0) * np.ones((1, 40, 3))
    (drawn,) = tissue_images(adata, ["slice_1"], None, None)
    np.testing.assert_array_equal(drawn.rgb, expected)

    path = report(adata, tmp_path / "report.html")
    (stored,) = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", path.read_text(encoding="utf-8"))
    with Image.open(io.BytesIO(base64.b64decode(stored))) as picture:
        reported = np.asarray(picture).astype(float)
    assert np.abs(reported[:16] - expected[:16]).mean() < 12 and np.abs(reported[24:] - expected[24:]).mean() < 12


@pytest.mark.parametrize("value", [np.nan, -1.0, 1e6])
def test_an_image_without_colours_is_left_out_and_named(tmp_path, value):
    adata = synthetic_tissue(n_slices=1, n_spots=150, seed=0)
    adata.obs["spatial_domain"] = adata.obs["domain"]
    library = {"images": {"hires": np.full((9, 9, 3), value)}, "scalefactors": {"tissue_hires_scalef": 0.01}}
    adata.uns["spatial"] = {"slice_1": library}
    message = "The image of slice 'slice_1' in `adata.uns\\['spatial'\\]` has values from"
    with pytest.warns(UserWarning, match=f"{message}.* It is not drawn"):
        assert tissue_images(adata, ["slice_1"], None, None) == [None]
    with pytest.raises(ValueError, match=message):
        tissue_images(adata, ["slice_1"], True, None)
    with pytest.warns(UserWarning, match=message):
        report(adata, tmp_path / "report.html")
