"""Each call reads the expression, corrects it and builds windows once."""

from collections import Counter

import pytest

from spotscape import AESTETIK, SEDR, SPOTSCAPE
from spotscape.datasets import synthetic_modalities, synthetic_tissue
from spotscape.preprocessing import Harmony, Preprocessor, _modalities


@pytest.fixture
def calls(monkeypatch):
    """Counts the steps that are expensive on large data."""
    counted: Counter[str] = Counter()

    def count(owner, name):
        original = getattr(owner, name)

        def wrapped(*args, **kwargs):
            counted[name if owner is _modalities else f"{owner.__name__}.{name}"] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, wrapped)

    count(Preprocessor, "transform")
    count(Harmony, "transform")
    count(_modalities, "build_windows")
    return counted


def counted(calls, function):
    calls.clear()
    result = function()
    return result, dict(calls)


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])
def test_graph_models(calls, model_class):
    adata = synthetic_tissue(n_slices=3, n_spots=60, n_genes=40, n_domains=3, seed=0)
    once = {"Preprocessor.transform": 1, "Harmony.transform": 1}
    _, found = counted(calls, lambda: model_class.setup_anndata(adata, layer="counts", slice_key="slice"))
    assert found == {}
    model, found = counted(calls, lambda: model_class(adata, n_components=5))
    assert found == once
    assert counted(calls, lambda: model.train(max_epochs=2, accelerator="cpu"))[1] == once
    for answer in (model.get_latent_representation, model.get_normalized_expression, model.get_novelty):
        assert counted(calls, answer)[1] == once, answer.__name__


# So few spots cannot show that image and expression agree.
@pytest.mark.filterwarnings("ignore:The image gets a weight of")
def test_window_model(calls):
    adata = synthetic_modalities(n_slices=3, n_spots=60, n_kinds=4, n_genes=40, n_image_features=12, seed=0)
    once = {"Preprocessor.transform": 1, "Harmony.transform": 2, "build_windows": 1}
    AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image", slice_key="slice")
    model, found = counted(calls, lambda: AESTETIK(adata, n_clusters=4, n_components=5))
    assert found == once
    assert counted(calls, lambda: model.train(max_epochs=2, accelerator="cpu"))[1] == once
    for answer in (model.get_latent_representation, model.get_clusters, model.get_reconstruction, model.get_novelty):
        assert counted(calls, answer)[1] == once, answer.__name__
