"""Arguments that SEDR cannot be built, trained or asked with get one clear sentence before any work."""

import pytest

from spotscape import SEDR

from .conftest import assert_one_sentence, assert_unchanged, new_section


def build(**arguments):
    return lambda adata: SEDR(adata, **arguments)


def train(n_clusters=None, **arguments):
    return lambda adata: SEDR(adata, n_hidden=8, n_latent=4, n_clusters=n_clusters).train(**arguments)


CASES = {
    "unknown argument": (build(n_layers=2), TypeError, "n_layers"),
    "unknown preset": (build(preset="published"), ValueError, "`preset` is 'published'; choose one of None, 'paper'"),
    "unknown decoder": (build(decoder="gcn"), ValueError, "`decoder` is 'gcn'; choose one of 'graph'"),
    "unknown representation": (build(representation="z"), ValueError, "`representation` is 'z'"),
    "unknown features": (build(features="pca"), ValueError, "`features` is 'pca'"),
    "unknown masking": (build(masking="zero"), ValueError, "`masking` is 'zero'; choose one of 'replace'"),
    "unknown loss": (build(masked_loss="sce"), ValueError, "`masked_loss` is 'sce'; choose one of 'cosine'"),
    "nothing masked": (build(mask_rate=0), ValueError, "`mask_rate` is 0"),
    "everything masked": (build(mask_rate=1.0), ValueError, "`mask_rate` is 1.0"),
    "everything dropped": (build(dropout_rate=1.0), ValueError, "`dropout_rate` is 1.0"),
    "root of the cosine error": (build(gamma=0.5), ValueError, "`gamma` is 0.5"),
    "one cluster": (build(n_clusters=1), ValueError, "`n_clusters` is 1"),
    "half a cluster": (build(n_clusters=2.5), TypeError, "whole number"),
    "no width": (build(n_latent=0), ValueError, "`n_latent` is 0"),
    "negative weight": (build(adjacency_weight=-1), ValueError, "`adjacency_weight` is -1"),
    "weight of text": (build(kl_weight="small"), TypeError, "`kl_weight` is 'small'"),
    "neither yes nor no": (build(redraw_pairs="yes"), TypeError, "`redraw_pairs` is 'yes'"),
    "token added to genes": (build(masking="add", features="genes"), ValueError, "pass `masking='replace'`"),
    "preset without its graph": (build(preset="released"), ValueError, "whose graph has graph='knn'"),
    "scale power of genes": (build(scale_power=0.5, features="genes"), ValueError, "'genes', which are not scaled"),
    "more components than genes": (build(n_components=500), ValueError, "`n_components` is 500"),
    "no epochs": (train(max_epochs=0), ValueError, "`max_epochs` is 0"),
    "more clusters than spots": (train(n_clusters=500, max_epochs=2), ValueError, "`n_clusters` is 500"),
    "no interval": (train(cluster_interval=0), ValueError, "`cluster_interval` is 0"),
    "start before the first epoch": (train(cluster_start=-1), ValueError, "`cluster_start` is -1"),
    "tolerance above one": (train(cluster_tolerance=2), ValueError, "`cluster_tolerance` is 2"),
    "unknown schedule": (train(schedule="cosine"), ValueError, "`schedule` is 'cosine'"),
    "unknown training argument": (train(max_epoch=3), TypeError, "max_epoch"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_model_and_training(adata, case):
    call, error, message = CASES[case]
    SEDR.setup_anndata(adata, layer="counts", slice_key="slice")
    before = adata.copy()
    with pytest.raises(error, match=message) as caught:
        call(adata)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def test_clusters_that_are_not_there_are_refused(adata):
    SEDR.setup_anndata(adata, layer="counts", slice_key="slice")
    model = SEDR(adata, n_hidden=8, n_latent=4)
    with pytest.raises(RuntimeError, match="train"):
        model.get_soft_clusters()
    model.train(2, enable_progress_bar=False)
    with pytest.raises(RuntimeError, match="make it with `n_clusters`"):
        model.get_soft_clusters()
    with pytest.raises(ValueError, match="without clusters"):
        model.module.start_clusters(None)


def test_bad_arguments_of_the_clusters_are_refused(adata):
    SEDR.setup_anndata(adata, layer="counts", slice_key="slice")
    model = SEDR(adata, n_hidden=8, n_latent=4, n_clusters=3)
    model.train(2, enable_progress_bar=False)
    with pytest.raises(ValueError, match="between 0 and 239"):
        model.get_soft_clusters(indices=[240])
    with pytest.raises(ValueError, match="`batch_size` is 0"):
        model.get_soft_clusters(batch_size=0)
    with pytest.raises(ValueError, match="genes of the model are missing"):
        model.get_soft_clusters(new_section()[:, 5:].copy())


def test_a_model_without_data_is_refused():
    with pytest.raises(ValueError, match="adata|data"):
        SEDR()
