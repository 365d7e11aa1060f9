"""Features of `obsm`, such as the embedding of a foundation model, in place of expression."""

import mudata
import numpy as np
import pytest

from spotscape import SEDR, SPOTSCAPE, metrics, tl
from spotscape.datasets import synthetic_tissue

from .conftest import small_model

MODELS = pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])
SETUP = {"layer": None, "features_key": "X_embedding"}


def embedded(adata, width=12, seed=0):
    """A copy with an embedding that shows the domains and, as a shift of all columns, the slices."""
    adata, rng = adata.copy(), np.random.default_rng(seed)
    domains, slices = (adata.obs[key].cat.codes.to_numpy() for key in ("domain", "slice"))
    centres = np.random.default_rng(5).normal(size=(domains.max() + 1, width))
    noise = rng.normal(size=(adata.n_obs, width))
    adata.obsm["X_embedding"] = 100 * (centres[domains] + 0.5 * noise + 0.5 * slices[:, None])
    return adata


def trained(adata, model_class=SPOTSCAPE, epochs=3, **arguments):
    return small_model(adata, model_class=model_class, epochs=epochs, setup=SETUP, **arguments)


@MODELS
def test_only_the_embedding_is_read(adata, model_class):
    first = embedded(adata)
    second = first.copy()
    second.layers["counts"] = second.X = 0 * second.X
    latent = trained(first, model_class).get_latent_representation()
    np.testing.assert_array_equal(trained(second, model_class).get_latent_representation(), latent)
    second.obsm["X_embedding"] = second.obsm["X_embedding"][:, ::-1] ** 2
    assert np.abs(trained(second.copy(), model_class).get_latent_representation() - latent).max() > 0.1


def test_slice_correction_applies_to_the_embedding(adata):
    adata = embedded(adata)
    slices = adata.obs["slice"].to_numpy(str)
    first = slices == slices[0]

    def distance(**arguments):
        model = trained(adata, **arguments)
        features = model._dataset(model.adata_manager).features.corrected
        return np.linalg.norm(features[first].mean(axis=0) - features[~first].mean(axis=0))

    assert distance() < 0.3 * distance(slice_correction="none")
    assert distance(slice_correction="centre") < 1e-4


def test_units_of_the_columns_do_not_matter(adata):
    adata = embedded(adata)
    latent = trained(adata).get_latent_representation()
    adata.obsm["X_embedding"] = adata.obsm["X_embedding"] * np.linspace(1, 50, 12) + 7
    np.testing.assert_allclose(trained(adata.copy()).get_latent_representation(), latent, atol=1e-3)


def test_first_features_have_most_of_the_variance(adata):
    model = trained(embedded(adata), slice_correction="none")
    spread = model._dataset(model.adata_manager).features.corrected.std(axis=0)
    assert model.pipeline.n_features == 12
    assert (np.diff(spread) < 1e-6).all()
    assert np.isclose((spread**2).mean(), 1, atol=1e-4)


def test_domains_are_found():
    adata = embedded(synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, n_domains=4, seed=0))
    adata.obsm["X_spotscape"] = trained(adata, epochs=30, n_latent=16).get_latent_representation()
    tl.domains(adata, use_rep="X_spotscape", n_domains=4)
    assert metrics.scores(adata.obs["domain"], adata.obs["spatial_domain"])["ARI"] > 0.8


@MODELS
def test_new_sections_need_no_genes_and_files_keep_the_embedding(adata, model_class, tmp_path):
    adata = embedded(adata)
    model = trained(adata, model_class)
    query = embedded(synthetic_tissue(n_slices=1, n_spots=80, n_genes=40, n_domains=4, seed=1), seed=1)
    expected = model.get_latent_representation(query)
    assert np.isfinite(expected).all()
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        model_class.load(tmp_path / "model", adata=False).get_latent_representation(query.copy()), expected
    )
    with_data = model_class.load(tmp_path / "model", adata=adata.copy())
    np.testing.assert_array_equal(with_data.get_latent_representation(), model.get_latent_representation())
    assert with_data.init_params_["non_kwargs"]["preprocessing"]["preprocessor"] is None
    continued = model_class.load_query_data(query, model)
    np.testing.assert_array_equal(continued.get_latent_representation(), expected)
    continued.train(1, enable_progress_bar=False)
    assert continued.get_slice_novelty()["n_spots"].sum() == 80


def test_embedding_of_a_modality(adata):
    adata = embedded(adata)
    latent = trained(adata.copy()).get_latent_representation()
    mdata = mudata.MuData({"rna": adata})
    SPOTSCAPE.setup_mudata(mdata, modality="rna", slice_key="slice", features_key="X_embedding")
    model = SPOTSCAPE(mdata, n_hidden=16, n_latent=8, n_prototypes=(3, 5))
    model.train(3, enable_progress_bar=False)
    np.testing.assert_array_equal(model.get_latent_representation(), latent)


