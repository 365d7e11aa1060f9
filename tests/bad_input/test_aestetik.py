"""Bad input to AESTETIK gets one clear sentence before any training starts, and the data stays as it was."""

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest

from spotscape import AESTETIK
from spotscape.datasets import synthetic_modalities

pytestmark = [
    # anndata and scvi-tools warn of what is then refused
    pytest.mark.filterwarnings("ignore:Observation names are not unique"),
    pytest.mark.filterwarnings("ignore:`var_names` for the loaded `model` does not match"),
    # so few spots cannot show that image and expression agree
    pytest.mark.filterwarnings("ignore:The image gets a weight of"),
]

KEYS = {"rna_key": "counts", "image_key": "X_image", "slice_key": "slice"}


def nothing(adata):
    pass


def partly_missing(adata):
    adata.obsm["X_image"][3, 2] = np.nan


def infinite(adata):
    adata.obsm["X_image"][3, 2] = np.inf


def all_missing(adata):
    adata.obsm["X_image"][:] = np.nan


def constant(adata):
    adata.obsm["X_image"][:] = 1.0


def text(adata):
    adata.obsm["X_image"] = adata.obsm["X_image"].astype(str).astype(object)
    adata.obsm["X_image"][0, 0] = "red"


def missing_features(adata):
    adata.obsm["X_pca"] = np.full((adata.n_obs, 4), np.nan)
    adata.obsm["X_pca"][1:] = 1.0


def same_name(adata):
    adata.obsm["counts"] = np.ones((adata.n_obs, 3))


def nan_position(adata):
    adata.obsm["spatial"][3, 0] = np.nan


def missing_slice(adata):
    adata.obs["slice"] = adata.obs["slice"].astype(object)
    adata.obs.loc[adata.obs_names[:3], "slice"] = None


def features(adata):
    adata.obsm["X_pca"] = np.random.default_rng(0).normal(size=(adata.n_obs, 4))


def features_without_slice(adata):
    features(adata)
    missing_slice(adata)


def same_names(adata):
    features(adata)
    adata.obs_names = ["spot"] * adata.n_obs


SETUP_CASES = {
    "no such expression": (nothing, {"rna_key": "X_pca"}, KeyError, "no layer and not in `adata.obsm`; available"),
    "layer and obsm of one name": (same_name, {}, ValueError, "both a layer and in `adata.obsm`"),
    "no such image": (nothing, {"image_key": "X_he"}, KeyError, "`image_key` is 'X_he', which is not in `adata.obsm`"),
    "no such slices": (nothing, {"slice_key": "sample"}, KeyError, "`slice_key`"),
    "no such positions": (nothing, {"spatial_key": "xy"}, KeyError, "`spatial_key`"),
    "image in part": (partly_missing, {}, ValueError, "missing or infinite in part for 1 spot.*NaN for all"),
    "infinite image": (infinite, {}, ValueError, "missing or infinite in part for 1 spot"),
    "no image at all": (all_missing, {}, ValueError, "No spot has features.*leave the image out"),
    "image without content": (constant, {}, ValueError, "the same for all spots"),
    "image of text": (text, {}, TypeError, "not all numbers"),
    "missing features": (missing_features, {"rna_key": "X_pca"}, ValueError, "for 1 spot.*drop those spots"),
    "missing slice": (missing_slice, {}, ValueError, "3 missing value"),
    "missing slice of features": (features_without_slice, {"rna_key": "X_pca"}, ValueError, "3 missing value"),
    "duplicate names": (same_names, {"rna_key": "X_pca"}, ValueError, "not unique"),
    "NaN coordinate": (nan_position, {}, ValueError, "coordinates of 1 spots are NaN"),
    "size factors of features": (
        features,
        {"rna_key": "X_pca", "size_factor_key": "total"},
        ValueError,
        "features, which have no library size",
    ),
    "unknown argument": (nothing, {"image": "X_image"}, TypeError, "no argument 'image'"),
    "unknown kind of values": (nothing, {"values": "raw"}, ValueError, "`values` is 'raw'"),
}


def build(**arguments):
    def call(adata):
        AESTETIK(adata, **arguments)

    return call


def train(**arguments):
    def call(adata):
        AESTETIK(adata, n_clusters=4, n_latent=4).train(**arguments)

    return call


