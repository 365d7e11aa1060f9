"""The model as users meet it."""

import mudata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csc_matrix

from spotscape import SPOTSCAPE
from spotscape.datasets import synthetic_tissue
from spotscape.metrics import adjusted_rand_index
from spotscape.tl import domains

from .conftest import small_model


def test_shapes_and_names(adata, model):
    latent = model.get_latent_representation()
    assert latent.shape == (240, 8) and latent.dtype == np.float32 and np.isfinite(latent).all()
    expression = model.get_normalized_expression()
    assert list(expression.index) == list(adata.obs_names) and list(expression.columns) == list(adata.var_names)
    adata.layers["denoised"] = model.get_normalized_expression(return_numpy=True)
    np.testing.assert_array_equal(adata.layers["denoised"], expression.to_numpy())


def test_indices_and_genes_select(adata, model):
    genes = [adata.var_names[7], adata.var_names[2]]
    chosen = [5, 200, 17]
    whole = model.get_normalized_expression()
    part = model.get_normalized_expression(indices=chosen, gene_list=genes)
    pd.testing.assert_frame_equal(part, whole.iloc[chosen][genes], rtol=1e-5)
    mask = np.isin(np.arange(adata.n_obs), chosen)
    np.testing.assert_allclose(
        model.get_latent_representation(indices=mask),
        model.get_latent_representation()[sorted(chosen)],
        rtol=1e-5,
        atol=1e-6,
    )


def test_library_size_scales(adata, model):
    shares = model.get_normalized_expression(return_numpy=True)
    np.testing.assert_allclose(
        model.get_normalized_expression(library_size=1e4, return_numpy=True), 1e4 * shares, rtol=1e-5
    )
    totals = np.asarray(adata.layers["counts"].sum(axis=1))
    np.testing.assert_allclose(
        model.get_normalized_expression(library_size="latent", return_numpy=True), totals * shares, rtol=1e-5
    )


def test_denoised_expression_follows_the_counts(adata):
    model = small_model(
        adata,
        epochs=200,
        n_hidden=64,
        n_latent=16,
        telescope_weight=0,
        scaling_weight=0,
        prototype_weight=0,
        reconstruction_weight=1.0,
    )
    shares = model.get_normalized_expression(return_numpy=True)
    counts = adata.layers["counts"].toarray()
    observed = counts / counts.sum(axis=1, keepdims=True)
    # The totals of genes agree, and so do, where they differ most, the means of domains, in which the noise cancels.
    expected_counts = shares * counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(expected_counts.sum(axis=0), counts.sum(axis=0), rtol=1e-3)
    domains = adata.obs["domain"].to_numpy()
    found, expected = (np.stack([m[domains == d].mean(axis=0) for d in np.unique(domains)]) for m in (shares, observed))
    variable = (expected.std(axis=0) / expected.mean(axis=0)).argsort()[-20:]
    correlations = [np.corrcoef(found[:, g], expected[:, g])[0, 1] for g in variable]
    assert np.median(correlations) > 0.9


def test_log_normalized_expression_is_that_of_the_shares(adata, model):
    log = model.get_normalized_expression(log_normalized=True)
    shares = model.get_normalized_expression()
    intercept, slope, highest = model.count_calibration_
    expected = np.exp(intercept + slope * np.minimum(log, highest)) / model.preprocessor.target_sum
    pd.testing.assert_frame_equal(shares, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="`library_size` is 100"):
        model.get_normalized_expression(log_normalized=True, library_size=100)


def test_without_slice_key_all_spots_are_one_slice(adata):
    one = adata[adata.obs["slice"] == "slice_1"].copy()
    model = small_model(one, setup={"slice_key": None})
    assert model.summary_stats.n_batch == 1
    assert "scaling_loss_train" not in model.history and "prototype_loss_train" not in model.history
    assert "telescope_loss_train" in model.history


def test_prototypes_wait_for_the_warm_up(adata):
    model = small_model(adata, epochs=6, train={"prototype_warmup": 4})
    losses = model.history["prototype_loss_train"].iloc[:, 0].astype(float).to_numpy()
    assert (losses[:4] == 0).all() and (losses[4:] > 0).all()


