"""Image features of an AnnData: sources of images, what is stored, and what must not change the features."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import sparse

import spotscape.pp as pp
from spotscape.pp.image import _handcrafted as handcrafted
from spotscape.pp.image._handcrafted import COLOR_NAMES, HANDCRAFTED_NAMES, handcrafted_features
from spotscape.pp.image._tiles import cut_tiles, resize_tiles

SETTINGS = {"n_pixels": 16, "scales": [1]}


def picture(seed):
    """Violet nuclei on pink tissue."""
    rng = np.random.default_rng(seed)
    image = np.tile(np.array([170.0, 120.0, 160.0]), (150, 200, 1)) + rng.normal(0, 6, (150, 200, 1))
    y, x = np.mgrid[:150, :200]
    for row, column in rng.uniform(0, 150, (60, 2)):
        image[(y - row) ** 2 + (x - column) ** 2 < 16] = (80, 50, 130)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def adata():
    """Two slices on a grid with a photograph each, of half the resolution of the positions."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(40, 361, 40), np.arange(40, 261, 40))
    places = np.c_[x.ravel(), y.ravel()].astype(float)
    n_spots = len(places)
    data = ad.AnnData(sparse.csr_matrix(rng.poisson(1.0, (2 * n_spots, 3)).astype(np.float32)))
    data.obs_names = [f"spot_{k}" for k in rng.permutation(2 * n_spots)]
    data.obsm["spatial"] = np.concatenate([places, places + 3])
    data.obs["slice"] = pd.Categorical(np.repeat(["left", "right"], n_spots))
    scalefactors = {"tissue_hires_scalef": 0.5, "spot_diameter_fullres": 36.0}
    data.uns["spatial"] = {
        name: {"images": {"hires": picture(seed)}, "scalefactors": scalefactors}
        for seed, name in enumerate(("left", "right"))
    }
    return data


def features(adata, **arguments):
    arguments = {"slice_key": "slice"} | SETTINGS | arguments
    return pp.image_features(adata, copy=True, **arguments)


def test_features_are_those_of_the_tiles_cut_around_the_spots(adata):
    assert pp.image_features(adata, slice_key="slice", n_pixels=16) is None
    expected = []
    for name in ("left", "right"):
        centres = adata.obsm["spatial"][adata.obs["slice"] == name] * 0.5
        image = adata.uns["spatial"][name]["images"]["hires"]
        parts = [handcrafted_features(cut_tiles(image, centres, width, 16)) for width in (18.0, 36.0)]
        expected.append(np.concatenate(parts, axis=1))
    np.testing.assert_allclose(adata.obsm["X_image"], np.concatenate(expected), rtol=1e-4, atol=1e-4)
    assert adata.obsm["X_image"].dtype == np.float32
    assert adata.obs["X_image_present"].all()
    record = adata.uns["X_image"]
    assert list(record["names"][:2]) == ["mean of red (1x)", "sd of red (1x)"]
    assert len(record["names"]) == adata.obsm["X_image"].shape[1] == 2 * len(HANDCRAFTED_NAMES)
    assert list(record["slices"]) == ["left", "right"] and list(record["tile_size"]) == [36, 36]
    assert list(record["scale_factor"]) == [0.5, 0.5] and record["method"] == "handcrafted"


def test_files_arrays_and_squidpys_entries_agree(adata, tmp_path):
    expected = features(adata).obsm["X_image"]
    images = {name: entry["images"]["hires"] for name, entry in adata.uns["spatial"].items()}
    paths = {name: tmp_path / f"{name}.png" for name in images}
    for name, path in paths.items():
        Image.fromarray(images[name]).save(path)
    for image in (images, paths, {name: str(path) for name, path in paths.items()}):
        given = features(adata, image=image, scale_factor=0.5)
        np.testing.assert_array_equal(given.obsm["X_image"], expected)
    assert list(given.uns["X_image"]["image"]) == [str(path) for path in paths.values()]
    del adata.uns["spatial"]
    sized = features(adata, image=images, scale_factor={"left": 0.5, "right": 0.5}, tile_size=36)
    np.testing.assert_array_equal(sized.obsm["X_image"], expected)
    # without a diameter a tile reaches as far as the next spot
    assert list(features(adata, image=images, scale_factor=0.5).uns["X_image"]["tile_size"]) == [40, 40]


def test_stored_patches(adata):
    patches = np.random.default_rng(0).integers(0, 256, (adata.n_obs, 20, 20, 3)).astype(np.uint8)
    adata.obsm["patches"], adata.uns["patch_shape"] = patches.reshape(adata.n_obs, -1), np.array([20, 20, 3])
    flat = pp.image_features(adata, patches_key="patches", n_pixels=16, copy=True).obsm["X_image"]
    np.testing.assert_allclose(flat, handcrafted_features(resize_tiles(patches, 16)), rtol=1e-4, atol=1e-4)
    adata.obsm["patches"] = patches
    del adata.uns["patch_shape"], adata.uns["spatial"], adata.obsm["spatial"]
    np.testing.assert_array_equal(features(adata, patches_key="patches", scales=None).obsm["X_image"], flat)


@pytest.mark.parametrize("stain", ["none", "slide", "macenko"])
def test_order_other_slices_and_threads_do_not_change_the_features(adata, stain):
    expected = features(adata, stain=stain, n_jobs=1)
    order = np.random.default_rng(1).permutation(adata.n_obs)
    permuted = features(adata[order].copy(), stain=stain)
    np.testing.assert_allclose(permuted.obsm["X_image"], expected.obsm["X_image"][order], rtol=1e-4, atol=1e-4)
    right = (adata.obs["slice"] == "right").to_numpy()
    alone = features(adata[right].copy(), stain=stain)
    np.testing.assert_array_equal(alone.obsm["X_image"], expected.obsm["X_image"][right])
    np.testing.assert_array_equal(features(adata, stain=stain, n_jobs=3).obsm["X_image"], expected.obsm["X_image"])


