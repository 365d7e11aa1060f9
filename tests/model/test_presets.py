"""Presets of SPOTSCAPE and SEDR: what they set, and what they refuse."""

import numpy as np
import pytest
from scipy import sparse

from spotscape import SEDR, SPOTSCAPE
from spotscape.datasets import synthetic_tissue
from spotscape.graph import validate_graph
from spotscape.model._training import TrainingRun

from .conftest import SMALL, small_model

PRESETS = ("paper", "released")


def set_up(adata, model_class=SPOTSCAPE, **arguments):
    model_class.setup_anndata(adata, **{"layer": "counts", "slice_key": "slice"} | arguments)


@pytest.mark.parametrize("preset", PRESETS)
def test_spotscape_is_as_published(adata, preset):
    set_up(adata, preset=preset)
    parameters = adata.uns["spatial_neighbors"]["params"]
    assert parameters["method"] == "radius" and parameters["radius"] == 1.5
    model = SPOTSCAPE(adata, preset=preset, **SMALL[SPOTSCAPE])
    module = model.module
    assert module.n_anchors is None and module.prototype_refresh == 1 and not module.encoder.residual
    assert len(module.encoder.norms) == 2
    assert module.scaling_weight == (1 if preset == "paper" else 2)
    assert module.encoder.norms[0].momentum == (0.1 if preset == "paper" else 0.99)
    assert model.preprocessor.target_sum == 1e4 and model.pipeline.correction.name == "none"
    assert f"preset {preset}" in str(model._model_summary_string)


def test_the_released_weight_of_scaling_follows_from_the_number_of_slices():
    adata = synthetic_tissue(n_slices=4, n_spots=60, n_genes=40)
    set_up(adata, preset="released")
    assert SPOTSCAPE(adata, preset="released").module.scaling_weight == 6


@pytest.mark.parametrize(("n_slices", "lr"), [(1, 1e-4), (2, 5e-4)])
def test_spotscape_trains_as_published(n_slices, lr, monkeypatch):
    adata = synthetic_tissue(n_slices=n_slices, n_spots=60, n_genes=40)
    runs, warmups = [], []

    def start(run, dataset, phase=None, phase_start=0):
        runs.append(run)
        warmups.append(phase_start)

    monkeypatch.setattr(TrainingRun, "start", start)
    set_up(adata, preset="paper")
    model = SPOTSCAPE(adata, preset="paper")
    model.train()
    assert runs[0].max_epochs == 1000 and runs[0].arguments["lr"] == lr
    assert runs[0].arguments["schedule"] == "constant" and warmups == [500 if n_slices > 1 else 0]
    model.train(lr=0.01, max_epochs=7, schedule="one-cycle")
    assert runs[1].max_epochs == 7 and runs[1].arguments["lr"] == 0.01
    assert runs[1].arguments["schedule"] == "one-cycle"


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])
@pytest.mark.parametrize("preset", PRESETS)
def test_saved_models_keep_their_preset(adata, model_class, preset, tmp_path):
    model = small_model(adata, model_class=model_class, preset=preset, setup={"preset": preset})
    model.save(tmp_path / "model")
    loaded = model_class.load(tmp_path / "model", adata=adata)
    assert loaded.preset == preset
    np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    new = synthetic_tissue(n_slices=1, n_spots=80, n_genes=60, n_domains=4, seed=9)
    assert model.get_latent_representation(new).shape == (80, 8)


@pytest.mark.parametrize(("model_class", "graph"), [(SPOTSCAPE, "radius"), (SEDR, "knn")])
def test_another_graph_is_refused(adata, model_class, graph):
    set_up(adata, model_class)
    message = rf"`preset` is 'paper', whose graph has graph='{graph}'.* call `setup_anndata\(..., preset='paper'\)`"
    with pytest.raises(ValueError, match=message):
        model_class(adata, preset="paper")


def test_a_graph_of_the_user_is_taken(adata):
    set_up(adata, preset="paper")
    set_up(adata, graph="precomputed")
    SPOTSCAPE(adata, preset="paper", **SMALL[SPOTSCAPE]).train(1, enable_progress_bar=False)


@pytest.mark.parametrize("given", [{"graph": "knn"}, {"n_neighbors": 6}, {"radius": 1.5}])
def test_the_preset_alone_sets_the_graph(adata, given):
    with pytest.raises(ValueError, match=f"`{next(iter(given))}` is .*, but `preset` is 'paper', which sets the graph"):
        set_up(adata, preset="paper", **given)
    assert "_scvi_batch" not in adata.obs and not adata.obsp