@pytest.mark.parametrize("name", ["telescope", "scaling", "prototype"])
def test_a_loss_of_weight_zero_is_off(adata, name):
    model = small_model(adata, **{f"{name}_weight": 0.0})
    assert f"{name}_loss_train" not in model.history


@pytest.mark.parametrize("features", ["components", "genes"])
@pytest.mark.parametrize("latent_activation", ["linear", "relu"])
def test_inputs_and_activations(adata, features, latent_activation):
    model = small_model(adata, features=features, latent_activation=latent_activation, residual=False)
    latent = model.get_latent_representation()
    assert np.isfinite(latent).all()
    assert (latent.min() >= 0) == (latent_activation == "relu")
    expression = model.get_normalized_expression(return_numpy=True)
    assert expression.shape == adata.shape and np.isfinite(expression).all() and expression.min() >= 0


@pytest.mark.parametrize("features", ["components", "genes"])
def test_training_lowers_the_loss(adata, features):
    model = small_model(adata, epochs=60, features=features, residual=False, prototype_weight=0)
    losses = model.history["train_loss"].iloc[:, 0].astype(float).to_numpy()
    assert losses[-5:].mean() < 0.9 * losses[:5].mean()


def test_training_starts_at_the_smoothed_components(adata):
    model = small_model(adata, epochs=1, train={"lr": 1e-12, "weight_decay": 0})
    connectivities = adata.obsp["spatial_connectivities"]
    adjacency = connectivities.toarray() + np.eye(adata.n_obs)
    roots = np.sqrt(adjacency.sum(axis=1))
    adjacency = adjacency / roots[:, None] / roots
    features = model._dataset(model.adata_manager).features.corrected
    smoothed = (adjacency @ adjacency @ features)[:, :8]
    np.testing.assert_allclose(model.get_latent_representation(), smoothed, atol=1e-4)


@pytest.mark.parametrize("max_epochs", [1, 2, 10, 11])
def test_any_number_of_epochs_trains(adata, max_epochs):
    model = small_model(adata, epochs=max_epochs, train={"prototype_warmup": 0})
    assert len(model.history["train_loss"]) == max_epochs


def test_minibatches_train(adata):
    model = small_model(adata, train={"batch_size": 64, "prototype_warmup": 2})
    assert np.isfinite(model.get_latent_representation()).all()
    assert model.module._n_steps == 6 * 4


def test_epochs_of_many_spots_see_a_part_of_them(adata, monkeypatch):
    monkeypatch.setattr("spotscape.model._training.default_batch_size", lambda n_spots: 64)
    SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = SPOTSCAPE(adata, n_hidden=8, n_latent=4, n_prototypes=(3,))
    model.train(enable_progress_bar=False)
    # 240 spots are worth 20 steps, and there are at least 20 epochs.
    assert model.module._n_steps == 20 and len(model.history["train_loss"]) == 20


@pytest.mark.slow
@pytest.mark.parametrize("patch_size", [32, None])
def test_small_batches_find_the_domains_of_the_full_graph(patch_size):
    adata = synthetic_tissue(n_slices=3, n_spots=1200, n_genes=200, n_domains=5, seed=0)
    SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    scores = []
    for batch_size in (None, 400):
        model = SPOTSCAPE(adata, seed=0)
        model.train(batch_size=batch_size, patch_size=patch_size, enable_progress_bar=False)
        adata.obsm["X_spotscape"] = model.get_latent_representation()
        domains(adata, n_domains=5)
        scores.append(adjusted_rand_index(adata.obs["domain"], adata.obs["spatial_domain"]))
    assert scores[0] > 0.5 and scores[1] > scores[0] - 0.05


@pytest.mark.parametrize("batch_size", [239, 115, 7])
def test_no_batch_is_too_small_for_its_statistics_or_prototypes(adata, batch_size):
    model = small_model(adata, epochs=2, n_prototypes=(10, 20), train={"batch_size": batch_size, "prototype_warmup": 0})
    assert np.isfinite(model.get_latent_representation()).all()


