"""Differences between slices are taken off before the encoder, and put back in expression."""

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from spotscape import SPOTSCAPE
from spotscape.datasets import synthetic_tissue
from spotscape.preprocessing.correction import _harmony as _correction_harmony

from .conftest import small_model


@pytest.fixture(scope="module")
def batches():
    """Two slices that lie farther apart than their domains do."""
    return synthetic_tissue(n_slices=2, n_spots=300, n_genes=80, n_domains=4, batch_effect="strong", seed=1)


def neighbors_of_other_slices(latent, slices):
    nearest = NearestNeighbors(n_neighbors=11).fit(latent).kneighbors(return_distance=False)
    return (slices[nearest] != slices[:, None]).mean()


def test_slices_meet(batches):
    slices = batches.obs["slice"].to_numpy(str)
    mixed, apart = (
        neighbors_of_other_slices(
            small_model(batches.copy(), epochs=20, slice_correction=name).get_latent_representation(), slices
        )
        for name in ("harmony", "none")
    )
    assert apart < 0.02
    assert mixed > 0.1


def test_default_follows_slices_and_features(batches):
    def correction(adata, **arguments):
        SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
        return SPOTSCAPE(adata, **arguments).pipeline.correction.name

    assert correction(batches.copy()) == "harmony"
    assert correction(batches.copy(), features="genes") == "none"
    assert correction(batches[batches.obs["slice"] == "slice_1"].copy()) == "none"
    assert correction(batches.copy(), slice_correction="centre") == "centre"


@pytest.mark.parametrize("name", ["centre", "combat", "harmony"])
def test_what_was_taken_off_is_put_back_in_expression(batches, name):
    adata = batches.copy()
    model = small_model(adata, epochs=60, slice_correction=name)
    features, rows = model._dataset(model.adata_manager).features, np.arange(5, 60)
    uncorrected = model.preprocessor.transform(adata.layers["counts"])
    np.testing.assert_array_equal(features.uncorrected, uncorrected)
    assert np.abs(features.corrected - uncorrected)[rows].max() > 0.1
    # The batch effect of the tissue is a factor for each gene and slice; it must be in the expression again. If it is
    # not, the correlation is about 0.1.
    expression = model.get_normalized_expression(return_numpy=True)
    first = (adata.obs["slice"] == adata.obs["slice"].iloc[0]).to_numpy()
    counts = adata.layers["counts"]
    found = np.log(expression[first].mean(axis=0) / expression[~first].mean(axis=0))
    totals = [np.asarray(counts[rows].sum(axis=0)).ravel() + 1.0 for rows in (first, ~first)]
    expected = np.log(totals[0] / totals[0].sum()) - np.log(totals[1] / totals[1].sum())
    assert np.corrcoef(found, expected)[0, 1] > 0.8


@pytest.mark.parametrize("name", ["centre", "combat", "harmony"])
def test_correction_is_saved(batches, name, tmp_path):
    adata = batches.copy()
    model = small_model(adata, slice_correction=name)
    model.save(tmp_path / "model")
    loaded = SPOTSCAPE.load(tmp_path / "model", adata=batches.copy())
    np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    np.testing.assert_array_equal(
        loaded.get_normalized_expression(return_numpy=True), model.get_normalized_expression(return_numpy=True)
    )


def test_learnt_from_some_spots_of_many(batches, monkeypatch):
    whole = small_model(batches.copy(), epochs=1)
    monkeypatch.setattr(_correction_harmony, "_N_SPOTS_FIT", 400)
    part = small_model(batches.copy(), epochs=1)
    first, second = (model._dataset(model.adata_manager).features.corrected for model in (whole, part))
    assert not np.array_equal(first, second)
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(first.T[:5], second.T[:5], strict=True)]
    assert min(correlations) > 0.95


def test_a_tiny_slice_among_many_spots_is_centred_by_all_of_its_spots():
    rng = np.random.default_rng(0)
    slices = np.repeat(["large", "tiny"], [20_500, 30])
    adata = AnnData(
        sparse.csr_matrix(rng.poisson(2.0, (len(slices), 40)).astype(np.float32)),
        obs={"slice": slices},
        obsm={"spatial": rng.uniform(size=(len(slices), 2))},
    )
    SPOTSCAPE.setup_anndata(adata, slice_key="slice")
    model = SPOTSCAPE(adata, slice_correction="centre", n_components=5)
    features = model._dataset(model.adata_manager).features.corrected
    for name in ("large", "tiny"):
        # A sample of 20,000 spots would have 29 of the 30.
        np.testing.assert_allclose(features[slices == name].mean(axis=0), 0, atol=1e-4)
