"""SEDR as users meet it, where it differs from the other models."""

import mudata
import numpy as np
import pandas as pd
import pytest
import torch

from spotscape import SEDR
from spotscape.datasets import synthetic_tissue
from spotscape.metrics import adjusted_rand_index
from spotscape.model._training import TrainingRun
from spotscape.tl import domains

from .conftest import small_model


def small_sedr(adata, preset=None, **arguments):
    return small_model(adata, model_class=SEDR, preset=preset, setup={"preset": preset}, **arguments)


@pytest.mark.parametrize("preset", [None, "paper", "released"])
@pytest.mark.parametrize("decoder", ["graph", "linear"])
@pytest.mark.parametrize("features", ["components", "genes"])
def test_every_kind_trains_and_answers(adata, preset, decoder, features):
    masking = {"masking": "replace"} if features == "genes" else {}
    model = small_sedr(adata, preset=preset, decoder=decoder, features=features, **masking)
    latent = model.get_latent_representation()
    assert latent.shape == (240, 8) and latent.dtype == np.float32 and np.isfinite(latent).all()
    expression = model.get_normalized_expression(return_numpy=True)
    assert expression.shape == adata.shape and np.isfinite(expression).all() and expression.min() >= 0
    np.testing.assert_allclose(
        model.get_normalized_expression(return_numpy=True, batch_size=37), expression, rtol=1e-3, atol=1e-6
    )


def test_presets_are_the_settings_that_the_documentation_names(adata):
    default, paper, released = (small_sedr(adata, preset=preset).module for preset in (None, "paper", "released"))
    assert (default.masking, default.representation, default.mask_at_inference) == ("replace", "decoder", False)
    assert (paper.masking, paper.masked_loss, paper.representation) == ("replace", "squared", "encoder")
    assert (released.masking, released.masked_loss, released.mask_at_inference) == ("add", "cosine", True)
    assert not released.redraw_pairs and paper.redraw_pairs and default.redraw_pairs
    assert released.kl_weight == pytest.approx(0.1 / 240)
    assert paper.dropout_rate == 0.2 and default.dropout_rate == 0
    assert small_sedr(adata, preset="paper", dropout_rate=0.1).module.dropout_rate == 0.1


def test_presets_train_as_published(adata, monkeypatch):
    for preset, n_epochs in ((None, 300), ("paper", 200)):
        SEDR.setup_anndata(adata, layer="counts", slice_key="slice", preset=preset)
        model = SEDR(adata, n_hidden=4, n_latent=2, preset=preset)
        runs: list[TrainingRun] = []
        monkeypatch.setattr(TrainingRun, "start", lambda run, *args, to=runs, **kwargs: to.append(run))
        model.train()
        assert runs[0].max_epochs == n_epochs and runs[0].arguments["lr"] == 0.01
        assert runs[0].arguments["schedule"] == ("constant" if preset else "one-cycle")


def test_the_released_preset_masks_the_same_spots_at_inference(adata):
    model = small_sedr(adata, preset="released", epochs=30)
    latent = model.get_latent_representation()
    np.testing.assert_array_equal(model.get_latent_representation(), latent)
    np.testing.assert_allclose(model.get_latent_representation(batch_size=50), latent, rtol=1e-5, atol=1e-5)
    model.module.mask_at_inference = False
    assert np.abs(model.get_latent_representation() - latent).max() > 1e-3


def test_the_token_takes_part_in_the_training(adata):
    for masking in ("replace", "add"):
        assert small_sedr(adata, masking=masking).module.feature_encoder.token.abs().min() > 0


@pytest.mark.parametrize("decoder", ["graph", "linear"])
def test_representations_are_what_they_are_called(adata, decoder):
    model = small_sedr(adata, decoder=decoder, representation="encoder")
    encoded = model.get_latent_representation()
    expression = model.get_normalized_expression(return_numpy=True)
    model.module.representation = "decoder"
    read = model.get_latent_representation()
    adjacency = np.eye(adata.n_obs)
    if decoder == "graph":
        adjacency = adata.obsp["spatial_connectivities"].toarray() + np.eye(adata.n_obs)
        roots = np.sqrt(adjacency.sum(axis=1))
        adjacency = adjacency / roots[:, None] / roots
    np.testing.assert_allclose(read, adjacency @ encoded, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.get_normalized_expression(return_numpy=True), expression, rtol=1e-5)


@pytest.mark.parametrize("name", ["masked", "adjacency", "kl"])
def test_a_loss_of_weight_zero_is_off(adata, name):
    assert f"{name}_loss_train" in small_sedr(adata).history
    assert f"{name}_loss_train" not in small_sedr(adata, **{f"{name}_weight": 0.0}).history