def test_losses_between_slices_follow_the_slices_that_are_there(adata, tmp_path):
    one = adata[adata.obs["slice"] == "slice_1"].copy()
    one.obs["slice"] = one.obs["slice"].cat.set_categories(["slice_1", "unused"])
    model = small_model(one)
    assert model.module.n_slices == 1 and "prototype_loss_train" not in model.history
    model.save(tmp_path / "model")
    other = adata[adata.obs["slice"] == "slice_2"].copy()
    assert SPOTSCAPE.load(tmp_path / "model", adata=other).module.n_slices == 1


def test_a_diverged_training_is_not_passed_off_as_a_model(adata):
    with pytest.raises(
        RuntimeError, match=r"training loss became nan in epoch 2 of 6 \(terms that are not finite: reconstruction\)"
    ):
        small_model(adata, train={"lr": 1e30})


def test_a_warm_up_that_never_ends_is_said(adata):
    with pytest.warns(UserWarning, match="switched on at epoch 9, but there are only 6"):
        small_model(adata, train={"prototype_warmup": 9})


def test_early_stopping_waits_for_the_warm_up_and_then_stops(adata):
    arguments = {"early_stopping": True, "early_stopping_patience": 3, "lr": 1e-12, "prototype_warmup": 10}
    model = small_model(adata, epochs=80, train=arguments)
    assert 13 <= len(model.history["train_loss"]) < 80


def test_held_out_spots_are_validated(adata):
    model = small_model(adata, train={"train_size": 0.8, "check_val_every_n_epoch": 1})
    assert len(model.history["validation_loss"]) == 6
    assert len(model.train_indices) == 192 and len(model.validation_indices) == 48


def test_held_out_slices_are_validated(adata):
    first, second = (np.flatnonzero(adata.obs["slice"] == f"slice_{i}") for i in (1, 2))
    indexing = {"external_indexing": [first, second, np.array([], dtype=int)]}
    model = small_model(adata, train={"datasplitter_kwargs": indexing, "check_val_every_n_epoch": 1})
    np.testing.assert_array_equal(model.validation_indices, second)


def test_prototypes_are_cut_down_to_the_batch(adata):
    model = small_model(adata, n_prototypes=(500,), train={"prototype_warmup": 0})
    assert len(model.module._prototypes[0]) == 240


@pytest.mark.parametrize("kind", ["csc", "dense", "integer"])
def test_any_matrix_of_counts_gives_the_same(adata, kind):
    expected = small_model(adata.copy()).get_latent_representation()
    counts = adata.layers["counts"]
    other = {"csc": csc_matrix, "dense": lambda m: m.toarray(), "integer": lambda m: m.astype(np.int32)}[kind]
    adata.layers["counts"] = other(counts)
    before = adata.layers["counts"]
    latent = small_model(adata).get_latent_representation()
    np.testing.assert_allclose(latent, expected, rtol=1e-4, atol=1e-5)
    assert adata.layers["counts"] is before or type(adata.layers["counts"]) is type(before)


def test_data_with_empty_spots_and_genes_works(adata):
    counts = adata.layers["counts"].tolil()
    counts[3] = 0
    counts[:, 5] = 0
    adata.layers["counts"] = counts.tocsr()
    with pytest.warns(UserWarning, match="1 .*spot"):
        model = small_model(adata)
    assert np.isfinite(model.get_latent_representation()).all()
    assert np.isfinite(model.get_normalized_expression(return_numpy=True)).all()


@pytest.mark.parametrize("graph", [{"n_neighbors": 4}, {"graph": "radius", "radius": 2.0}, {"graph": "delaunay"}])
def test_graphs(adata, graph):
    model = small_model(adata, setup=graph)
    assert np.isfinite(model.get_latent_representation()).all()


def test_setting_up_again_rebuilds_the_graph(adata):
    small_model(adata, setup={"n_neighbors": 4}, epochs=1)
    n_edges = adata.obsp["spatial_connectivities"].nnz
    small_model(adata, setup={"n_neighbors": 8}, epochs=1)
    assert adata.obsp["spatial_connectivities"].nnz > 1.5 * n_edges


def test_size_factors_are_used(adata):
    adata.obs["total"] = np.asarray(adata.layers["counts"].sum(axis=1)).ravel()
    plain = small_model(adata.copy()).get_latent_representation()
    given = small_model(adata.copy(), setup={"size_factor_key": "total"}).get_latent_representation()
    np.testing.assert_array_equal(plain, given)
    adata.obs["total"] *= np.linspace(1, 3, adata.n_obs)
    other = small_model(adata, setup={"size_factor_key": "total"}).get_latent_representation()
    assert np.abs(other - plain).max() > 1e-3


