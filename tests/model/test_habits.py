"""What Python and scvi-tools users expect of any model."""

import copy
import gc
import logging
import pickle
import subprocess
import sys
import textwrap
import warnings
import weakref

import numpy as np
import pandas as pd
import pytest
import scvi
from lightning.pytorch.loggers import CSVLogger
from scvi.train import SaveCheckpoint

import spotscape as sps
from spotscape import AESTETIK, SEDR, SPOTSCAPE
from spotscape.datasets import synthetic_modalities, synthetic_tissue


@pytest.fixture(scope="module", params=[SPOTSCAPE, SEDR, AESTETIK], ids=lambda model_class: model_class.__name__)
def trained(request):
    """A trained model and its data, of two slices."""
    if request.param is AESTETIK:
        adata = synthetic_modalities(n_slices=2, n_spots=60, n_kinds=4, n_genes=40, n_image_features=10, seed=0)
        AESTETIK.setup_anndata(adata, rna_key="counts", slice_key="slice")
        model = AESTETIK(adata, n_clusters=4, n_latent=4)
    else:
        adata = synthetic_tissue(n_slices=2, n_spots=60, n_genes=40, seed=0)
        request.param.setup_anndata(adata, slice_key="slice")
        model = request.param(adata, n_hidden=16, n_latent=8)
    model.train(2, accelerator="cpu", enable_progress_bar=False)
    return model, adata


# Lightning asks PyTorch in a way that it will change.
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec")
def test_a_deep_copy_gives_the_same_answers(trained):
    model, _ = trained
    again = copy.deepcopy(model)
    assert again is not model and again.module is not model.module
    np.testing.assert_array_equal(again.get_latent_representation(), model.get_latent_representation())


# scvi-tools notes in `uns` of a view that it belongs to a model.
@pytest.mark.filterwarnings("ignore:Trying to modify attribute `._uns` of view")
@pytest.mark.filterwarnings("ignore:.*are unlike those that the model was trained on")
def test_a_part_of_a_slice_is_said_to_have_other_neighbours(trained):
    model, adata = trained
    some = np.random.default_rng(0).permutation(adata.n_obs)[:70]
    for part in (adata[some], adata[some].copy()):
        with pytest.warns(UserWarning, match="call the method without `adata` and with `indices`"):
            model.get_latent_representation(part)
    expected = model.get_latent_representation()[some]
    np.testing.assert_allclose(model.get_latent_representation(indices=some), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*are unlike those that the model was trained on")
def test_whole_slices_and_other_spots_are_no_part(trained):
    model, adata = trained
    whole = adata[(adata.obs["slice"] == "slice_2").to_numpy()].copy()
    moved = adata[:50].copy()
    moved.obsm["spatial"] = moved.obsm["spatial"] + 1000.0
    renamed = adata[:50].copy()
    renamed.obs_names = [f"new_{name}" for name in renamed.obs_names]
    for data in (whole, moved, renamed):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.get_latent_representation(data)
        assert not [one for one in caught if "with `indices`" in str(one.message)]


def drop_genes(adata):
    adata._inplace_subset_var(np.arange(adata.n_vars) != 3)


def rename_genes(adata):
    adata.var_names = [f"other_{name}" for name in adata.var_names]


def drop_slices(adata):
    del adata.obs["slice"]


def replace_obs(adata):
    adata.obs = adata.obs[["slice"]]


def take_logarithms(adata):
    matrix = adata.layers["counts"] = adata.layers["counts"].astype(np.float32)
    matrix.data = np.log1p(matrix.data)


def drop_layer(adata):
    del adata.layers["counts"]


def drop_coordinates(adata):
    del adata.obsm["spatial"]


CHANGES = {
    drop_genes: "had 40 genes and has 39",
    rename_genes: "had 40 genes and has 40, or has others",
    drop_slices: r"obs\['slice'\]` is gone",
    replace_obs: r"obs\['_scvi_batch'\]` is gone",
    take_logarithms: "had counts and has other values",
    drop_layer: r"layers\['counts'\]` is gone",
    drop_coordinates: r"obsm\['spatial'\]` is gone",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR, AESTETIK])
