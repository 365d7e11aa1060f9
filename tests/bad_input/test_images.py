"""Images that are missing, damaged or do not match the spots: one clear sentence, and ``adata`` is unchanged."""

import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from PIL import Image

import spotscape.pp as pp


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    data = AnnData(np.ones((40, 2), dtype=np.float32))
    data.obsm["spatial"] = rng.uniform(20, 180, (40, 2))
    data.obsm["flat"] = rng.integers(0, 256, (40, 300)).astype(np.uint8)
    data.obsm["oblong"] = rng.integers(0, 256, (40, 8, 9, 3)).astype(np.uint8)
    data.obs["slice"] = pd.Categorical(np.repeat(["left", "right"], 20))
    data.obs["partly"] = [None, *["left"] * 39]
    scalefactors = {"tissue_hires_scalef": 1.0, "tissue_lowres_scalef": 0.3, "spot_diameter_fullres": 20.0}
    for name in ("left", "right"):
        images = {"hires": rng.integers(0, 256, (200, 200, 3)).astype(np.uint8)}
        data.uns.setdefault("spatial", {})[name] = {"images": images, "scalefactors": dict(scalefactors)}
    return data


def image_of(adata):
    return adata.uns["spatial"]["left"]["images"]["hires"]


def rename(adata):
    adata.uns["spatial"]["links"] = adata.uns["spatial"].pop("left")


def no_images(adata):
    del adata.uns["spatial"]


def no_factor(adata):
    del adata.uns["spatial"]["right"]["scalefactors"]["tissue_hires_scalef"]


def other_resolutions(adata):
    adata.uns["spatial"]["left"]["images"]["lowres"] = np.zeros((200, 200, 3), dtype=np.uint8)


def empty_libraries(adata):
    adata.uns["spatial"] = {"left": {"images": {}}, "right": {"images": {}}}


def white(adata):
    image_of(adata)[:] = 255


def nan_position(adata):
    adata.obsm["spatial"][4, 1] = np.nan


def nan_image(adata):
    adata.uns["spatial"]["left"]["images"]["hires"] = np.full((200, 200, 3), np.nan)


def grey_image(adata):
    adata.uns["spatial"]["left"]["images"]["hires"] = np.zeros((200, 200))


def wrong_shape(adata):
    adata.uns["patch_shape"] = (9, 10, 3)


def nothing(adata):
    pass