def test_unknown_presets_are_refused(adata):
    with pytest.raises(ValueError, match="`preset` is 'published'; choose one of None, 'paper', 'released'"):
        set_up(adata, preset="published")
    set_up(adata)
    with pytest.raises(ValueError, match="`preset` is 'published'; choose one of None, 'paper', 'released'"):
        SPOTSCAPE(adata, preset="published")


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])
def test_log_normalised_expression_keeps_its_total(adata, model_class):
    counts = adata.layers["counts"]
    adata.X = counts.multiply(100 / counts.sum(axis=1)).log1p().tocsr()
    set_up(adata, model_class, layer=None, values="log-normalized", preset="paper")
    assert model_class(adata, preset="paper").preprocessor.target_sum == pytest.approx(100, rel=1e-3)


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])
def test_the_total_is_an_argument(adata, model_class):
    set_up(adata, model_class)
    assert model_class(adata, target_sum=5000).preprocessor.target_sum == 5000
    with pytest.raises(ValueError, match="`target_sum` is 0"):
        model_class(adata, target_sum=0)


def test_weights_of_a_given_graph_are_used(adata):
    set_up(adata)
    plain = small_latent(adata)
    graph = adata.obsp["spatial_connectivities"].copy()
    codes = adata.obs["domain"].cat.codes.to_numpy()
    rows = np.repeat(np.arange(adata.n_obs), np.diff(graph.indptr))
    graph.data[codes[rows] != codes[graph.indices]] = 1e-6
    adata.obsp["spatial_connectivities"] = graph
    weighted = small_latent(adata)
    assert np.abs(weighted - plain).max() > 1e-3
    graph.data[graph.data < 0.5] = 0
    adata.obsp["spatial_connectivities"] = graph
    np.testing.assert_allclose(small_latent(adata), weighted, atol=1e-3)


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])
def test_distances_in_place_of_connectivities_are_noticed(adata, model_class):
    set_up(adata, model_class)
    adata.obsp["spatial_connectivities"] = adata.obsp["spatial_distances"].copy()
    with pytest.warns(UserWarning, match=r"Edges in `adata.obsp\['spatial_connectivities'\]` weigh up to"):
        set_up(adata, model_class, graph="precomputed")
    assert "weights of the graph" in model_class(adata).get_data_findings()["finding"].tolist()
    adata.obsp["spatial_connectivities"].data[:] = 1
    set_up(adata, model_class, graph="precomputed")


def small_latent(adata):
    """Latent representation that depends on the graph alone: the smoothed features, before any training."""
    set_up(adata, graph="precomputed")
    model = SPOTSCAPE(adata, **SMALL[SPOTSCAPE])
    return model._encode(model._dataset(model.adata_manager), np.arange(adata.n_obs))


def test_validate_graph_keeps_weights():
    graph = sparse.csr_matrix([[0, 0.7, 0], [0.9, 0, 0], [0.2, 0, 5]])
    expected = [[0, 0.9, 0.2], [0.9, 0, 0], [0.2, 0, 0]]
    np.testing.assert_allclose(validate_graph(graph, weighted=True).toarray(), expected)


@pytest.mark.parametrize("features", ["components", "genes"])
def test_graph_attention_trains(adata, features, tmp_path):
    model = small_model(adata, encoder="gat", features=features)
    latent = model.get_latent_representation()
    assert np.isfinite(latent).all() and "graph attentions" in model._model_summary_string
    np.testing.assert_allclose(model.get_latent_representation(batch_size=50), latent, rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "model")
    loaded = SPOTSCAPE.load(tmp_path / "model", adata=adata)
    np.testing.assert_array_equal(loaded.get_latent_representation(), latent)
    before = model.module.encoder.convolutions[0].of_source
    untrained = SPOTSCAPE(adata, encoder="gat", features=features, **SMALL[SPOTSCAPE])
    assert not np.allclose(before.detach(), untrained.module.encoder.convolutions[0].of_source.detach())


def test_unknown_encoders_are_refused(adata):
    set_up(adata)
    with pytest.raises(ValueError, match="`encoder` is 'gcnn'; choose one of 'gcn', 'gat'"):
        SPOTSCAPE(adata, encoder="gcnn")
    with pytest.raises(ValueError, match="`n_anchors` is 0"):
        SPOTSCAPE(adata, n_anchors=0)
