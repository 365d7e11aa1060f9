"""The presets of AESTETIK set the published method, which keeps the promises of all models but that of rotation."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch

from spotscape import AESTETIK
from spotscape.cluster import fit_shared_mixture
from spotscape.data import SpotDataLoader
from spotscape.datasets import synthetic_modalities
from spotscape.model._aestetik_presets import mixture_clusters
from spotscape.model._training import TrainingRun
from spotscape.module import AestetikConvolutionModule
from spotscape.preprocessing._gene_selection import GeneSums, count_variable_genes, standardized_variances
from spotscape.preprocessing._row_blocks import row_blocks
from spotscape.train import ScheduledTrainingPlan

KEYS = {"rna_key": "counts", "image_key": "X_image", "slice_key": "slice"}
pytestmark = pytest.mark.filterwarnings("ignore:The image gets a weight of")


@pytest.fixture
def adata():
    return synthetic_modalities(n_slices=2, n_spots=90, n_kinds=4, n_genes=40, n_image_features=20, seed=0)


def small(adata, preset="paper", *, epochs=3, train=None, setup=None, **arguments):
    AESTETIK.setup_anndata(adata, **KEYS | (setup or {}))
    model = AESTETIK(adata, preset=preset, **{"n_clusters": 4, "n_latent": 6, "n_hidden": 8} | arguments)
    model.train(epochs, enable_progress_bar=False, **(train or {}))
    return model


def starting_arguments(model, monkeypatch, **train):
    """Training as it would start."""
    runs = []
    monkeypatch.setattr(TrainingRun, "start", lambda run, *_: runs.append(run))
    model.train(**train)
    return runs[0]


@pytest.mark.parametrize(("preset", "n_passes"), [("paper", 0), ("released", 1000)])
def test_presets_set_the_published_method(adata, preset, n_passes, monkeypatch):
    AESTETIK.setup_anndata(adata, **KEYS)
    model = AESTETIK(adata, preset=preset, n_clusters=4)
    module, preprocessor = model.module, model.pipelines.pipelines["rna"].preprocessor
    assert isinstance(module, AestetikConvolutionModule) and module.n_dropout_passes == n_passes
    assert (module.encoder.width, module.encoder.n_members, module.decoder.n_members) == (7, 3, 3)
    assert (module.encoder.n_hidden, module.encoder.dropout_rate, module.encoder.weight.shape[2]) == (64, 0.3, 16)
    assert (module.reconstruction_weight, module.triplet_weight, module.margin) == (3.0, 3.0, 1.0)
    assert model.get_modality_weights() == {"rna": 0.5, "image": 0.5} and not module.cross_sample_positives
    assert model.pipelines.n_features == {"rna": 15, "image": 15} and preprocessor.target_sum == 1e4
    assert not any(one.is_corrected for one in model.pipelines.pipelines.values())
    run = starting_arguments(model, monkeypatch)
    assert (run.max_epochs, run.batch_size, run.arguments["lr"], run.arguments["weight_decay"]) == (
        100,
        8192,
        1e-3,
        1e-6,
    )
    plan = ScheduledTrainingPlan(module, **run.arguments["plan_kwargs"])
    assert run.arguments["schedule"] == "constant"
    assert plan.get_optimizer_creator()(module.parameters()).param_groups[0]["amsgrad"]


def test_given_arguments_come_before_those_of_a_preset(adata, monkeypatch):
    AESTETIK.setup_anndata(adata, **KEYS)
    given = {"image_weight": 0.2, "window": 1, "n_members": 1, "n_components": 5, "target_sum": 50.0, "n_top_genes": 20}
    model = AESTETIK(adata, preset="released", n_clusters=4, n_dropout_passes=0, rna_correction="centre", **given)
    preprocessor = model.pipelines.pipelines["rna"].preprocessor
    assert model.get_modality_weights()["image"] == 0.2 and model.pipelines.pipelines["rna"].is_corrected
    assert (model.module.encoder.width, model.module.encoder.n_members, model.module.n_dropout_passes) == (3, 1, 0)
    assert (preprocessor.n_features, preprocessor.target_sum, len(preprocessor.selected_genes)) == (5, 50.0, 20)
    run = starting_arguments(model, monkeypatch, lr=0.1, plan_kwargs={"amsgrad": False})
    assert run.arguments["lr"] == 0.1 and run.arguments["plan_kwargs"] == {"amsgrad": False}


def test_the_target_sum_is_an_argument_of_the_default_too(adata):
    AESTETIK.setup_anndata(adata, **KEYS)
    assert AESTETIK(adata, n_clusters=4, target_sum=70.0).pipelines.pipelines["rna"].preprocessor.target_sum == 70.0


def test_without_a_preset_the_convolution_has_our_preprocessing(adata):
    model = small(adata, None, encoder="convolution", n_members=2, n_dropout_passes=5, rna_correction="centre")
    assert model.pipelines.lattice and model.pipelines.window == 3 and model.module.cross_sample_positives
    assert model.pipelines.n_features["rna"] > 15
    assert model.get_latent_representation().shape == (180, 6)


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_promises(adata, preset, tmp_path):
    model = small(adata, preset)
    whole = model.get_latent_representation()
    np.testing.assert_array_equal(small(adata.copy(), preset).get_latent_representation(), whole)
    assert np.abs(small(adata.copy(), preset, seed=7).get_latent_representation() - whole).max() > 1e-3
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(model.get_latent_representation(batch_size=7), whole, **close)
    order = np.random.default_rng(0).permutation(adata.n_obs)
    np.testing.assert_allclose(model.get_latent_representation(adata[order].copy()), whole[order], **close)
    rows = (adata.obs["slice"] == "slice_2").to_numpy()
    np.testing.assert_allclose(model.get_latent_representation(adata[rows].copy()), whole[rows], **close)
    model.save(tmp_path / "model")
    loaded = AESTETIK.load(tmp_path / "model", adata=adata.copy())
    assert loaded.preset == preset and preset in str(loaded._model_summary_string)
    np.testing.assert_array_equal(loaded.get_latent_representation(), whole)
    np.testing.assert_array_equal(loaded.get_clusters(), model.get_clusters())
    np.testing.assert_array_equal(loaded.get_reconstruction("image"), model.get_reconstruction("image"))
    loaded.train(2, enable_progress_bar=False)
    assert np.abs(loaded.get_latent_representation() - whole).max() > 0


def test_released_averages_over_dropout(adata):
    paper, released = (small(adata.copy(), preset) for preset in ("paper", "released"))
    # Training is the same; the normalisation and the dropout of what follows are not.
    torch.testing.assert_close(paper.module.encoder.weight, released.module.encoder.weight, rtol=0, atol=0)
    dataset = released._dataset(released.adata_manager)
    windows = next(iter(SpotDataLoader(dataset)))["windows"]
    encoder = released.module.encoder.train()
    passes = [encoder(windows, torch.Generator().manual_seed(i)) for i in range(300)]
    expected = torch.stack(passes).mean(dim=0).detach().numpy()
    off, without = (np.abs(one.get_latent_representation() - expected).mean() for one in (released, paper))
    assert off < 0.1 * expected.std() and without > 2 * off


def test_the_loss_by_its_slow_definition(adata):
    image = adata.obsm["X_image"]
    image[:40] = np.nan
    AESTETIK.setup_anndata(adata, **KEYS)
    model = AESTETIK(adata, preset="paper", n_clusters=4, image_weight=0.25, triplet_weight=0)
    module = model.module.eval()
    batch = next(iter(SpotDataLoader(model._dataset(model.adata_manager))))
    np.testing.assert_allclose([batch["windows"]["rna"].min(), batch["windows"]["rna"].max()], [0, 1], atol=1e-6)
    outputs = module.inference(**module._get_inference_input(batch))
    decoded = module.generative(outputs["z"])["reconstruction"]
    batch["clusters"] = {}
    found = module.loss(batch, outputs, {"reconstruction": decoded}).loss.item()
    errors = {name: (batch["windows"][name] - decoded[name]).abs().detach().numpy() for name in decoded}
    with_image = (batch["window_counts"]["image"] > 0).any(dim=1).numpy()
    assert 0 < with_image.sum() < len(with_image)
    expected = 3 * (0.75 * errors["rna"].mean() + 0.25 * errors["image"][with_image].mean())
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_clusters_are_a_mixture_of_spots_and_margins_are_absolute(adata):
    AESTETIK.setup_anndata(adata, **KEYS)
    model = AESTETIK(adata, preset="paper", n_clusters=4)
    dataset = model._dataset(model.adata_manager)
    find_clusters = partial(model.pipelines.find_clusters, dataset.features, seed=0, cluster_spots=mixture_clusters)
    # Windows do not matter.
    found = find_clusters(None, 4)
    for name, (codes, distances) in found.items():
        assert set(codes) <= set(range(4)) and len(set(codes)) > 1 and (distances == 1).all()
        values = dataset.features[name].corrected
        np.testing.assert_array_equal(codes, fit_shared_mixture(values, 4, seed=0).predict(values))


def test_the_reconstruction_comes_close_to_what_is_there(adata):
    model = small(adata, epochs=40, n_hidden=16, train={"lr": 3e-2})
    found, given = model.get_reconstruction("image"), adata.obsm["X_image"]
    assert found.shape == given.shape
    assert np.corrcoef(found.ravel(), given.ravel())[0, 1] > 0.35
    assert model.get_reconstruction("rna", gene_list=["gene_03"]).shape == (180, 1)


def test_features_and_expression_that_is_log_normalised_already(adata):
    adata.obsm["X_wide"] = np.random.default_rng(0).normal(size=(180, 60))
    model = small(adata, setup={"rna_key": "X_wide", "image_key": None})
    assert model.pipelines.n_features == {"rna": 15} and model.get_modality_weights() == {"rna": 1.0}
    np.testing.assert_allclose(model.get_reconstruction().shape, (180, 60))
    counts = adata.layers["counts"].toarray()
    adata.layers["log"] = np.log1p(1e3 * counts / counts.sum(axis=1, keepdims=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = small(adata, setup={"rna_key": "log", "image_key": None, "values": "log-normalized"})
    assert np.isfinite(model.get_latent_representation()).all()


def test_genes_are_counted_by_their_variance():
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.linspace(1, 10, 60), size=(200, 60))
    counts[:100, 20:25] *= 3
    counts[:, 30] = 0
    counts[:5, 30] = 50
    rows = row_blocks(counts)
    excess = standardized_variances(rows, GeneSums.of(rows, np.zeros(200, dtype=int)))[0]
    n_detected = (counts > 0).sum(axis=0)
    assert excess[30] >= 1 and n_detected[30] < 10
    assert count_variable_genes(counts) == ((excess >= 1) & (n_detected >= 10)).sum() >= 5


def test_amsgrad_is_for_adam(adata):
    AESTETIK.setup_anndata(adata, **KEYS)
    module = AESTETIK(adata, n_clusters=4).module
    with pytest.raises(ValueError, match="`amsgrad` is for Adam, but `optimizer` is 'AdamW'"):
        ScheduledTrainingPlan(module, amsgrad=True, optimizer="AdamW")
