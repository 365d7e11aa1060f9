"""Models on the hub, and models of a reference with new sections."""

import json

import mudata
import numpy as np
import pytest

from spotscape import AESTETIK, SEDR, SPOTSCAPE
from spotscape.datasets import synthetic_modalities, synthetic_tissue

from .conftest import small_model


def new_section(n_genes=60):
    return synthetic_tissue(n_slices=1, n_spots=80, n_genes=60, n_domains=4, seed=9)[:, 60 - n_genes :].copy()


def trained_aestetik():
    adata = synthetic_modalities(n_slices=2, n_spots=60, n_kinds=4, n_genes=40, n_image_features=10, seed=0)
    AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image", slice_key="slice")
    model = AESTETIK(adata, n_clusters=4, n_latent=4, image_weight=0.5)
    model.train(2, enable_progress_bar=False)
    return model


@pytest.fixture(params=[SPOTSCAPE, SEDR, AESTETIK], ids=lambda model_class: model_class.__name__)
def any_model(request, adata):
    return trained_aestetik() if request.param is AESTETIK else small_model(adata, model_class=request.param)


def test_the_hub_reads_what_is_written(any_model, tmp_path):
    hub = pytest.importorskip("scvi.hub")
    description = "Sections of a *mouse brain*, {braces} and all."
    any_model.to_hub(tmp_path / "hub", description=description, license="mit", tissues=["brain"], save_anndata=True)
    shared = hub.HubModel(str(tmp_path / "hub"))
    assert shared.metadata.model_cls_name == type(any_model).__name__
    assert shared.metadata.model_parent_module == "spotscape"
    assert shared.model_card.data.license == "mit" and "tissue:brain" in shared.model_card.data.tags
    assert description in shared.model_card.text and "slice_1" not in shared.model_card.text
    shared.load_model()
    np.testing.assert_array_equal(shared.model.get_latent_representation(), any_model.get_latent_representation())
    metadata = json.loads((tmp_path / "hub" / "_scvi_required_metadata.json").read_text())
    assert metadata["scvi_version"] and metadata["training_data_url"] is None


def test_a_folder_is_replaced_only_if_asked(model, tmp_path):
    pytest.importorskip("scvi.hub")
    model.to_hub(tmp_path / "hub")
    before = (tmp_path / "hub" / "README.md").read_bytes()
    with pytest.raises(ValueError, match="overwrite"):
        model.to_hub(tmp_path / "hub", title="Another")
    assert (tmp_path / "hub" / "README.md").read_bytes() == before
    model.to_hub(tmp_path / "hub", title="Another", overwrite=True)
    assert "# Another" in (tmp_path / "hub" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tissues": "brain"}, "`tissues` is 'brain'; pass a list"),
        ({"description": None}, "`description` is None .*pass a text"),
        ({"license": 4}, "`license` is 4 .*pass a text"),
        ({"save_anndata": "no"}, "`save_anndata` is 'no'"),
    ],
)
def test_wrong_arguments_write_nothing(model, tmp_path, arguments, message):
    pytest.importorskip("scvi.hub")
    with pytest.raises(TypeError, match=message):
        model.to_hub(tmp_path / "hub", **arguments)
    assert not any(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:.*are unlike those that the model was trained on")
@pytest.mark.parametrize("saved_reference", [False, True])
@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])
def test_new_sections_become_the_data_of_a_model(adata, model_class, saved_reference, tmp_path):
    model = small_model(adata, model_class=model_class)
    before = model.get_latent_representation()
    reference = model
    if saved_reference:
        model.save(tmp_path / "model")
        reference = tmp_path / "model"
    query = new_section(n_genes=55)
    loaded = model_class.load_query_data(query, reference)
    assert loaded.adata.n_vars == 60 and query.n_vars == 55
    latent = loaded.get_latent_representation()
    again = new_section(n_genes=55)
    model_class.prepare_query_anndata(again, model)
    np.testing.assert_array_equal(latent, model.get_latent_representation(again))
    loaded.train(3, enable_progress_bar=False)
    assert np.abs(loaded.get_latent_representation() - latent).max() > 1e-4
    np.testing.assert_array_equal(model.get_latent_representation(), before)