def test_stain_normalisation_changes_the_colours(adata):
    raw = features(adata).obsm["X_image"]
    assert not np.allclose(features(adata, stain="macenko").obsm["X_image"], raw)
    assert not np.allclose(features(adata, stain="slide").obsm["X_image"], raw)


def test_spots_off_the_image_and_slices_without_one_are_missing(adata):
    adata.obsm["spatial"][3] = (900, 40)
    adata.uns["spatial"]["right"] = {"images": {}}
    with pytest.warns(UserWarning, match=r"55 spots have no image; their rows of `obsm\['X_image'\]` are missing"):
        answer = features(adata)
    present = answer.obs["X_image_present"].to_numpy()
    assert present.sum() == 53 and not present[3] and not present[54:].any()
    assert np.isfinite(answer.obsm["X_image"][present]).all() and np.isnan(answer.obsm["X_image"][~present]).all()
    images = {"left": adata.uns["spatial"]["left"]["images"]["hires"], "right": None}
    with pytest.warns(UserWarning, match="55 spots"):
        given = features(adata, image=images, scale_factor=0.5, tile_size=36)
    np.testing.assert_array_equal(given.obsm["X_image"], answer.obsm["X_image"])


def test_narrow_tiles_have_features_of_colours_only(adata):
    with pytest.warns(UserWarning, match="Tiles of scale 1 are only 5.0 pixels of the image wide"):
        coarse = features(adata, tile_size={"left": 10, "right": 36}, scales=[1, 4])
    fine = features(adata, tile_size=36, scales=[1, 4])
    names, remaining = list(fine.uns["X_image"]["names"]), list(coarse.uns["X_image"]["names"])
    assert remaining == names[: len(COLOR_NAMES)] + names[len(HANDCRAFTED_NAMES) :]
    columns = [names.index(name) for name in remaining]
    np.testing.assert_array_equal(coarse.obsm["X_image"][54:], fine.obsm["X_image"][54:, columns])


def test_second_call_reads_the_cache(adata, tmp_path, monkeypatch):
    expected = features(adata, cache_dir=tmp_path / "cache").obsm["X_image"]
    assert len(list((tmp_path / "cache").iterdir())) == 2
    n_computed = []

    def count(tiles, **settings):
        n_computed.append(len(tiles))
        return handcrafted_features(tiles, **settings)

    monkeypatch.setattr(handcrafted, "handcrafted_features", count)
    again = features(adata, cache_dir=tmp_path / "cache", key_added="X_again", n_jobs=1)
    np.testing.assert_array_equal(again.obsm["X_again"], expected)
    assert not n_computed
    # only the slice whose image changed is computed again
    adata.uns["spatial"]["right"]["images"]["hires"][0, 0] ^= 1
    features(adata, cache_dir=tmp_path / "cache", n_jobs=1)
    assert sum(n_computed) == 54
    for change in ({"stain": "slide"}, {"n_pixels": 17}, {"tile_size": 35}, {"scales": [2]}, {"scale_factor": 0.51}):
        n_computed.clear()
        features(adata, cache_dir=tmp_path / "cache", n_jobs=1, **change)
        assert sum(n_computed) == 108, change
    # nor are those of another version of the method
    n_computed.clear()
    monkeypatch.setattr(handcrafted, "HANDCRAFTED_VERSION", handcrafted.HANDCRAFTED_VERSION + 1)
    features(adata, cache_dir=tmp_path / "cache", n_jobs=1)
    assert sum(n_computed) == 108


def test_a_damaged_cache_is_computed_again(adata, tmp_path):
    expected = features(adata, cache_dir=tmp_path).obsm["X_image"]
    path = sorted(tmp_path.iterdir())[0]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="is damaged; its features are computed again"):
        np.testing.assert_array_equal(features(adata, cache_dir=tmp_path).obsm["X_image"], expected)
    np.testing.assert_array_equal(features(adata, cache_dir=tmp_path).obsm["X_image"], expected)


def test_one_slice_needs_no_key_and_the_record_survives_a_file(adata, tmp_path):
    one = adata[adata.obs["slice"] == "left"].copy()
    one.uns["spatial"] = {"V1_section": adata.uns["spatial"]["left"]}
    pp.image_features(one, **SETTINGS)
    expected = features(adata).obsm["X_image"][:54]
    np.testing.assert_array_equal(one.obsm["X_image"], expected)
    one.write_h5ad(tmp_path / "one.h5ad")
    read = ad.read_h5ad(tmp_path / "one.h5ad")
    assert list(read.uns["X_image"]["names"]) == list(one.uns["X_image"]["names"])
    np.testing.assert_array_equal(read.obs["X_image_present"], True)


@pytest.mark.data
def test_photograph_and_stored_patches_of_a_real_section_agree(section, data_file):
    adata = section("her2st_A1_he")
    scale = adata.uns["spatial"]["A1"]["metadata"]["image_2000px_scalef"]
    pp.image_features(adata, image=data_file("images/A1_2000px.jpg"), scale_factor=scale, scales=[2])
    pp.image_features(adata, patches_key="patch_rgb64", key_added="X_patches")
    both = zip(adata.obsm["X_image"].T, adata.obsm["X_patches"].T, strict=True)
    assert np.median([np.corrcoef(*columns)[0, 1] for columns in both]) > 0.95
