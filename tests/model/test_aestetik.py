"""AESTETIK keeps the promises of the design, takes samples without an image, and is the same for AnnData and MuData."""

import subprocess
import sys
import textwrap
import tracemalloc

import anndata
import mudata
import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from spotscape import AESTETIK, tl
from spotscape.data import SpotDataLoader
from spotscape.datasets import synthetic_modalities

# Slices of a hundred spots are too small to show that image and expression agree. One test expects the warning.
pytestmark = pytest.mark.filterwarnings("ignore:The image gets a weight of")


@pytest.fixture
def adata():
    return synthetic_modalities(n_slices=3, n_spots=100, n_kinds=4, n_genes=40, n_image_features=12, seed=0)


def small(adata, *, epochs=4, setup=None, train=None, **arguments):
    keys = {"rna_key": "counts", "image_key": "X_image", "slice_key": "slice"}
    AESTETIK.setup_anndata(adata, **keys | (setup or {}))
    model = AESTETIK(adata, **{"n_clusters": 4, "n_latent": 6, "n_hidden": 16} | arguments)
    model.train(epochs, enable_progress_bar=False, **(train or {}))
    return model


@pytest.fixture
def model(adata):
    return small(adata)


def as_mudata(adata):
    rna = adata.copy()
    image = rna.obsm.pop("X_image")
    there = np.flatnonzero(np.isfinite(image).all(axis=1))
    # In another order, and without the spots that have none.
    there = np.random.default_rng(0).permutation(there)
    image = anndata.AnnData(image[there], obs=adata.obs[[]].iloc[there])
    return mudata.MuData({"rna": rna, "image": image})


# ----------------------------------------------------------------------------------------------------- promises


def test_minibatches_permutation_and_slices_change_nothing(adata, model):
    whole = model.get_latent_representation()
    for batch_size in (1, 7, 64):
        np.testing.assert_allclose(model.get_latent_representation(batch_size=batch_size), whole, rtol=1e-4, atol=1e-5)
    order = np.random.default_rng(0).permutation(adata.n_obs)
    permuted = adata[order].copy()
    np.testing.assert_allclose(model.get_latent_representation(permuted), whole[order], rtol=1e-4, atol=1e-5)
    rows = (adata.obs["slice"] == "slice_2").to_numpy()
    np.testing.assert_allclose(model.get_latent_representation(adata[rows].copy()), whole[rows], rtol=1e-4, atol=1e-5)


