"""New sections: panels that overlap in part, and sections unlike those trained on."""

import warnings

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest

from spotscape import SPOTSCAPE
from spotscape.datasets import synthetic_tissue

from .conftest import small_model

MEASURED = "spotscape_measured"


def tissue(seed=0, n_slices=2):
    return synthetic_tissue(n_slices=n_slices, n_spots=150, n_genes=100, n_domains=3, seed=seed)


@pytest.fixture(scope="module")
def trained():
    """Two slices of a tissue of three, and the model trained on them."""
    adata = tissue(n_slices=3)
    # Uncorrected, since a correction of the new slice makes up for a part of what is done to it.
    model = small_model(adata[adata.obs["slice"] != "slice_3"].copy(), epochs=20, slice_correction="none")
    return model, adata[adata.obs["slice"] == "slice_3"].copy()


def fewer_genes(adata, share=0.7, seed=0):
    return adata[:, np.random.default_rng(seed).random(adata.n_vars) < share].copy()


# ------------------------------------------------------------------------------------------------ genes


def test_all_genes_in_another_order_and_among_others_change_nothing(trained):
    model, query = trained
    expected = model.get_latent_representation(query.copy())
    other = query[:, ::-1].copy()
    other.var_names = [f"other_{name}" for name in other.var_names]
    mixed = with_others(query, other)
    SPOTSCAPE.prepare_query_anndata(mixed, model)
    assert list(mixed.var_names) == list(model.get_var_names()) and mixed.var[MEASURED].all()
    np.testing.assert_array_equal(mixed.layers["counts"].toarray(), query.layers["counts"].toarray())
    np.testing.assert_allclose(model.get_latent_representation(mixed), expected, rtol=1e-4, atol=1e-4)


def with_others(query, other):
    mixed = anndata.concat([other, query[:, ::-1]], axis=1, merge="first")
    mixed.obsm["spatial"], mixed.obs = query.obsm["spatial"].copy(), query.obs.copy()
    return mixed


def test_missing_genes_are_completed_by_expectation_and_not_by_zeros(trained):
    model, query = trained
    full = model.get_latent_representation(query.copy())
    prepared = SPOTSCAPE.prepare_query_anndata(fewer_genes(query), model, inplace=False)
    measured = np.isin(prepared.var_names, fewer_genes(query).var_names)
    np.testing.assert_array_equal(prepared.var[MEASURED], measured)
    assert 50 < measured.sum() < 90
    np.testing.assert_array_equal(
        prepared.layers["counts"].toarray(), query.layers["counts"].toarray() * measured.astype(np.float32)
    )
    error = np.linalg.norm(model.get_latent_representation(prepared) - full)
    zeros = prepared.copy()
    zeros.var[MEASURED] = True
    with pytest.warns(UserWarning, match="unlike those that the model was trained on"):
        worse = model.get_latent_representation(zeros)
    assert error < 0.5 * np.linalg.norm(worse - full)


def test_the_saved_model_prepares_and_maps_alike(trained, tmp_path):
    model, query = trained
    model.save(tmp_path / "model")
    ours, theirs = fewer_genes(query), fewer_genes(query)
    SPOTSCAPE.prepare_query_anndata(ours, model)
    SPOTSCAPE.prepare_query_anndata(theirs, tmp_path / "model")
    pd.testing.assert_frame_equal(ours.var, theirs.var)
    expected = model.get_latent_representation(ours)
    loaded = SPOTSCAPE.load(tmp_path / "model", adata=theirs)
    np.testing.assert_array_equal(loaded.get_latent_representation(), expected)
    # A model that is saved with such data is no worse for it.
    loaded.save(tmp_path / "again")
    again = SPOTSCAPE.load(tmp_path / "again", adata=query.copy())
    np.testing.assert_array_equal(again.get_latent_representation(), model.get_latent_representation(query.copy()))
    names = SPOTSCAPE.prepare_query_anndata(theirs, tmp_path / "model", return_reference_var_names=True)
    assert list(names) == list(model.get_var_names())


def test_preparing_twice_remembers_what_was_measured(trained):
    model, query = trained
    once = SPOTSCAPE.prepare_query_anndata(fewer_genes(query), model, inplace=False)
    twice = SPOTSCAPE.prepare_query_anndata(once, model, inplace=False)
    np.testing.assert_array_equal(once.var[MEASURED], twice.var[MEASURED])


def test_everything_but_the_genes_stays(trained, tmp_path):
    model, query = trained
    query = fewer_genes(query)
    query.var["is_marker"] = True
    query.raw = query
    query.X = query.X.toarray()
    query.uns["study"] = {"year": 2020}
    before = query.copy()
    prepared = SPOTSCAPE.prepare_query_anndata(query, model, inplace=False)
    assert query.var.equals(before.var) and "_scvi_uuid" not in prepared.uns
    pd.testing.assert_frame_equal(prepared.obs, query.obs)
    np.testing.assert_array_equal(prepared.obsm["spatial"], query.obsm["spatial"])
    np.testing.assert_array_equal(prepared[:, query.var_names].X, query.X)
    assert prepared.uns["study"] == {"year": 2020} and prepared.raw.n_vars == query.n_vars
    assert prepared.var["is_marker"].isna().sum() == 100 - query.n_vars
    prepared.write_h5ad(tmp_path / "prepared.h5ad")