def test_data_that_were_changed_after_the_set_up_are_refused(model_class, change):
    if model_class is AESTETIK:
        adata = synthetic_modalities(n_slices=2, n_spots=60, n_kinds=4, n_genes=40, n_image_features=10, seed=0)
        setup, arguments = {"rna_key": "counts"}, {"n_clusters": 4, "n_latent": 4}
    else:
        adata = synthetic_tissue(n_slices=2, n_spots=60, n_genes=40, seed=0)
        setup, arguments = {"layer": "counts"}, {"n_hidden": 16, "n_latent": 8}
    before = adata.copy()
    for data in (adata, before):
        model_class.setup_anndata(data, slice_key="slice", **setup)
    change(before)
    message = f"changed since `setup_anndata`: .*{CHANGES[change]}.* Set it up again"
    with pytest.raises(ValueError, match=message):
        model_class(before, **arguments)
    model = model_class(adata, **arguments)
    model.train(1, accelerator="cpu", enable_progress_bar=False)
    change(adata)
    with pytest.raises(ValueError, match=message):
        model.get_latent_representation()
    with pytest.raises(ValueError, match=message):
        model.train(1, accelerator="cpu", enable_progress_bar=False)


@pytest.mark.parametrize("dtype", ["float16", ">f4", ">f8", ">i4", "int8", "uint16"])
@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])
def test_numbers_of_any_type_give_the_same_answer(model_class, dtype):
    def latent(matrix):
        adata = synthetic_tissue(n_slices=1, n_spots=60, n_genes=40, seed=0)
        adata.X = matrix
        model_class.setup_anndata(adata)
        model = model_class(adata, n_hidden=16, n_latent=8, seed=0)
        model.train(1, accelerator="cpu", enable_progress_bar=False)
        return model.get_latent_representation()

    counts = synthetic_tissue(n_slices=1, n_spots=60, n_genes=40, seed=0).X.toarray()
    np.testing.assert_allclose(latent(counts.astype(dtype)), latent(counts), atol=1e-6)


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])
def test_expression_that_is_gone_is_said_to_be(model_class):
    adata = synthetic_tissue(n_slices=1, n_spots=60, n_genes=40, seed=0)
    model_class.setup_anndata(adata)
    adata.X = None
    with pytest.raises(ValueError, match="changed since `setup_anndata`: `X` is gone"):
        model_class(adata)


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR, AESTETIK])
def test_notebooks_show_a_table(model_class):
    adata = synthetic_tissue(n_slices=2, n_spots=60, n_genes=40, seed=0)
    adata.layers["<b>"] = adata.layers["counts"] * 0.9
    layer = {"rna_key": "<b>"} if model_class is AESTETIK else {"layer": "<b>"}
    with pytest.warns(UserWarning, match="corrected"):
        model_class.setup_anndata(adata, slice_key="slice", **layer)
    model = model_class(adata, n_latent=4)
    html = model._repr_html_()
    assert "120 spots, 40 genes, 2 slices" in html and "not trained" in html
    assert "corrected" in html and "<b>" not in html and "&quot;" in html
    model.train(max_epochs=2, enable_progress_bar=False)
    assert "2 epochs" in model._repr_html_()


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR, AESTETIK])
def test_the_batch_size_of_the_settings_is_used(model_class, monkeypatch):
    adata = synthetic_tissue(n_slices=2, n_spots=100, n_genes=40, seed=0)
    model_class.setup_anndata(adata, slice_key="slice")
    model = model_class(adata, n_latent=4)
    monkeypatch.setattr(scvi.settings, "batch_size", 50)
    model.train(2, enable_progress_bar=False)
    assert model.trainer.num_training_batches == 4
    model.train(2, enable_progress_bar=False, batch_size=100)
    assert model.trainer.num_training_batches == 2
    monkeypatch.setattr(scvi.settings, "batch_size", 128)
    model.train(2, enable_progress_bar=False)
    assert model.trainer.num_training_batches == 1