CASES: dict[str, tuple[Any, dict, Any, str]] = {
    "method": (nothing, {"method": "handmade"}, ValueError, "`method` is 'handmade'; choose 'handcrafted' or"),
    "method type": (nothing, {"method": 3}, ValueError, "`method` is '3'"),
    "stain": (nothing, {"stain": "vahadane"}, ValueError, "`stain` is 'vahadane'"),
    "seed": (nothing, {"seed": -1}, ValueError, "`seed` is -1"),
    "no threads": (nothing, {"n_jobs": 0}, ValueError, "`n_jobs` is 0"),
    "few pixels": (nothing, {"n_pixels": 8}, ValueError, "`n_pixels` is 8"),
    "half pixels": (nothing, {"n_pixels": 20.5}, TypeError, "`n_pixels` is 20.5"),
    "no scale": (nothing, {"scales": []}, TypeError, "`scales` is"),
    "negative scale": (nothing, {"scales": [1, -2]}, ValueError, "`scales` contains -2"),
    "scale twice": (nothing, {"scales": [1, 1.0]}, ValueError, "pass each scale once"),
    "slice key": (nothing, {"slice_key": "section"}, KeyError, "`slice_key` is 'section'"),
    "slices missing": (nothing, {"slice_key": "partly"}, ValueError, "missing for 1 spots"),
    "no slice key": (nothing, {"slice_key": None}, ValueError, "has images of 2 slices; pass `slice_key`"),
    "spatial key": (nothing, {"spatial_key": "xy"}, KeyError, "`spatial_key` is 'xy'"),
    "position missing": (nan_position, {}, ValueError, "coordinates of 1 spots are NaN"),
    "no images": (no_images, {}, KeyError, "pass `image`, or `patches_key`"),
    "empty libraries": (empty_libraries, {}, ValueError, "No slice has an image"),
    "name of a slice": (rename, {}, KeyError, "has no slice 'left' .it has .*'links'"),
    "image key": (nothing, {"image_key": "fullres"}, KeyError, "has no image 'fullres'"),
    "scale factor missing": (no_factor, {}, KeyError, "no scale factor for the image 'hires'; pass `scale_factor`"),
    "scale factors of others": (other_resolutions, {}, ValueError, "full-resolution image is 200 or 667 pixels high"),
    "far too large": (nothing, {"scale_factor": 30}, ValueError, "lie outside its image of 200 x 200 pixels"),
    "far too small": (nothing, {"scale_factor": 0.05}, ValueError, "is 1 pixels of the image wide"),
    "negative factor": (nothing, {"scale_factor": -1}, ValueError, "`scale_factor` is -1; it must be positive"),
    "factor of one": (nothing, {"scale_factor": {"left": 1.0}}, KeyError, "`scale_factor` has no slice 'right'"),
    "tile size": (nothing, {"tile_size": 0}, ValueError, "`tile_size` is 0; it must be positive"),
    "text for a size": (nothing, {"tile_size": "large"}, TypeError, "`tile_size` is 'large'"),
    "image of NaN": (nan_image, {}, ValueError, "image of slice 'left' has values from nan"),
    "grey image": (grey_image, {}, ValueError, "has shape"),
    "glass": (white, {"stain": "macenko"}, ValueError, "Only 0 of .* under the spots of slice 'left' are stained"),
    "one image for two": (nothing, {"image": "a.png"}, ValueError, "one image for 2 slices"),
    "image of one": (nothing, {"image": {"left": "a.png"}}, KeyError, "`image` has no slice 'right'"),
    "no file": (nothing, {"image": {"left": "no.png", "right": None}}, FileNotFoundError, "no image at 'no.png'"),
    "kind of image": (nothing, {"image": {"left": 3, "right": None}}, TypeError, "of slice 'left' has type int"),
    "image and key": (nothing, {"image": "a.png", "image_key": "hires"}, ValueError, "pass one of them"),
    "patches key": (nothing, {"patches_key": "no"}, KeyError, "`patches_key` is 'no'"),
    "flat patches": (nothing, {"patches_key": "flat"}, KeyError, "set `adata.uns\\['patch_shape'\\]`"),
    "shape of patches": (wrong_shape, {"patches_key": "flat"}, ValueError, "has 300 columns"),
    "oblong patches": (nothing, {"patches_key": "oblong"}, ValueError, "pass square patches"),
    "patches and image": (nothing, {"patches_key": "flat", "image": "a.png"}, ValueError, "`image` was given"),
    "patches and factor": (nothing, {"patches_key": "flat", "scale_factor": 1}, ValueError, "`scale_factor` was"),
    "patches and scales": (nothing, {"patches_key": "flat", "scales": [1]}, ValueError, "`scales` was given"),
    "few tiles": (nothing, {"method": "self-supervised", "image": {"left": np.zeros((200, 200, 3), np.uint8),
                  "right": None}, "scales": [1]}, ValueError, "only 20 tiles"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_images(adata, case):
    change, arguments, error, message = CASES[case]
    change(adata)
    before = adata.copy()
    with pytest.raises(error, match=message) as caught:
        pp.image_features(adata, **({"slice_key": "slice", "n_pixels": 16} | arguments))
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("left", [0.0, 0.3, 0.9])
def test_damaged_files(adata, tmp_path, name, left):
    path = tmp_path / name
    Image.fromarray(image_of(adata)).save(path)
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    before = adata.copy()
    with pytest.raises(ValueError, match="cannot be read .*; repair or convert it") as caught:
        pp.image_features(adata, image={"left": path, "right": None}, slice_key="slice", n_pixels=16)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def test_colour_modes_that_would_be_clipped_are_refused(adata, tmp_path):
    Image.fromarray(np.full((200, 200), 40_000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match="its colour mode is 'I;16'"):
        pp.image_features(adata, image={"left": tmp_path / "deep.png", "right": None}, slice_key="slice")


def test_missing_scikit_image_names_the_extra(adata, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    before = adata.copy()
    with pytest.raises(ImportError, match=r'needs scikit-image; run: pip install "spotscape\[image\]"') as caught:
        pp.image_features(adata, slice_key="slice", n_pixels=16)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def test_a_cache_that_cannot_be_created_is_refused_before_work_starts(adata, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`cache_dir` is .* which cannot be created"):
        pp.image_features(adata, slice_key="slice", cache_dir=tmp_path / "file")


def assert_one_sentence(error):
    assert "\n" not in str(error) and len(str(error)) < 400


def assert_unchanged(adata, before):
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert list(adata.obsm) == list(before.obsm) and repr(adata.uns) == repr(before.uns)
    np.testing.assert_array_equal(adata.X, before.X)
