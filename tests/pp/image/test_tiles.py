"""Tiles cut out of images, and the files that images come from."""

import warnings

import numpy as np
import pytest
from anndata import AnnData
from PIL import Image

from spotscape._images import as_rgb
from spotscape.pp import image_features
from spotscape.pp.image._tiles import cut_tiles, image_size, read_image, resize_tiles


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)


@pytest.mark.parametrize(("width", "n_pixels"), [(20.0, 20), (31.7, 16), (9.3, 24), (64.0, 16), (150.0, 32)])
def test_tiles_are_those_of_the_image_extended_by_reflection(image, width, n_pixels):
    centres = np.array([[60.0, 45.0], [33.3, 51.9], [0.0, 0.0], [120.0, 90.0], [118.2, 3.4]])
    margin = 200
    extended = Image.fromarray(np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric"))
    for tile, (x, y) in zip(cut_tiles(image, centres, width, n_pixels), centres + margin, strict=True):
        box = (x - width / 2, y - width / 2, x + width / 2, y + width / 2)
        slow = np.asarray(extended.resize((n_pixels, n_pixels), Image.Resampling.BILINEAR, box=box))
        assert np.abs(tile.astype(int) - slow).max() <= 1


def test_a_tile_of_whole_pixels_is_a_crop(image):
    tile = cut_tiles(image, np.array([[50.0, 40.0]]), 16, 16)[0]
    np.testing.assert_array_equal(tile, image[32:48, 42:58])


def test_downsampling_averages_fine_texture():
    board = np.indices((160, 160)).sum(axis=0) % 2 * np.uint8(255)
    image = np.repeat(board[:, :, None].astype(np.uint8), 3, axis=2)
    tile = cut_tiles(image, np.array([[80.0, 80.0]]), 128, 16)[0]
    assert np.abs(tile.astype(int) - 128).max() < 12


def test_tiles_of_the_requested_size_are_returned_unchanged(image):
    tiles = np.stack([image[:32, :32], image[32:64, 32:64]])
    assert resize_tiles(tiles, 32) is tiles
    assert resize_tiles(tiles, 48).shape == (2, 48, 48, 3)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.tiff", "a.jpg"])
def test_files_are_read(image, tmp_path, name):
    smooth = np.asarray(Image.fromarray(image[:2, :3]).resize((30, 20), Image.Resampling.BILINEAR))
    Image.fromarray(smooth).save(tmp_path / name, **({"quality": 95, "subsampling": 0} if "jpg" in name else {}))
    assert image_size(tmp_path / name) == (20, 30)
    difference = np.abs(read_image(tmp_path / name).astype(int) - smooth)
    assert difference.max() <= (12 if "jpg" in name else 0)


def test_grey_transparent_and_huge_files_are_read(image, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    Image.fromarray(image[:, :, 0]).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(image[:, :, :1], 3, axis=2))
    transparent = Image.fromarray(np.dstack([image, image[:, :, 0]]))
    transparent.save(tmp_path / "alpha.png")
    on_white = Image.alpha_composite(Image.new("RGBA", transparent.size, "white"), transparent).convert("RGB")
    difference = np.abs(read_image(tmp_path / "alpha.png").astype(int) - np.asarray(on_white))
    assert difference.max() <= 1
    assert Image.MAX_IMAGE_PIXELS == 10


def test_other_number_types_become_eight_bits(image):
    for values in (
        image,
        image / 255,
        image.astype(np.float32),
        image.astype(np.uint16) * 257,
        np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]),
    ):
        np.testing.assert_array_equal(as_rgb(values, "x"), image)


@pytest.mark.parametrize(
    "values", [np.zeros((4, 4)), np.zeros((4, 4, 2)), np.full((4, 4, 3), -1.0), np.full((4, 4, 3), np.nan), [["a"]]]
)
def test_arrays_that_are_not_images_are_refused(values):
    with pytest.raises(ValueError, match="The image has"):
        as_rgb(values, "The image")


@pytest.mark.parametrize("background", [245, 205])
def test_swapped_axes_are_noticed_by_tiles_on_bare_glass(background):
    rng = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(180), 18)
    positions = np.column_stack([columns, rows]) * 100.0 + 50
    image = np.full((2000, 2000, 3), background, np.uint8)
    image[:1000, :1800] = rng.normal([150, 90, 140], 20, (1000, 1800, 3)).clip(0, 255)
    adata = AnnData(np.ones((180, 2), dtype=np.float32), obsm={"spatial": positions})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_features(adata, image=image, tile_size=80, n_jobs=1)
    adata.obsm["spatial"] = positions[:, ::-1]
    with pytest.warns(UserWarning, match=r"44% of the tiles show background.*swapped .*is 0%"):
        image_features(adata, image=image, tile_size=80, n_jobs=1)
    adata.obsm["spatial"] = positions * 1.08 + 700
    with pytest.warns(UserWarning, match=r"of the tiles show background.*scale_factor"):
        image_features(adata, image=image, tile_size=80, n_jobs=1, scale_factor=0.7)
    # An image without a bright background, such as one of fluorescence, says nothing.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_features(adata, image=255 - image, tile_size=80, n_jobs=1, scale_factor=0.7)