def test_loggers_and_checkpoints_of_scvi_tools_work(trained, tmp_path):
    model, adata = trained
    again = type(model)(adata, n_latent=4)
    checkpoint = SaveCheckpoint(dirpath=str(tmp_path / "best"), monitor="validation_loss", load_best_on_end=True)
    again.train(
        3,
        train_size=0.8,
        check_val_every_n_epoch=1,
        logger=CSVLogger(tmp_path),
        callbacks=[checkpoint],
        enable_checkpointing=True,
        enable_progress_bar=False,
    )
    logged = pd.read_csv(tmp_path / "lightning_logs" / "version_0" / "metrics.csv")
    assert logged["validation_loss"].notna().sum() == 3 and any((tmp_path / "best").iterdir())
    assert np.isfinite(again.get_latent_representation()).all()


def test_training_reports_nothing_that_nobody_needs(trained, caplog, capsys):
    model, _ = trained
    with caplog.at_level(logging.INFO, "lightning.pytorch"):
        model.train(1, accelerator="cpu", enable_progress_bar=False)
    assert "available" not in caplog.text and "Tip" not in caplog.text
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    assert not logging.getLogger("lightning.pytorch.utilities.rank_zero").filters


def test_the_set_up_is_shown_in_a_plain_script(tmp_path):
    script = """
        import spotscape
        adata = spotscape.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
        spotscape.SPOTSCAPE.setup_anndata(adata, layer="counts")
        spotscape.SPOTSCAPE(adata).view_anndata_setup()
    """
    shown = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "counts" in shown.stdout and "spatial" in shown.stdout


def test_differential_expression_is_that_of_the_package(trained):
    model, adata = trained
    column = "domain" if "domain" in adata.obs else "kind"
    names = adata.obs[column].astype("category").cat.categories[:2].tolist()
    before = list(adata.uns)
    table = model.differential_expression(groupby=column, group1=names[0], group2=names[1])
    assert list(adata.uns) == before and set(table["domain"]) == {names[0]} and set(table["reference"]) == {names[1]}
    sps.tl.markers(adata, column, groups=names[0], reference=names[1])
    pd.testing.assert_frame_equal(table, sps.get.markers(adata))
    del adata.uns["markers"]


def test_a_model_writes_a_report(trained, tmp_path):
    model, adata = trained
    column = "domain" if "domain" in adata.obs else "kind"
    path = model.report(tmp_path / "report.html", domain_key=column)
    assert type(model).__name__ in path.read_text()
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", adata=False)
    with pytest.raises(ValueError, match="pass the data as `adata`"):
        loaded.report(tmp_path / "other.html", domain_key=column)


@pytest.mark.filterwarnings("ignore:.*are unlike those that the model was trained on")
@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR, AESTETIK])
def test_data_are_freed_with_their_model(model_class, tmp_path):
    adata, query = (synthetic_tissue(n_slices=1, n_spots=60, n_genes=40, seed=seed) for seed in (0, 1))
    model_class.setup_anndata(adata)
    model = model_class(adata, n_latent=4)
    model.train(max_epochs=1, enable_progress_bar=False)
    model.get_latent_representation(query)
    model.save(tmp_path / "model", save_anndata=True)
    loaded = model_class.load(tmp_path / "model")
    references = [weakref.ref(data) for data in (adata, query, loaded.adata)]
    del adata, query
    gc.collect()
    assert references[0]() is model.adata and references[1]() is None
    assert model.get_latent_representation().shape == loaded.get_latent_representation().shape
    del model, loaded
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


# Lightning asks PyTorch in a way that it will change.
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec")
def test_a_pickled_model_brings_its_data(trained):
    model, _ = trained
    again = pickle.loads(pickle.dumps(model))
    assert again.adata is not model.adata and again.adata_manager.adata is again.adata
    np.testing.assert_array_equal(again.get_latent_representation(), model.get_latent_representation())


def test_a_copy_of_freed_data_is_set_up_anew():
    adata = synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    SPOTSCAPE.setup_anndata(adata, layer="counts")
    adata = adata[:50].copy()
    gc.collect()
    with pytest.raises(ValueError, match="Did you make a copy"):
        SPOTSCAPE(adata)
    SPOTSCAPE.setup_anndata(adata, layer="counts")
    assert SPOTSCAPE(adata).adata is adata