def test_turning_a_section_changes_nothing(adata, model):
    turned = adata.copy()
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    turned.obsm["spatial"] = 3.5 * turned.obsm["spatial"] @ turn
    np.testing.assert_allclose(
        model.get_latent_representation(turned), model.get_latent_representation(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("batch_size", [None, 64])
def test_same_seed_same_numbers(adata, batch_size):
    train = {"batch_size": batch_size}
    first, second, other = (
        small(adata.copy(), seed=seed, train=train).get_latent_representation() for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("correction", ["none", "centre", "combat", "harmony"])
def test_save_and_load(adata, correction, tmp_path):
    if correction == "harmony":
        pytest.importorskip("harmonypy")
    model = small(adata, rna_correction=correction, image_correction=correction)
    expected = model.get_latent_representation()
    model.save(tmp_path / "model")
    loaded = AESTETIK.load(tmp_path / "model", adata=adata.copy())
    np.testing.assert_array_equal(loaded.get_latent_representation(), expected)
    np.testing.assert_array_equal(loaded.get_clusters(), model.get_clusters())
    rows = (adata.obs["slice"] == "slice_3").to_numpy()
    part = loaded.get_latent_representation(adata[rows].copy())
    np.testing.assert_allclose(part, expected[rows], rtol=1e-4, atol=1e-5)
    new = synthetic_modalities(n_slices=1, n_spots=80, n_kinds=4, n_genes=40, n_image_features=12, seed=9)
    new.obs["slice"] = "never seen"
    without = AESTETIK.load(tmp_path / "model", adata=False)
    with pytest.warns(UserWarning, match="in 'never seen', .* of the spots are farther out"):
        expected_of_new = model.get_latent_representation(new)
    with pytest.warns(UserWarning, match="in 'never seen', .* of the spots are farther out"):
        np.testing.assert_array_equal(without.get_latent_representation(new), expected_of_new)
    with pytest.warns(UserWarning, match="in 'never seen', .* of the spots are farther out"):
        assert set(without.get_clusters(new)) <= set(range(4))
    loaded.train(2, enable_progress_bar=False)
    assert np.abs(loaded.get_latent_representation() - expected).max() > 0


def test_load_in_a_fresh_process(adata, model, tmp_path):
    model.save(tmp_path / "model")
    adata.write_h5ad(tmp_path / "data.h5ad")
    script = """
        import sys, anndata, numpy as np, spotscape, torch
        torch.set_num_threads(int(sys.argv[4]))
        model = spotscape.AESTETIK.load(sys.argv[1], adata=anndata.read_h5ad(sys.argv[2]))
        np.save(sys.argv[3], model.get_latent_representation())
    """
    arguments = [tmp_path / "model", tmp_path / "data.h5ad", tmp_path / "z.npy", torch.get_num_threads()]
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), model.get_latent_representation())


def test_memory_grows_linearly_in_spots():
    peaks = []
    for n_spots in (1000, 4000):
        adata = synthetic_modalities(n_slices=1, n_spots=n_spots, n_kinds=4, n_genes=40, n_image_features=12)
        AESTETIK.setup_anndata(adata, rna_key="counts", image_key="X_image")
        tracemalloc.start()
        model = AESTETIK(adata, n_clusters=4, window=1)
        next(iter(SpotDataLoader(model._dataset(model.adata_manager))))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 6 * peaks[0]


# --------------------------------------------------------------------------------------------------- modalities


@pytest.mark.parametrize("slices_without_image", [(), (1,)])
def test_mudata_and_anndata_give_the_same(slices_without_image):
    adata = synthetic_modalities(
        n_slices=3, n_spots=90, n_kinds=4, n_genes=40, n_image_features=12, slices_without_image=slices_without_image
    )
    mdata = as_mudata(adata)
    expected = small(adata, image_weight=0.5)
    AESTETIK.setup_mudata(mdata, rna_key="counts", slice_key="slice")
    model = AESTETIK(mdata, n_clusters=4, n_latent=6, n_hidden=16, image_weight=0.5)
    model.train(4, enable_progress_bar=False)
    # Sums run over the image in another order, but nothing else differs.
    np.testing.assert_allclose(
        model.get_latent_representation(), expected.get_latent_representation(), rtol=1e-3, atol=1e-4
    )


def test_a_mudata_model_is_saved_and_takes_new_mudata(adata, tmp_path):
    mdata = as_mudata(adata)
    AESTETIK.setup_mudata(mdata, rna_key="counts", slice_key="slice")
    model = AESTETIK(mdata, n_clusters=4, n_latent=6)
    model.train(2, enable_progress_bar=False)
    model.save(tmp_path / "model")
    loaded = AESTETIK.load(tmp_path / "model", adata=as_mudata(adata))
    np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation())


def test_spots_without_an_image_do_not_depend_on_it(adata):
    lacking = adata.copy()
    without = (lacking.obs["slice"] == "slice_2").to_numpy()
    lacking.obsm["X_image"][without] = np.nan
    model = small(lacking, image_weight=0.5)
    latent = model.get_latent_representation()
    assert np.isfinite(latent).all()
    assert np.isfinite(model.get_reconstruction("image")).all()
    # With an image, the same slice gives another answer; the others give the same.
    seen = model.get_latent_representation(adata)
    assert np.abs(seen[without] - latent[without]).max() > 1e-2
    np.testing.assert_allclose(seen[~without], latent[~without], rtol=1e-4, atol=1e-5)


