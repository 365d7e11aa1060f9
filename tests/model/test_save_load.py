"""What is saved is what is loaded: same data, copies, slices, new sections, no data, another process, the hub."""

import subprocess
import sys
import textwrap
from importlib.metadata import version

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback

from spotscape import SEDR, SPOTSCAPE
from spotscape.datasets import synthetic_tissue

from .conftest import small_model

# The new section is another tissue than the few spots that the small models are trained on.
pytestmark = pytest.mark.filterwarnings("ignore:1 of 1 slice.* unlike those that the model was trained on")


@pytest.fixture(params=[SPOTSCAPE, SEDR])
def model_class(request):
    return request.param


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def new_section():
    return synthetic_tissue(n_slices=1, n_spots=80, n_genes=60, n_domains=4, seed=9)


def test_same_data_copy_and_view(model_class, adata, model, saved):
    expected = model.get_latent_representation()
    for data in (adata, adata.copy()):
        loaded = model_class.load(saved, adata=data)
        np.testing.assert_array_equal(loaded.get_latent_representation(), expected)
        np.testing.assert_array_equal(
            loaded.get_normalized_expression(return_numpy=True), model.get_normalized_expression(return_numpy=True)
        )


@pytest.mark.parametrize("name", ["slice_1", "slice_2"])
def test_whole_slices(model_class, adata, model, saved, name):
    rows = (adata.obs["slice"] == name).to_numpy()
    expected = model.get_latent_representation()[rows]
    found = model_class.load(saved, adata=adata[rows].copy()).get_latent_representation()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.get_latent_representation(adata[rows].copy()), expected, rtol=1e-4, atol=1e-5)


def test_new_section_through_all_doors(model_class, model, saved):
    expected = model_class.load(saved, adata=new_section()).get_latent_representation()
    np.testing.assert_array_equal(model.get_latent_representation(new_section()), expected)
    without = model_class.load(saved, adata=False)
    assert without.adata is None
    np.testing.assert_array_equal(without.get_latent_representation(new_section()), expected)


def test_data_saved_beside_the_model(model_class, model, tmp_path):
    model.save(tmp_path / "model", save_anndata=True)
    loaded = model_class.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation())


def test_fresh_process(model_class, adata, model, saved, tmp_path):
    data = anndata.AnnData(
        adata.X, obs=adata.obs[["slice"]], var=adata.var[[]], obsm={"spatial": adata.obsm["spatial"]}
    )
    data.layers["counts"] = adata.layers["counts"]
    data.write_h5ad(tmp_path / "data.h5ad")
    script = """
        import sys, anndata, numpy as np, spotscape, torch
        torch.set_num_threads(int(sys.argv[4]))
        model = getattr(spotscape, sys.argv[5]).load(sys.argv[1], adata=anndata.read_h5ad(sys.argv[2]))
        np.save(sys.argv[3], model.get_latent_representation())
    """
    arguments = [saved, tmp_path / "data.h5ad", tmp_path / "latent.npy", torch.get_num_threads(), model_class.__name__]
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "latent.npy"), model.get_latent_representation())


@pytest.mark.parametrize("features", ["components", "genes"])
def test_all_arguments_come_back(model_class, adata, features, tmp_path):
    setup = {"n_neighbors": 5, "graph_key": "tissue"}
    arguments = {
        SPOTSCAPE: {"n_layers": 1, "latent_activation": "relu"},
        SEDR: {"dropout_rate": 0.1, "decoder": "linear", "n_clusters": 3},
    }[model_class]
    model = small_model(adata, model_class=model_class, setup=setup, features=features, seed=3, **arguments)
    model.save(tmp_path / "model")
    loaded = model_class.load(tmp_path / "model", adata=new_section())
    assert (
        loaded.seed == 3
        and loaded.module.n_layers == model.module.n_layers
        and loaded.preprocessor.n_features == model.preprocessor.n_features
    )
    assert loaded.adata.uns["tissue_neighbors"]["params"]["n_neighbors"] == 5
    np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation(new_section()))


def test_history_comes_back(model_class, adata, model, saved):
    loaded = model_class.load(saved, adata=adata)
    assert loaded.history.keys() == model.history.keys()
    for name, frame in model.history.items():
        expected = frame.iloc[:, 0].astype(float).to_numpy()
        np.testing.assert_array_equal(loaded.history[name].iloc[:, 0].to_numpy(), expected)
    assert isinstance(loaded.history["train_loss"], pd.DataFrame)


def test_training_goes_on_after_loading(model_class, adata, saved):
    loaded = model_class.load(saved, adata=adata)
    before = loaded.get_latent_representation()
    modes: list[bool] = []
    recorder = LambdaCallback(
        on_train_batch_start=lambda _, plan, *__: modes.extend(module.training for module in plan.modules())
    )
    loaded.train(3, enable_progress_bar=False, callbacks=[recorder])
    assert modes and all(modes)
    assert len(loaded.history["train_loss"]) == 9
    assert np.abs(loaded.get_latent_representation() - before).max() > 0
    with pytest.raises(ValueError, match="loaded without data"):
        model_class.load(saved, adata=False).train(1)


def test_saving_twice(model_class, model, saved, tmp_path):
    with pytest.raises(ValueError, match="already exists"):
        model.save(saved)
    model.save(saved, overwrite=True)
    model_class.load(saved, adata=False).save(tmp_path / "again")
    found = model_class.load(tmp_path / "again", adata=new_section()).get_latent_representation()
    np.testing.assert_array_equal(found, model.get_latent_representation(new_section()))


def test_local_hub_round_trip(model_class, model, tmp_path):
    hub = pytest.importorskip("scvi.hub", exc_type=ImportError)
    from huggingface_hub import ModelCard

    model.save(tmp_path / "hub", save_anndata=True)
    metadata = hub.HubMetadata.from_dir(
        str(tmp_path / "hub"), anndata_version=version("anndata"), model_parent_module="spotscape"
    )
    card = ModelCard("---\nlibrary_name: scvi-tools\n---\nA model; needs the package spotscape.\n")
    hub.HubModel(str(tmp_path / "hub"), metadata=metadata, model_card=card).save(overwrite=True)
    reread = hub.HubModel(str(tmp_path / "hub"))
    np.testing.assert_array_equal(reread.model.get_latent_representation(), model.get_latent_representation())
    found = model_class.load(tmp_path / "hub").get_latent_representation(new_section())
    np.testing.assert_array_equal(found, model.get_latent_representation(new_section()))