@MODELS
@pytest.mark.parametrize("preset", ["paper", "released"])
def test_presets_take_an_embedding(adata, model_class, preset):
    adata = embedded(adata)
    setup = SETUP | {"preset": preset}
    model = small_model(adata, model_class=model_class, epochs=1, setup=setup, preset=preset)
    assert model.pipeline.n_features == 12
    assert np.isfinite(model.get_latent_representation()).all()


@MODELS
def test_no_genes_are_predicted(adata, model_class):
    model = trained(embedded(adata), model_class)
    with pytest.raises(ValueError, match=r"set up with `features_key`, so it predicts .* no genes"):
        model.get_normalized_expression()
    with pytest.raises(TypeError, match="needs no genes"):
        model_class.prepare_query_anndata(adata, model)


def _changed(change):
    def apply(adata):
        values = adata.obsm["X_embedding"].copy()
        adata.obsm["X_embedding"] = change(values)

    return apply


def _with(value):
    def change(values):
        values[3, 2] = value
        return values

    return change


BAD_FEATURES = {
    "NaN": (_with(np.nan), ValueError, "missing or infinite in part for 1 spot"),
    "infinite": (_with(np.inf), ValueError, "missing or infinite in part for 1 spot"),
    "text": (lambda values: values.astype(str) + "a", TypeError, "not all numbers"),
    "constant": (np.ones_like, ValueError, "the same for all spots"),
}


@pytest.mark.parametrize("case", BAD_FEATURES)
def test_bad_features_are_refused(adata, case):
    change, error, message = BAD_FEATURES[case]
    adata = embedded(adata)
    _changed(change)(adata)
    with pytest.raises(error, match=message):
        SPOTSCAPE.setup_anndata(adata, slice_key="slice", features_key="X_embedding")
    assert "_scvi_uuid" not in adata.uns and not adata.obsp


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"features_key": "X_embeding"}, KeyError, "X_embeding.*X_embedding"),
        ({"features_key": "spatial"}, ValueError, "which holds the coordinates"),
        ({"layer": "counts"}, ValueError, "`layer` is 'counts', but `features_key`"),
        ({"size_factor_key": "slice"}, ValueError, "`size_factor_key` is 'slice', but `features_key`"),
        ({"values": "counts"}, ValueError, "`values` is 'counts', but `features_key`"),
    ],
)
def test_bad_setup_is_refused(adata, arguments, error, message):
    adata = embedded(adata)
    with pytest.raises(error, match=message):
        SPOTSCAPE.setup_anndata(adata, **{"slice_key": "slice", "features_key": "X_embedding"} | arguments)
    assert "_scvi_uuid" not in adata.uns and not adata.obsp


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": "genes"}, "`features` is 'genes', but the data were set up with `features_key`"),
        ({"n_top_genes": 10}, "`n_top_genes` is 10, which is for expression"),
        ({"scale_power": 0.5}, "`scale_power` is 0.5, which is for expression"),
        ({"target_sum": 100}, "`target_sum` is 100, which is for expression"),
        ({"n_components": 13}, "12 columns of the embedding allow at most 12"),
    ],
)
@MODELS
def test_arguments_of_expression_are_refused(adata, model_class, arguments, message):
    adata = embedded(adata)
    model_class.setup_anndata(adata, slice_key="slice", features_key="X_embedding")
    with pytest.raises(ValueError, match=message):
        model_class(adata, **arguments)


def test_an_embedding_that_was_not_set_up_is_refused(adata):
    SPOTSCAPE.setup_anndata(adata, layer="counts", slice_key="slice")
    with pytest.raises(ValueError, match=r"`features` is 'embedding', but .* `features_key`"):
        SPOTSCAPE(adata, features="embedding")


def test_new_data_without_the_embedding_is_refused(adata):
    model = trained(embedded(adata))
    for width in (11, 13):
        with pytest.raises(ValueError, match=f"has {width} columns, but the model was set up with 12"):
            model.get_latent_representation(embedded(adata, width=width))
    with pytest.raises(KeyError, match="X_embedding"):
        model.get_latent_representation(adata.copy())
    query = embedded(adata)
    _changed(_with(np.nan))(query)
    with pytest.raises(ValueError, match="missing or infinite in part"):
        model.get_latent_representation(query)
    good = model.adata.obsm["X_embedding"]
    for change, message in ((lambda values: values[:, :5], "had 12 columns and has 5"), (_with(np.inf), "for 1 spot")):
        model.adata.obsm["X_embedding"] = change(good.copy())
        with pytest.raises(ValueError, match=message):
            model.get_latent_representation()
    del model.adata.obsm["X_embedding"]
    with pytest.raises(ValueError, match=r"`obsm\['X_embedding'\]` is gone"):
        model.get_latent_representation()