def test_training_lowers_what_it_minimises(adata):
    history = small_sedr(adata, epochs=60, n_hidden=32).history
    for name in ("train_loss", "masked_loss_train", "reconstruction_loss_train"):
        losses = history[name].iloc[:, 0].astype(float).to_numpy()
        assert losses[-5:].mean() < 0.95 * losses[:5].mean()


@pytest.mark.parametrize("train", [{}, {"batch_size": 80, "patch_size": 10}, {"batch_size": 80, "patch_size": None}])
def test_clusters(adata, train):
    model = small_sedr(adata, n_clusters=4, epochs=12, train={"cluster_start": 5, "cluster_interval": 3} | train)
    losses = model.history["cluster_loss_train"].iloc[:, 0].astype(float).to_numpy()
    assert (losses[:5] == 0).all() and (losses[5:] > 0).all()
    assert (model.history["masked_loss_train"].iloc[:, 0].astype(float) > 0).all()
    shares = model.get_soft_clusters()
    assert list(shares.columns) == ["1", "2", "3", "4"] and list(shares.index) == list(adata.obs_names)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    some = model.get_soft_clusters(indices=[7, 3], batch_size=1)
    pd.testing.assert_frame_equal(some, shares.iloc[[7, 3]], rtol=1e-4)


def test_clusters_come_back_and_assign_new_sections(adata, tmp_path):
    model = small_sedr(adata, n_clusters=3, epochs=8)
    model.save(tmp_path / "model")
    new = synthetic_tissue(n_slices=1, n_spots=80, n_genes=60, n_domains=4, seed=9)
    loaded = SEDR.load(tmp_path / "model", adata=new)
    pd.testing.assert_frame_equal(loaded.get_soft_clusters(), model.get_soft_clusters(new))


def test_training_stops_once_clusters_stay(adata):
    train = {"cluster_start": 4, "cluster_interval": 2, "cluster_tolerance": 1.0}
    # The first comparison, before the steps of epoch 6, decides: less than all spots have changed.
    assert len(small_sedr(adata, n_clusters=3, epochs=20, train=train).history["train_loss"]) == 6


def test_clusters_that_never_begin_are_said(adata):
    with pytest.warns(UserWarning, match="starts at epoch 9, but there are only 6"):
        small_sedr(adata, n_clusters=3, train={"cluster_start": 9})


def test_held_out_spots_are_validated(adata):
    train = {"train_size": 0.8, "check_val_every_n_epoch": 1, "cluster_start": 2}
    model = small_sedr(adata, n_clusters=3, train=train)
    assert len(model.history["validation_loss"]) == 6


def test_mudata(adata):
    expected = small_sedr(adata.copy()).get_latent_representation()
    mdata = mudata.MuData({"rna": adata})
    for preset in (None, "released"):
        SEDR.setup_mudata(mdata, "rna", layer="counts", slice_key="slice", preset=preset)
        model = SEDR(mdata, n_hidden=16, n_latent=4, preset=preset)
        model.train(6, enable_progress_bar=False)
        if preset is None:
            np.testing.assert_array_equal(model.get_latent_representation(), expected)


def test_training_leaves_the_global_generator_alone(adata):
    torch.manual_seed(3)
    expected = torch.rand(3)
    SEDR.setup_anndata(adata, layer="counts", slice_key="slice")
    torch.manual_seed(3)
    SEDR(adata, n_clusters=3).train(4, batch_size=100, enable_progress_bar=False)
    assert torch.equal(torch.rand(3), expected)


def test_the_module_does_not_sample(adata):
    with pytest.raises(NotImplementedError, match="get_normalized_expression"):
        small_sedr(adata, epochs=1).module.sample()


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [None, 400])
def test_domains_are_found(batch_size):
    adata = synthetic_tissue(n_slices=3, n_spots=1200, n_genes=200, n_domains=5, seed=0)
    SEDR.setup_anndata(adata, layer="counts", slice_key="slice")
    model = SEDR(adata, seed=0)
    model.train(batch_size=batch_size, enable_progress_bar=False)
    adata.obsm["X_sedr"] = model.get_latent_representation()
    domains(adata, "X_sedr", 5)
    assert adjusted_rand_index(adata.obs["domain"], adata.obs["spatial_domain"]) > 0.5


def test_a_step_without_a_masked_spot_is_finite():
    adata = synthetic_tissue(n_slices=1, n_spots=40, n_genes=40, seed=0)
    SEDR.setup_anndata(adata)
    model = SEDR(adata, mask_rate=0.01)
    model.train(10, accelerator="cpu", enable_progress_bar=False)
    history = model.history["masked_loss_train"].to_numpy(dtype=float)
    assert np.isfinite(history).all() and (history == 0).any() and (history > 0).any()
    assert np.isfinite(model.get_latent_representation()).all()
