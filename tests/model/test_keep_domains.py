"""Domains that a model keeps for new sections."""

import warnings

import anndata
import numpy as np
import pytest

from spotscape import AESTETIK, SEDR, SPOTSCAPE, tl
from spotscape.datasets import synthetic_modalities, synthetic_tissue
from spotscape.train._plan import NonFiniteLossError

from .conftest import small_model

pytestmark = pytest.mark.filterwarnings("ignore:.*are unlike those that the model was trained on")


@pytest.fixture(params=[SPOTSCAPE, SEDR, AESTETIK], ids=lambda model_class: model_class.__name__)
def fitted(request, adata):
    """Model of each class whose data have named domains with colours, and a new section."""
    if request.param is AESTETIK:
        adata, query = (
            synthetic_modalities(n_slices=1, n_spots=80, n_kinds=4, n_genes=40, n_image_features=10, seed=seed)
            for seed in (0, 1)
        )
        AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image", slice_key="slice")
        model = AESTETIK(adata, n_clusters=4, n_latent=4, image_weight=0.5)
        model.train(2, enable_progress_bar=False)
    else:
        model = small_model(adata, model_class=request.param)
        query = synthetic_tissue(n_slices=1, n_spots=80, n_genes=60, n_domains=4, seed=9)
    with_domains(model)
    return model, query


def with_domains(model, **settings):
    adata = model.adata
    adata.obsm["Z"] = model.get_latent_representation()
    tl.domains(adata, "Z", **({"n_domains": [2, 3], "n_init": 5, "key_added": "region"} | settings))
    adata.obs["region"] = adata.obs["region"].cat.rename_categories(["core", "ring", "edge"])
    adata.uns["region_colors"] = ["#ff0000", "#00ff00", "#0000ff"]


@pytest.mark.parametrize("way", ["itself", "saved", "hub"])
def test_a_model_gives_the_domains_of_its_data(fitted, way, tmp_path):
    model, query = fitted
    model_class = type(model)
    model.keep_domains("region")
    expected = query.copy()
    expected.obsm["Z"] = model.get_latent_representation(expected)
    tl.predict_domains(expected, model.adata, key_added="region")
    if way == "saved":
        # Written and read by h5ad, values of `uns` have other types.
        model.adata.write_h5ad(tmp_path / "data.h5ad")
        loaded = model_class.load(saved(model, tmp_path), adata=anndata.read_h5ad(tmp_path / "data.h5ad"))
        loaded.keep_domains("region")
        loaded.save(tmp_path / "again")
        model = model_class.load_query_data(query, tmp_path / "again")
    elif way == "hub":
        hub = pytest.importorskip("scvi.hub")
        model.to_hub(tmp_path / "hub")
        shared = hub.HubModel(str(tmp_path / "hub"))
        assert "*core*, *ring*, *edge*" in shared.model_card.text and 'obsm["Z"]' in shared.model_card.text
        shared.load_model(adata=query)
        model = shared.model
    query.obsm["Z"] = model.get_latent_representation(query)
    tl.predict_domains(query, model, key_added="region")
    for name in ("region", "region_confidence", "region_2", "region_2_confidence"):
        assert query.obs[name].equals(expected.obs[name])
    assert query.obs["region"].cat.categories.tolist() == ["core", "ring", "edge"]
    assert list(query.uns["region_colors"]) == ["#ff0000", "#00ff00", "#0000ff"]
    query.write_h5ad(tmp_path / "query.h5ad")


def saved(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_nothing_of_single_spots_is_kept(adata):
    model = small_model(adata)
    with_domains(model, n_init=20)
    assert "alternatives" in adata.uns["region"]
    model.keep_domains("region")

    def sizes(value):
        if isinstance(value, dict):
            return [one for entry in value.values() for one in sizes(entry)]
        return [np.size(value)] if not isinstance(value, str) else []

    assert max(sizes(model.domains_)) < adata.n_obs


def test_training_further_forgets_the_domains(adata):
    model = small_model(adata)
    with_domains(model)
    model.keep_domains("region")
    with pytest.warns(UserWarning, match="no longer keeps the domains") as caught:
        model.train(1, enable_progress_bar=False)
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match="keeps no domains"):
        tl.predict_domains(adata, model, key_added="region")


def test_training_is_complete_where_the_warning_is_an_error(adata):
    model = small_model(adata)
    with_domains(model)
    model.keep_domains("region")
    before = model.get_latent_representation()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="no longer keeps"):
            model.train(3, enable_progress_bar=False)
    assert model.is_trained and np.abs(model.get_latent_representation() - before).max() > 1e-4


def test_training_that_fails_keeps_the_domains(adata):
    model = small_model(adata)
    with_domains(model)
    model.keep_domains("region")
    with pytest.raises(NonFiniteLossError):
        model.train(5, lr=1e30, enable_progress_bar=False)
    tl.predict_domains(adata, model, key_added="again")
    assert (adata.obs["again"] == adata.obs["region"]).all()


def without_domains(model):
    del model.adata.uns["region"]


def in_something_else(model):
    model.adata.obsm["other"] = np.random.default_rng(0).normal(size=model.adata.obsm["Z"].shape)
    tl.domains(model.adata, "other", 3, n_init=5, key_added="region")


def of_another_model(model):
    model.adata.obsm["Z"] = 2 * model.adata.obsm["Z"]


def without_the_representation(model):
    del model.adata.obsm["Z"]


def leiden(model):
    tl.domains(model.adata, "Z", 3, method="leiden", key_added="region")


def merged(model):
    model.adata.obs["region"] = model.adata.obs["region"].astype(str).replace("core", "ring").astype("category")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (without_domains, KeyError, "`domain_key` is 'region'"),
        (in_something_else, ValueError, "found in 'other', which is not the latent representation of this model"),
        (of_another_model, ValueError, "found in 'Z', which is not the latent representation"),
        (without_the_representation, ValueError, "found in 'Z', which is not the latent representation"),
        (leiden, ValueError, "not defined for new spots"),
        (merged, ValueError, "`adata.obs\\['region'\\]` was changed"),
    ],
)
def test_domains_that_do_not_apply_are_refused(adata, change, error, message):
    model = small_model(adata)
    with_domains(model)
    change(model)
    with pytest.raises(error, match=message):
        model.keep_domains("region")
    assert model.domains_ is None


def test_a_model_without_training_or_data_is_refused(adata, tmp_path):
    model = small_model(adata)
    with pytest.raises(TypeError, match="`domain_key` is 3"):
        model.keep_domains(3)
    loaded = SPOTSCAPE.load(saved(model, tmp_path), adata=False)
    with pytest.raises(ValueError, match="loaded without data"):
        loaded.keep_domains()
    with pytest.raises(RuntimeError, match="train"):
        SPOTSCAPE(adata).keep_domains()