def test_features_in_obsm_and_expression_alone(adata):
    adata.obsm["X_pca"] = np.random.default_rng(0).normal(size=(adata.n_obs, 7))
    model = small(adata, setup={"rna_key": "X_pca", "image_key": None}, rna_correction="precomputed")
    assert model.get_modality_weights() == {"rna": 1.0}
    assert model.get_reconstruction().shape == (adata.n_obs, 7)
    with pytest.raises(ValueError, match="has no genes"):
        model.get_reconstruction(gene_list=["gene_01"])
    with pytest.raises(ValueError, match="`modality` is 'image'; choose one of 'rna'"):
        model.get_reconstruction("image")


def test_reconstruction_is_in_the_units_that_were_given(adata):
    adata.obsm["X_image"] = 1000 * adata.obsm["X_image"] + 500
    model = small(adata, epochs=60, image_correction="none", image_weight=0.5, train={"lr": 1e-2})
    found = model.get_reconstruction("image")
    np.testing.assert_allclose(found.mean(axis=0), adata.obsm["X_image"].mean(axis=0), atol=400)
    some = model.get_reconstruction("rna", gene_list=["gene_03", "gene_01"])
    whole = model.get_reconstruction("rna")
    assert whole.shape == adata.shape and (whole >= 0).all()
    np.testing.assert_allclose(some, whole[:, [2, 0]], rtol=1e-5)


def test_an_image_of_noise_has_no_weight(adata):
    assert small(adata, epochs=1, image_weight=0.3).get_modality_weights()["image"] == 0.3
    adata.obsm["X_image"] = np.random.default_rng(0).normal(size=(adata.n_obs, 12))
    with pytest.warns(UserWarning, match=r"image gets a weight of 0\.\d\d: expression explains .*Pass `image_weight`"):
        assert small(adata, epochs=1).get_modality_weights()["image"] < 0.05


def test_an_image_that_tells_samples_apart_has_no_weight():
    adata = synthetic_modalities(n_slices=2, n_spots=400, batch_effect="none", seed=0)
    keys = {"rna_key": "counts", "image_key": "X_image", "slice_key": "slice"}

    def weight():
        AESTETIK.setup_anndata(adata, **keys)
        return AESTETIK(adata, image_correction="none", n_clusters=8).get_modality_weights()["image"]

    assert weight() > 0.3
    adata.obsm["X_image"] += 10 * (adata.obs["slice"] == "slice_1").to_numpy()[:, None]
    assert weight() < 0.05


def test_the_say_of_an_image_does_not_hang_on_its_number_of_columns(adata):
    weights = {"image_weight": 0.5, "image_correction": "none", "rna_correction": "none"}
    once = small(adata, epochs=1, **weights, train={"lr": 1e-9}).get_latent_representation()
    # The same again, under other units: three times as many columns that say nothing new.
    adata.obsm["X_image"] = np.hstack([adata.obsm["X_image"], adata.obsm["X_image"] * 10, adata.obsm["X_image"] - 7])
    thrice = small(adata, epochs=1, **weights, train={"lr": 1e-9}).get_latent_representation()
    signs = np.sign((once * thrice).sum(axis=0))
    np.testing.assert_allclose(thrice * signs, once, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "argument",
    [{"triplet_weight": 0}, {"reconstruction_weight": 0}, {"margin": 0.1}, {"cross_sample_positives": False}],
)
def test_arguments_have_an_effect(adata, model, argument):
    assert np.abs(small(adata, **argument).get_latent_representation() - model.get_latent_representation()).max() > 1e-4