def test_library_size_is_that_of_all_genes(trained):
    model, query = trained
    genes = list(model.get_var_names()[:5])
    prepared = SPOTSCAPE.prepare_query_anndata(fewer_genes(query), model, inplace=False)
    arguments = {"gene_list": genes, "library_size": "latent", "return_numpy": True}
    found = model.get_normalized_expression(prepared, **arguments)
    expected = model.get_normalized_expression(query.copy(), **arguments)
    assert found.mean() == pytest.approx(expected.mean(), rel=0.15)


def test_genes_as_features_are_completed_too():
    adata = tissue()
    query = adata[adata.obs["slice"] == "slice_2"].copy()
    model = small_model(adata[adata.obs["slice"] == "slice_1"].copy(), epochs=20, features="genes")
    full = model.get_latent_representation(query.copy())
    prepared = SPOTSCAPE.prepare_query_anndata(fewer_genes(query), model, inplace=False)
    error = np.linalg.norm(model.get_latent_representation(prepared) - full)
    prepared = prepared.copy()
    prepared.var[MEASURED] = True
    with pytest.warns(UserWarning, match="unlike those that the model was trained on"):
        worse = model.get_latent_representation(prepared)
    assert error < np.linalg.norm(worse - full)


def test_mudata_is_prepared_in_its_modality(trained):
    model, query = trained

    def wrapped(adata):
        light = adata.copy()
        other = anndata.AnnData(light.X[:, :3].copy(), obs=light.obs[[]])
        return mudata.MuData({"rna": light, "other": other})

    SPOTSCAPE.setup_mudata(reference := wrapped(tissue()), modality="rna", layer="counts", slice_key="slice")
    of_mudata = SPOTSCAPE(reference, n_hidden=16, n_latent=8)
    of_mudata.train(3, enable_progress_bar=False)
    data = wrapped(fewer_genes(query))
    copied = SPOTSCAPE.prepare_query_mudata(data, of_mudata, inplace=False)
    assert data.mod["rna"].n_vars < 100 and copied.mod["rna"].n_vars == 100
    SPOTSCAPE.prepare_query_mudata(data, of_mudata)
    assert data.mod["rna"].n_vars == 100 and data.mod["other"].n_vars == 3 and data.n_vars == 103
    for prepared in (data, copied):
        assert of_mudata.get_latent_representation(prepared).shape == (150, 8)


# ---------------------------------------------------------------------------------------------- novelty


@pytest.mark.parametrize("slice_correction", ["none", "harmony"])
def test_a_slice_of_the_same_tissue_is_known_and_others_are_not(slice_correction):
    adata = tissue(n_slices=3)
    trained_on, query = (
        adata[rows].copy() for rows in (adata.obs["slice"] != "slice_3", adata.obs["slice"] == "slice_3")
    )
    model = small_model(trained_on, epochs=20, slice_correction=slice_correction)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*unlike those")
        model.get_latent_representation(query.copy())
    novel = model.get_novelty(query.copy())
    assert novel.shape == (150,) and novel.min() >= 0 and novel.max() <= 1
    assert model.get_novelty().mean() < 0.5
    known = model.get_slice_novelty(query.copy())
    assert list(known.index) == ["slice_3"] and known["n_spots"].item() == 150
    assert known["share_novel"].item() == pytest.approx((novel >= 0.99).mean())
    assert not known["out_of_distribution"].item()

    shuffled = query.copy()
    shuffled.var_names = np.random.default_rng(0).permutation(np.asarray(query.var_names))
    SPOTSCAPE.prepare_query_anndata(shuffled, model)
    with pytest.warns(UserWarning, match=r"1 of 1 slice\(s\) are unlike.*'slice_3', \d+% of the spots"):
        model.get_latent_representation(shuffled)
    with warnings.catch_warnings():
        # Who asks how novel a slice is need not be told to ask.
        warnings.filterwarnings("error", message=".*unlike those")
        table = model.get_slice_novelty(shuffled)
    assert table["out_of_distribution"].item() and table["share_novel"].item() > 0.9


def test_novelty_follows_the_spots(trained):
    model, query = trained
    expected = model.get_novelty(query.copy())
    order = np.random.default_rng(0).permutation(query.n_obs)
    np.testing.assert_allclose(model.get_novelty(query[order].copy()), expected[order], atol=0.01)
    np.testing.assert_allclose(model.get_novelty(query.copy(), indices=[5, 3]), expected[[5, 3]], atol=0.01)


def test_novelty_is_saved(trained, tmp_path):
    model, query = trained
    model.save(tmp_path / "model")
    loaded = SPOTSCAPE.load(tmp_path / "model", adata=query.copy())
    np.testing.assert_array_equal(loaded.get_novelty(), model.get_novelty(query.copy()))