MODEL_CASES = {
    "one cluster": (build(n_clusters=1), ValueError, "`n_clusters` is 1"),
    "more clusters than spots": (build(n_clusters=500), ValueError, "only 120 spots"),
    "no window": (build(window=-1), ValueError, "`window` is -1"),
    "unknown layout": (build(layout="round"), ValueError, "`layout` is 'round'"),
    "unknown correction": (build(rna_correction="bbknn"), ValueError, "`rna_correction` is 'bbknn'; choose one of"),
    "counts are not precomputed": (build(rna_correction="precomputed"), ValueError, "`rna_key` names counts"),
    "too large a weight": (build(image_weight=2), ValueError, "`image_weight` is 2"),
    "negative margin": (build(margin=-1), ValueError, "`margin` is -1"),
    "positives neither true nor false": (
        build(cross_sample_positives="no"),
        TypeError,
        "`cross_sample_positives` is 'no'",
    ),
    "unknown argument": (build(n_layers=2), TypeError, "n_layers"),
    "unknown preset": (build(preset="published"), ValueError, "`preset` is 'published'; choose one of"),
    "unknown encoder": (build(encoder="graph"), ValueError, "`encoder` is 'graph'; choose one of"),
    "members of the linear encoder": (build(n_members=3), ValueError, "`n_members` is 3, but the linear encoder"),
    "dropout of the linear encoder": (build(n_dropout_passes=9), ValueError, "`n_dropout_passes` is 9, but the linear"),
    "linear encoder in a preset": (build(preset="paper", encoder="linear"), ValueError, "preset 'paper' is a convolu"),
    "convolution of cells": (build(preset="released", layout="irregular"), ValueError, "`layout` is 'irregular', but"),
    "no total": (build(target_sum=0), ValueError, "`target_sum` is 0"),
    "no epochs": (train(max_epochs=0), ValueError, "`max_epochs` is 0"),
    "unknown schedule": (train(schedule="cosine"), ValueError, "`schedule` is 'cosine'"),
}


@pytest.fixture
def adata():
    return synthetic_modalities(n_slices=2, n_spots=60, n_kinds=4, n_genes=30, n_image_features=10, seed=0)


def assert_unchanged(adata, before):
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert repr(adata.uns) == repr(before.uns)
    assert (adata.X != before.X).nnz == 0
    assert adata.obsm.keys() == before.obsm.keys()
    for key in before.obsm:
        np.testing.assert_array_equal(adata.obsm[key], before.obsm[key])


def assert_one_sentence(error):
    assert "\n" not in str(error) and len(str(error)) < 400


@pytest.mark.parametrize("case", SETUP_CASES)
def test_bad_setup(adata, case):
    change, arguments, error, message = SETUP_CASES[case]
    change(adata)
    before = adata.copy()
    with pytest.raises(error, match=message) as caught:
        AESTETIK.setup_anndata(adata, **KEYS | arguments)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


@pytest.mark.parametrize("case", MODEL_CASES)
def test_bad_model_and_training(adata, case):
    call, error, message = MODEL_CASES[case]
    AESTETIK.setup_anndata(adata, **KEYS)
    before = adata.copy()
    with pytest.raises(error, match=message) as caught:
        call(adata)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def test_a_weight_of_no_image_and_a_model_without_data_are_refused(adata):
    AESTETIK.setup_anndata(adata, **KEYS | {"image_key": None})
    with pytest.raises(ValueError, match="set up without an image; leave it out"):
        AESTETIK(adata, n_clusters=4, image_weight=0.5)
    with pytest.raises(ValueError, match="adata|data"):
        AESTETIK()


@pytest.mark.parametrize("arguments", [{"preset": "paper"}, {"encoder": "convolution"}])
def test_a_convolution_of_cells_on_no_lattice_is_refused(adata, arguments):
    adata.obsm["spatial"][60:] = np.random.default_rng(0).uniform(0, 1000, (60, 2))
    AESTETIK.setup_anndata(adata, **KEYS)
    before = adata.copy()
    with pytest.raises(ValueError, match="`encoder` is 'convolution'.*spots of slice 'slice_2' are on no") as caught:
        AESTETIK(adata, n_clusters=4, **arguments)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def mudata_of(adata):
    rna = adata.copy()
    image = anndata.AnnData(rna.obsm.pop("X_image"), obs=adata.obs[[]].copy())
    return mudata.MuData({"rna": rna, "image": image})


def test_bad_mudata_is_refused(adata):
    keys = {"rna_key": "counts", "slice_key": "slice"}
    mdata = mudata_of(adata)
    with pytest.raises(KeyError, match="'histology'.*not a modality.*Pass None for expression only"):
        AESTETIK.setup_mudata(mdata, image_modality="histology", **keys)
    with pytest.raises(ValueError, match="`image_key` is given without `image_modality`"):
        AESTETIK.setup_mudata(mdata, image_modality=None, image_key="X_image", **keys)
    with pytest.raises(TypeError, match="MuData is needed"):
        AESTETIK.setup_mudata(adata, **keys)
    assert set(mdata.uns) == set()


def test_other_data_at_load_is_refused(adata, tmp_path):
    AESTETIK.setup_anndata(adata, **KEYS)
    model = AESTETIK(adata, n_clusters=4, n_latent=4)
    model.train(1, enable_progress_bar=False)
    model.save(tmp_path / "model")
    for change, message in (
        (lambda new: new[:, 3:].copy(), "3 of the 30 genes of the model are missing"),
        (lambda new: _with_image(new, new.obsm["X_image"][:, :4]), "has 4 columns, but the model was set up with 10"),
    ):
        new = change(synthetic_modalities(n_slices=1, n_spots=50, n_kinds=4, n_genes=30, n_image_features=10, seed=3))
        before = new.copy()
        with pytest.raises(ValueError, match=message):
            AESTETIK.load(tmp_path / "model", adata=False).get_latent_representation(new)
        with pytest.raises(ValueError, match=message):
            AESTETIK.load(tmp_path / "model", adata=new)
        assert_unchanged(new, before)


def _with_image(adata, image):
    adata.obsm["X_image"] = image
    return adata