def test_the_start_by_its_slow_definition(adata):
    model = small(adata, epochs=1, train={"lr": 1e-12}, image_weight=0.5)
    dataset = model._dataset(model.adata_manager)
    features = {name: one.corrected for name, one in dataset.features.items()}
    windows = dataset.windows
    averages = np.zeros((adata.n_obs, sum(values.shape[1] for values in features.values())))
    for i, sites in enumerate(windows.sites):
        there = [
            (0.25 ** ((ring / windows.rings[-1]) ** 2), site)
            for ring, site in zip(windows.rings, sites, strict=True)
            if site >= 0
        ]
        total = sum(weight for weight, _ in there)
        for weight, site in there:
            averages[i] += weight / total * np.concatenate([0.5**0.5 * values[site] for values in features.values()])
    latent = model.get_latent_representation()
    centred = averages - averages.mean(axis=0)
    scores = np.linalg.svd(centred, full_matrices=False)[0] * np.linalg.svd(centred, compute_uv=False)
    scores = scores[:, :6] / np.sqrt((scores[:, :6] ** 2).sum(axis=1).mean())
    moved = np.abs(np.linalg.norm(latent - latent.mean(axis=0), axis=1) - np.linalg.norm(scores, axis=1))
    assert moved.max() < 0.01


def test_by_default_several_slices_are_corrected_by_harmony(adata):
    image = adata.obsm["X_image"]
    image[(adata.obs["slice"] != "slice_1").to_numpy()] = np.nan
    pipelines = small(adata, epochs=1).pipelines.pipelines
    assert pipelines["rna"].correction.name == "harmony"
    # One slice has the image: there is nothing to correct in it.
    assert pipelines["image"].correction.name == "none" and not pipelines["image"].is_corrected


def test_novelty_sees_a_slice_before_its_correction(adata):
    model = small(adata, setup={"rna_key": "X_image", "image_key": None}, rna_correction="centre")
    like = adata[(adata.obs["slice"] == "slice_1").to_numpy()].copy()
    like.obs["slice"] = "never seen"
    shifted = like.copy()
    shifted.obsm["X_image"] = shifted.obsm["X_image"] + 20 * adata.obsm["X_image"].std(axis=0)
    assert not model.get_slice_novelty(like)["out_of_distribution"].item()
    # Centring takes the shift off, so that the representation could not tell.
    with pytest.warns(UserWarning, match="unlike those that the model was trained on"):
        np.testing.assert_allclose(
            model.get_latent_representation(shifted), model.get_latent_representation(like), atol=1e-3
        )
    assert model.get_slice_novelty(shifted)["share_novel"].item() == 1


@pytest.mark.slow
@pytest.mark.parametrize("batch_effect", ["none", "strong"])
def test_both_modalities_tell_more_than_one(batch_effect):
    adata = synthetic_modalities(n_slices=4, n_spots=400, batch_effect=batch_effect, seed=0)
    scores = {}
    for name, setup in (
        ("both", {}),
        ("rna", {"image_key": None}),
        ("image", {"rna_key": "X_image", "image_key": None}),
    ):
        data = adata.copy()
        model = small(data, epochs=None, setup=setup, n_clusters=8, n_latent=16, n_hidden=64)
        data.obsm["X_aestetik"] = model.get_latent_representation()
        tl.domains(data, "X_aestetik", 8, n_init=10)
        scores[name] = adjusted_rand_score(data.obs["kind"], data.obs["spatial_domain"])
    assert scores["both"] > max(scores["rna"], scores["image"]) + 0.2
    assert scores["both"] > 0.6


@pytest.mark.slow
@pytest.mark.data
def test_histology_does_not_harm_on_a_real_section(section):
    adata = section("her2st_A1_he")
    labels = adata.obs["domain"].astype(str)
    keep = ~labels.isin(["undetermined", "nan"]).to_numpy()
    scores = []
    for image_key in (None, "image_features"):
        data = adata.copy()
        AESTETIK.setup_anndata(data, image_key=image_key)
        model = AESTETIK(data, n_clusters=5, seed=0)
        model.train(enable_progress_bar=False)
        data.obsm["X_aestetik"] = model.get_latent_representation()
        tl.domains(data, "X_aestetik", 5)
        scores.append(adjusted_rand_score(labels[keep], data.obs["spatial_domain"][keep]))
    assert scores[1] >= scores[0]
