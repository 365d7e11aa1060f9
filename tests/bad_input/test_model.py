"""Arguments that a model cannot be built, trained or asked with get one clear sentence before any work."""

import numpy as np
import pytest

from spotscape import SPOTSCAPE

from .conftest import assert_one_sentence, assert_unchanged, new_section, setup


def build(**arguments):
    def call(adata):
        SPOTSCAPE(adata, **arguments)

    return call


def train(**arguments):
    def call(adata):
        SPOTSCAPE(adata, n_hidden=8, n_latent=4).train(**arguments)

    return call


MODEL_CASES = {
    "unknown argument": (build(n_layer=2), TypeError, "n_layer"),
    "no layers": (build(n_layers=0), ValueError, "`n_layers` is 0"),
    "half a layer": (build(n_layers=1.5), TypeError, "whole number"),
    "negative weight": (build(telescope_weight=-1), ValueError, "`telescope_weight` is -1"),
    "all edges dropped": (build(edge_drop_rate=1.0), ValueError, "`edge_drop_rate` is 1.0"),
    "unknown features": (build(features="pca"), ValueError, "`features` is 'pca'"),
    "unknown activation": (build(latent_activation="tanh"), ValueError, "`latent_activation` is 'tanh'"),
    "scale power above one": (build(scale_power=2), ValueError, "`scale_power` is 2"),
    "scale power of genes": (build(scale_power=0.5, features="genes"), ValueError, "'genes', which are not scaled"),
    "unknown correction": (build(slice_correction="mnn"), ValueError, "`slice_correction` is 'mnn'"),
    "correction of genes": (build(slice_correction="centre", features="genes"), ValueError, "which stay sparse"),
    "residual of genes": (
        build(residual=True, features="genes"),
        ValueError,
        "`features` is 'genes'; pass 'components'",
    ),
    "residual before ReLU": (build(residual=True, latent_activation="relu"), ValueError, "is 'relu'; pass 'linear'"),
    "one number of prototypes": (build(n_prototypes=7), ValueError, "a number for each granularity"),
    "more components than genes": (build(n_components=500), ValueError, "`n_components` is 500"),
    "temperature of zero": (build(temperature=0), ValueError, "`temperature` is 0"),
    "no epochs": (train(max_epochs=0), ValueError, "`max_epochs` is 0"),
    "batch of one spot": (train(batch_size=1), ValueError, "`batch_size` is 1"),
    "unknown schedule": (train(schedule="cosine"), ValueError, "`schedule` is 'cosine'"),
    "unknown training argument": (train(max_epoch=3), TypeError, "max_epoch"),
    "rate given twice": (train(plan_kwargs={"lr": 1}), ValueError, "pass `lr` to `train` itself"),
    "two schedules": (train(plan_kwargs={"reduce_lr_on_plateau": True}), ValueError, "needs `schedule='constant'`"),
    "stopping by validation": (train(early_stopping_monitor="x"), ValueError, "smoothed training loss decides"),
    "unknown plan argument": (train(max_epochs=1, plan_kwargs={"lrr": 1}), KeyError, "'lrr'.*did you mean 'lr'"),
}


@pytest.mark.parametrize("case", MODEL_CASES)
def test_bad_model_and_training(adata, case):
    call, error, message = MODEL_CASES[case]
    setup(adata)
    before = adata.copy()
    with pytest.raises(error, match=message) as caught:
        call(adata)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def test_a_model_without_data_is_refused():
    with pytest.raises(ValueError, match="adata|data"):
        SPOTSCAPE()


def test_bad_arguments_of_the_answers_are_refused(saved):
    model = SPOTSCAPE.load(saved, adata=new_section())
    with pytest.raises(KeyError, match="which is not in the genes of the model;"):
        model.get_normalized_expression(gene_list=["no such gene"])
    with pytest.raises(ValueError, match="between 0 and 79"):
        model.get_latent_representation(indices=[0, 80])
    with pytest.raises(ValueError, match="more than once"):
        model.get_latent_representation(indices=[1, 1])
    with pytest.raises(ValueError, match="mask of length 3"):
        model.get_latent_representation(indices=np.array([True, False, True]))
    for value, message in ((-1, "`library_size` is -1"), ("observed", "pass a number or 'latent'")):
        with pytest.raises(ValueError, match=message):
            model.get_normalized_expression(library_size=value)
    for indices in ([], [0.5, 2], ["spot"], [[1]]):
        with pytest.raises(ValueError, match="pass row numbers"):
            model.get_latent_representation(indices=indices)
    for batch_size in (0, -1, 2.5):
        with pytest.raises((ValueError, TypeError), match="`batch_size` is"):
            model.get_latent_representation(batch_size=batch_size)
    with pytest.raises(TypeError, match="pass a list of names"):
        model.get_normalized_expression(gene_list="gene_1")
    with pytest.raises(TypeError, match="a str where a AnnData"):
        model.get_latent_representation("section.h5ad")
    with pytest.raises(TypeError, match="a str where a AnnData"):
        SPOTSCAPE.load(saved, adata="section.h5ad")