@pytest.mark.parametrize("n_genes", [60, 55])
def test_new_sections_with_other_genes_are_copied(adata, n_genes):
    model = small_model(adata)
    query = new_section(n_genes=n_genes)
    loaded = SPOTSCAPE.load_query_data(query, model)
    assert (loaded.adata is query) == (n_genes == 60) and loaded.adata.n_vars == 60
    assert query.n_vars == n_genes and ("_scvi_uuid" in query.uns) == (n_genes == 60)


@pytest.mark.parametrize("saved", [False, True])
def test_a_model_of_another_class_is_refused_before_anything_is_done(adata, saved, tmp_path):
    model = small_model(adata)
    model.save(tmp_path / "model")
    query = new_section(n_genes=55)
    before = query.copy()
    with pytest.raises(ValueError, match="`reference_model` is of class SPOTSCAPE, not SEDR"):
        SEDR.load_query_data(query, tmp_path / "model" if saved else model)
    del query.obs["slice"]
    with pytest.raises(KeyError, match="slice"):
        SPOTSCAPE.load_query_data(query, model)
    assert query.shape == before.shape and list(query.uns) == list(before.uns)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"title": 3}, "`title` is 3"), ({"tissues": 3}, "`tissues` is 3"), ({"data_url": 3}, "`data_url` is 3")],
)
def test_arguments_of_the_card_are_checked(model, tmp_path, arguments, message):
    pytest.importorskip("scvi.hub")
    with pytest.raises(TypeError, match=message):
        model.to_hub(tmp_path / "hub", **arguments)
    assert not any(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:.*are unlike those that the model was trained on")
def test_new_sections_of_other_kinds(adata):
    model = trained_aestetik()
    query = synthetic_modalities(n_slices=1, n_spots=50, n_kinds=4, n_genes=40, n_image_features=10, seed=3)
    assert AESTETIK.load_query_data(query, model).get_latent_representation().shape == (50, 4)

    mdata = mudata.MuData({"rna": adata})
    SPOTSCAPE.setup_mudata(mdata, "rna", layer="counts", slice_key="slice")
    reference = SPOTSCAPE(mdata, n_hidden=16, n_latent=8)
    reference.train(2, enable_progress_bar=False)
    query = mudata.MuData({"rna": new_section(n_genes=55)})
    assert SPOTSCAPE.load_query_data(query, reference).get_latent_representation().shape == (80, 8)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("batch_key", "`slice_key`"), ("coords_key", "spatial_key")],
)
@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR, AESTETIK])
def test_names_of_other_packages_are_answered(adata, model_class, name, advice):
    with pytest.raises(TypeError, match=f"has no argument '{name}'; .*{advice}"):
        model_class.setup_anndata(adata, **{name: "slice"})


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR, AESTETIK])
def test_a_misspelt_argument_is_answered_with_the_one_that_was_meant(adata, model_class, tmp_path):
    with pytest.raises(TypeError, match="`setup_anndata` has no argument 'slicekey'; did you mean 'slice_key'"):
        model_class.setup_anndata(adata, slicekey="slice")
    model = trained_aestetik() if model_class is AESTETIK else small_model(adata, model_class=model_class)
    with pytest.raises(TypeError, match="`train` has no argument 'epochs'; did you mean 'max_epochs'"):
        model.train(epochs=3)
    with pytest.raises(TypeError, match="`save` has no argument 'save_adata'; did you mean 'save_anndata'"):
        model.save(tmp_path / "model", save_adata=True)
    with pytest.raises(TypeError, match="`load` has no argument 'data'; did you mean 'adata'"):
        model_class.load(tmp_path / "model", data=None)