def test_normalized_values_are_recognised_and_can_be_refused(adata):
    adata.layers["log"] = adata.layers["counts"].copy()
    adata.layers["log"].data = np.log1p(adata.layers["log"].data * 0.37)
    with pytest.warns(UserWarning, match="log-normalized"):
        model = small_model(adata, setup={"layer": "log"})
    assert np.isfinite(model.get_normalized_expression(return_numpy=True)).all()
    with pytest.raises(ValueError, match="counts"):
        SPOTSCAPE.setup_anndata(adata, layer="log", values="counts", slice_key="slice")


def protein(adata):
    adata = adata[:, :5].copy()
    adata.var_names = [f"protein {i}" for i in range(5)]
    return adata


def test_mudata(adata):
    expected = small_model(adata.copy()).get_latent_representation()
    mdata = mudata.MuData({"rna": adata, "protein": protein(adata)})
    SPOTSCAPE.setup_mudata(mdata, "rna", layer="counts", slice_key="slice")
    model = SPOTSCAPE(mdata, n_hidden=16, n_latent=8, n_prototypes=(3, 5))
    model.train(6, enable_progress_bar=False)
    np.testing.assert_array_equal(model.get_latent_representation(), expected)
    assert model.get_normalized_expression().shape == adata.shape
    with pytest.raises(KeyError, match="'atac' is not a modality"):
        SPOTSCAPE.setup_mudata(mdata, "atac")
    for method, data in ((SPOTSCAPE.setup_anndata, mdata), (lambda a: SPOTSCAPE.setup_mudata(a, "rna"), adata)):
        with pytest.raises(TypeError, match="where a .* is needed"):
            method(data)
    with pytest.raises(TypeError, match="a AnnData where a MuData"):
        model.get_latent_representation(adata)


def test_mudata_in_another_order_is_refused(adata):
    mdata = mudata.MuData({"protein": protein(adata[::-1]), "rna": adata})
    with pytest.raises(ValueError, match="not those of the MuData in the same order"):
        SPOTSCAPE.setup_mudata(mdata, "rna", layer="counts", slice_key="slice")


def test_a_model_of_mudata_given_other_data_can_be_saved_and_loaded(adata, tmp_path):
    mdata, other = (mudata.MuData({"rna": a}) for a in (adata, adata.copy()))
    SPOTSCAPE.setup_mudata(mdata, "rna", layer="counts", slice_key="slice")
    model = SPOTSCAPE(mdata, n_hidden=16, n_latent=8, n_prototypes=(3,))
    model.train(2, enable_progress_bar=False)
    expected = model.get_latent_representation(other)
    model.adata = other
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(SPOTSCAPE.load(tmp_path / "model", adata=other).get_latent_representation(), expected)


def test_a_slice_of_thirty_spots():
    adata = synthetic_tissue(n_slices=1, n_spots=30, n_genes=33, n_domains=2, seed=1)
    model = small_model(adata)
    assert model.get_latent_representation().shape == (30, 8)


def test_untrained_models_say_so(adata):
    SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    model = SPOTSCAPE(adata)
    with pytest.raises(RuntimeError, match="train"):
        model.get_latent_representation()
    with pytest.raises(RuntimeError, match="train"):
        model.get_normalized_expression()


def test_summary_and_history(model):
    assert "2 slice(s)" in model._model_summary_string
    assert {"train_loss", "reconstruction_loss_train", "telescope_loss_train"} <= set(model.history)


def test_the_module_does_not_sample(model):
    with pytest.raises(NotImplementedError, match="get_normalized_expression"):
        model.module.sample()


def test_training_leaves_the_global_generator_alone(adata):
    torch.manual_seed(3)
    expected = torch.rand(3)
    SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    torch.manual_seed(3)
    SPOTSCAPE(adata, n_prototypes=(3,)).train(2, prototype_warmup=0, batch_size=100, enable_progress_bar=False)
    assert torch.equal(torch.rand(3), expected)
