"""The promises of the design: what must hold whatever is changed."""

import gc
import subprocess
import sys
import textwrap
import tracemalloc

import anndata
import numpy as np
import pytest
import scvi
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from spotscape import SEDR, SPOTSCAPE, pp
from spotscape.datasets import synthetic_tissue

from .conftest import SMALL, small_model

both_models = pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR])


@pytest.mark.parametrize("features", ["components", "genes"])
@pytest.mark.parametrize(
    ("model_class", "arguments"),
    [
        *((SPOTSCAPE, {"n_layers": n_layers}) for n_layers in (1, 2, 3)),
        *((SEDR, {"decoder": decoder}) for decoder in ("graph", "linear")),
    ],
)
def test_minibatch_inference_equals_the_full_graph(adata, features, model_class, arguments):
    model = small_model(adata, model_class=model_class, features=features, **arguments)
    whole = model.get_latent_representation()
    for batch_size in (1, 7, 100):
        part = model.get_latent_representation(batch_size=batch_size)
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-5)


@both_models
def test_permuting_the_spots_permutes_the_result(adata, model):
    order = np.random.default_rng(0).permutation(adata.n_obs)
    permuted = anndata.AnnData(adata.X[order], obs=adata.obs[["slice"]].iloc[order], var=adata.var)
    permuted.layers["counts"] = adata.layers["counts"][order]
    permuted.obsm["spatial"] = adata.obsm["spatial"][order]
    np.testing.assert_allclose(
        model.get_latent_representation(permuted), model.get_latent_representation()[order], rtol=1e-4, atol=1e-5
    )


@both_models
def test_adding_a_slice_changes_no_other_slice(adata, model):
    first = adata[adata.obs["slice"] == "slice_1"].copy()
    expected = model.get_latent_representation()[(adata.obs["slice"] == "slice_1").to_numpy()]
    np.testing.assert_allclose(model.get_latent_representation(first), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [None, 64])
@pytest.mark.parametrize(
    ("model_class", "arguments", "train"),
    [
        (SPOTSCAPE, {}, {"prototype_warmup": 2}),
        (SEDR, {"dropout_rate": 0.2, "n_clusters": 3}, {"cluster_start": 2, "cluster_interval": 2}),
    ],
)
def test_same_seed_same_numbers(adata, batch_size, model_class, arguments, train):
    arguments = arguments | {"model_class": model_class, "train": train | {"batch_size": batch_size}}
    first, second = (small_model(adata.copy(), seed=5, **arguments).get_latent_representation() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = small_model(adata.copy(), seed=6, **arguments).get_latent_representation()
    assert np.abs(first - other).max() > 1e-3


_TRAIN = """
    import sys
    import numpy as np, torch
    torch.set_num_threads(int(sys.argv[1]))
    import spotscape
    adata = spotscape.datasets.synthetic_tissue(n_slices=1, n_spots=600, n_genes=100, n_domains=4, seed=0)
    model_class = getattr(spotscape, sys.argv[3])
    model_class.setup_anndata(adata, layer="counts")
    model = model_class(adata)
    model.train(60, enable_progress_bar=False)
    np.save(sys.argv[2], model.get_latent_representation())
"""


@both_models
def test_another_number_of_threads_gives_the_same_domains(model_class, tmp_path):
    partitions = []
    for n_threads in ("1", "2"):
        path = tmp_path / f"{n_threads}.npy"
        arguments = [n_threads, str(path), model_class.__name__]
        subprocess.run([sys.executable, "-c", textwrap.dedent(_TRAIN), *arguments], check=True)
        partitions.append(KMeans(4, n_init=10, random_state=0).fit_predict(np.load(path)))
    assert adjusted_rand_score(*partitions) >= 0.99


@both_models
def test_memory_grows_linearly_in_spots(model_class):
    """Four times the spots take about four times the memory, and no matrix of all pairs of spots is ever held."""
    peaks = []
    for n_spots in (1500, 6000):
        adata = synthetic_tissue(n_slices=2, n_spots=n_spots // 2, n_genes=40, n_domains=4, seed=0)
        gc.collect()
        peaks.append(_peak_memory(adata, model_class))
    assert peaks[1] < 6 * peaks[0]


def _peak_memory(adata, model_class):
    """Largest total size of live tensors and arrays that one epoch of set-up, training and inference reaches."""
    from torch.profiler import ProfilerActivity, profile

    arguments = {SPOTSCAPE: {"n_anchors": 256, "train": {"prototype_warmup": 0}}, SEDR: {}}[model_class]
    tracemalloc.start()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        small_model(adata, model_class=model_class, epochs=1, n_hidden=32, **arguments).get_latent_representation()
    _, arrays = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    live = peak = 0
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    assert peak > 0
    return arrays + peak


@both_models
def test_two_models_on_one_adata_do_not_disturb_each_other(adata, model, model_class):
    expected = model.get_latent_representation()
    for other in (SPOTSCAPE, SEDR):
        small_model(adata, model_class=other, setup={"n_neighbors": 9})
    np.testing.assert_array_equal(model.get_latent_representation(), expected)


@both_models
def test_a_model_trains_on_its_own_setup_whatever_was_set_up_since(adata, model_class):
    expected = small_model(adata.copy(), model_class=model_class, setup={"n_neighbors": 4}).get_latent_representation()
    model_class.setup_anndata(adata, layer="counts", slice_key="slice", n_neighbors=4)
    first = model_class(adata, **SMALL[model_class])
    with pytest.warns(UserWarning, match="share their position|overlap in space"):
        small_model(adata, model_class=model_class, setup={"n_neighbors": 20, "slice_key": None})
    first.train(6, enable_progress_bar=False)
    np.testing.assert_array_equal(first.get_latent_representation(), expected)


@both_models
def test_a_graph_written_over_is_built_again(adata, model):
    expected = model.get_latent_representation()
    pp.spatial_neighbors(adata, slice_key="slice", n_neighbors=30)
    np.testing.assert_array_equal(model.get_latent_representation(), expected)
    adata.uns["spatial_neighbors"] = {"params": {"n_neighbors": 30}}
    with pytest.raises(ValueError, match="made elsewhere"):
        model.get_latent_representation()


@both_models
def test_the_seed_decides_the_split_and_validation_changes_nothing(adata, model_class):
    train = {"train_size": 0.7, "validation_size": 0.3}
    train |= {"prototype_warmup": 0} if model_class is SPOTSCAPE else {}
    runs = []
    for seed, further in ((0, {}), (99, {"check_val_every_n_epoch": 1})):
        scvi.settings.seed = seed
        runs.append(small_model(adata.copy(), model_class=model_class, seed=5, train=train | further))
    np.testing.assert_array_equal(runs[0].train_indices, runs[1].train_indices)
    np.testing.assert_array_equal(*(run.get_latent_representation() for run in runs))
