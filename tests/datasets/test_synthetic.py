"""The simulated tissue: contents, reproducibility, geometry, counts and difficulty."""

import warnings

import anndata
import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.neighbors import NearestNeighbors

from spotscape.datasets import _expression as expression
from spotscape.datasets import _geometry as geometry
from spotscape.datasets import _synthetic as synthetic
from spotscape.datasets import synthetic_tissue

SEEDS = range(5)


def log_normalised(adata):
    counts = adata.layers["counts"].toarray()
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * 600.0)


def smoothed(adata, values, n_neighbors):
    result = np.empty_like(values)
    for name in adata.obs["slice"].cat.categories:
        rows = np.flatnonzero(adata.obs["slice"] == name)
        xy = adata.obsm["spatial"][rows]
        found = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(xy).kneighbors(xy, return_distance=False)
        result[rows] = values[rows][found].mean(axis=1)
    return result


def centred_by_slice(adata, values):
    codes = adata.obs["slice"].cat.codes.to_numpy()
    means = np.stack([values[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    return values - means[codes]


def clustered(values, n_clusters):
    components = PCA(20, random_state=0).fit_transform(values)
    return KMeans(n_clusters, n_init=2, random_state=0).fit_predict(components)


def same(first, second):
    return (
        (first.X != second.X).nnz == 0
        and np.array_equal(first.obsm["spatial"], second.obsm["spatial"])
        and first.obs.equals(second.obs)
        and first.var.equals(second.var)
    )


# Contents


def test_contents():
    adata = synthetic_tissue(3, 120, n_genes=50, n_domains=5)
    assert adata.shape == (360, 50)
    assert isinstance(adata.X, sparse.csr_matrix) and adata.X.dtype == np.float32
    assert (adata.X != adata.layers["counts"]).nnz == 0
    assert np.all(adata.X.data > 0) and np.all(adata.X.data == np.round(adata.X.data))
    assert adata.X.has_canonical_format
    assert list(adata.obs["slice"].cat.categories) == ["slice_1", "slice_2", "slice_3"]
    assert list(adata.obs["slice"].value_counts()) == [120, 120, 120]
    assert list(adata.obs["domain"].cat.categories) == ["layer_1", "layer_2", "layer_3", "layer_4", "patch_1"]
    assert adata.obsm["spatial"].shape == (360, 2)
    assert adata.obs_names.is_unique and adata.var_names.is_unique
    assert set(adata.var["marker_of"].dropna()) == set(adata.obs["domain"])
    assert adata.var["marker_of"].isna().any() and (adata.var["gradient"] == 0).any()


def test_layer_x_and_layer_counts_do_not_share_memory():
    adata = synthetic_tissue(1, 50)
    before = adata.layers["counts"].sum()
    adata.X.data[:] = 0
    assert adata.layers["counts"].sum() == before


def test_survives_h5ad(tmp_path):
    adata = synthetic_tissue(2, 40, n_domains=3, missing_domains={1: [0]}, batch_effect="none")
    adata.write_h5ad(tmp_path / "tissue.h5ad")
    back = anndata.read_h5ad(tmp_path / "tissue.h5ad")
    assert same(adata, back)
    parameters = back.uns["synthetic_tissue"]
    assert parameters["n_spots"] == 40 and parameters["batch_effect"] == 0.0 and parameters["seed"] == 0
    assert list(parameters["missing_domains"]["1"]) == [0]


@pytest.mark.parametrize(
    ("n_spots", "n_genes", "n_domains"), [(30, 33, 2), (30, 33, 3), (30, 33, 7), (80, 80, 20), (33, 400, 4)]
)
@pytest.mark.parametrize("positions", ["lattice", "scattered"])
def test_every_slice_has_every_domain_at_small_sizes(n_spots, n_genes, n_domains, positions):
    for seed in SEEDS:
        adata = synthetic_tissue(2, n_spots, n_genes=n_genes, n_domains=n_domains, positions=positions, seed=seed)
        assert adata.shape == (2 * n_spots, n_genes)
        present = adata.obs.groupby("slice", observed=True)["domain"].nunique()
        assert list(present) == [n_domains, n_domains]
        assert np.isfinite(adata.obsm["spatial"]).all() and np.isfinite(adata.obs["layer_position"]).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_default_is_balanced_and_has_no_empty_spot_or_gene(seed):
    adata = synthetic_tissue(seed=seed)
    shares = adata.obs["domain"].value_counts(normalize=True)
    assert shares.min() >= 0.06 and shares.max() <= 0.25
    assert adata.X.sum(axis=1).min() > 20
    assert adata.X.sum(axis=0).min() > 0


# Reproducibility and independence


def test_the_seed_determines_the_tissue():
    arguments = {"n_slices": 2, "n_spots": 100, "n_genes": 40}
    assert same(synthetic_tissue(**arguments, seed=3), synthetic_tissue(**arguments, seed=3))
    other = synthetic_tissue(**arguments, seed=4)
    assert not np.array_equal(synthetic_tissue(**arguments, seed=3).obsm["spatial"], other.obsm["spatial"])
    assert (synthetic_tissue(**arguments, seed=3).X != other.X).nnz > 0


def test_more_slices_do_not_change_the_first_ones():
    two, five = synthetic_tissue(2, 90, n_genes=40), synthetic_tissue(5, 90, n_genes=40)
    first = five[:180]
    assert (two.X != first.X).nnz == 0
    assert np.array_equal(two.obsm["spatial"], first.obsm["spatial"])
    assert list(two.obs["domain"]) == list(first.obs["domain"])
    assert two.var.equals(five.var)


def test_slices_differ_from_each_other():
    adata = synthetic_tissue(2, 400)
    first, second = adata[:400], adata[400:]
    assert (first.X != second.X).nnz > 0
    assert (first.obs["domain"].to_numpy() != second.obs["domain"].to_numpy()).mean() > 0.2


def test_batch_effect_changes_only_the_counts():
    none, strong = (synthetic_tissue(2, 100, batch_effect=word) for word in ("none", "strong"))
    assert none.obs.equals(strong.obs) and none.var.equals(strong.var)
    assert np.array_equal(none.obsm["spatial"], strong.obsm["spatial"])
    assert (none.X != strong.X).nnz > 0


@pytest.mark.parametrize(("word", "number"), [("none", 0), ("weak", 0.1), ("strong", 0.5)])
def test_named_batch_effects_are_numbers(word, number):
    assert same(synthetic_tissue(2, 60, batch_effect=word), synthetic_tissue(2, 60, batch_effect=number))


def test_batch_effect_is_the_deviation_of_log_fold_shifts():
    for strength in (0.25, 0.5):
        # With many spots and no other difference between slices, the ratio of profiles is the shift.
        adata = synthetic_tissue(2, 3000, n_genes=200, n_domains=2, batch_effect=strength, dropout=0.0, seed=1)
        profiles = np.stack(
            [np.asarray(adata[rows].X.sum(axis=0)).ravel() for rows in (range(3000), range(3000, 6000))]
        )
        profiles /= profiles.sum(axis=1, keepdims=True)
        deviation = np.log(profiles[0] / profiles[1]).std()
        assert deviation == pytest.approx(strength * np.sqrt(2.0), rel=0.2)


# Geometry


def test_lattice_is_hexagonal_and_scattered_is_not():
    for positions, regular in (("lattice", True), ("scattered", False)):
        xy = synthetic_tissue(1, 500, positions=positions).obsm["spatial"]
        distance = NearestNeighbors(n_neighbors=7).fit(xy).kneighbors(xy)[0][:, 1:]
        assert xy.min(axis=0) == pytest.approx([0.0, 0.0])
        inner = np.median(distance[:, 5])
        if regular:
            assert distance[:, 0] == pytest.approx(100.0) and inner == pytest.approx(100.0)
        else:
            assert distance[:, 0].std() > 10.0 and 100.0 < inner < 180.0


def test_domains_are_contiguous_in_space():
    adata = synthetic_tissue(2, 2000)
    for rows in (range(2000), range(2000, 4000)):
        part = adata[rows]
        xy, domain = part.obsm["spatial"], part.obs["domain"].cat.codes.to_numpy()
        neighbors = NearestNeighbors(n_neighbors=7).fit(xy).kneighbors(xy, return_distance=False)[:, 1:]
        assert (domain[neighbors] == domain[:, None]).mean() > 0.75


def test_layers_lie_in_order_of_layer_position():
    adata = synthetic_tissue(3, 600)
    position = adata.obs["layer_position"]
    assert position.min() == 0.0 and position.max() == 1.0
    bounds = adata.obs.groupby("domain", observed=True)["layer_position"].agg(["min", "max"])
    layers = bounds.loc[[name for name in bounds.index if name.startswith("layer")]]
    # The scale is common to all slices, so layers do not overlap when slices are pooled.
    assert np.all(layers["max"].to_numpy()[:-1] <= layers["min"].to_numpy()[1:] + 1e-6)


def test_layer_position_is_smooth_in_space():
    adata = synthetic_tissue(1, 2500)
    xy, position = adata.obsm["spatial"], adata.obs["layer_position"].to_numpy()
    neighbors = NearestNeighbors(n_neighbors=7).fit(xy).kneighbors(xy, return_distance=False)[:, 1:]
    assert np.abs(position[neighbors] - position[:, None]).max() < 0.15


def test_smooth_field_has_unit_variance_and_its_length():
    rng = np.random.default_rng(0)
    xy = np.array([[0.0, 0.0], [0.3, 0.4], [30.0, 40.0]])
    draws = np.stack([geometry._smooth_field(rng, xy, length=0.5) for _ in range(4000)])
    assert draws.mean(axis=0) == pytest.approx(np.zeros(3), abs=0.08)
    assert draws.var(axis=0) == pytest.approx(np.ones(3), rel=0.1)
    # Frequencies of standard deviation 1 / length give the covariance exp(-distance^2 / (2 length^2)).
    assert np.corrcoef(draws.T)[0, 1:] == pytest.approx([np.exp(-0.5), 0.0], abs=0.08)


def test_layers_equal_a_loop_over_spots():
    depth = np.random.default_rng(0).normal(size=200)
    edges = geometry._layer_edges(depth, np.ones(200, dtype=bool), np.array([0.2, 0.3, 0.1, 0.4]))
    closed = geometry._close_gaps(edges, [1, 3])
    assert closed == pytest.approx(
        [edges[0], edges[0], 0.5 * (edges[2] + edges[3]), 0.5 * (edges[2] + edges[3]), edges[4]]
    )
    tissue_edges = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    for used, layers in ((edges, [0, 1, 2, 3]), (closed, [1, 3])):
        found, position = geometry._read_layers(depth, used, tissue_edges, layers)
        for spot, value in enumerate(depth):
            layer = next(k for k in layers if value < used[k + 1] or k == layers[-1])
            fraction = (value - used[layer]) / (used[layer + 1] - used[layer])
            assert found[spot] == layer
            assert position[spot] == pytest.approx(0.25 * layer + 0.25 * fraction)
    full, _ = geometry._read_layers(depth, edges, tissue_edges, [0, 1, 2, 3])
    assert list(np.bincount(full)) == [40, 60, 20, 80]


@pytest.mark.parametrize("gone", [[0], [4], [2], [1, 2], [5], [6], [5, 6], [0, 5], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5]])
def test_missing_domain_is_replaced_and_nothing_else_changes(gone):
    full, less = synthetic_tissue(2, 500), synthetic_tissue(2, 500, missing_domains={1: gone})
    assert np.array_equal(full.obsm["spatial"], less.obsm["spatial"])
    assert (full[:500].X != less[:500].X).nnz == 0
    before, after = (part.obs["domain"].cat.codes.to_numpy() for part in (full, less))
    assert np.array_equal(before[:500], after[:500])
    lost = np.isin(before[500:], gone)
    assert lost.any()
    assert np.array_equal(before[500:][~lost], after[500:][~lost])
    assert not np.isin(after[500:], gone).any()
    assert list(less.obs["domain"].cat.categories) == list(full.obs["domain"].cat.categories)


def test_missing_layer_is_divided_between_adjacent_layers():
    full, less = synthetic_tissue(1, 500), synthetic_tissue(1, 500, missing_domains={0: [2]})
    taken = less.obs["domain"][full.obs["domain"] == "layer_3"]
    assert set(taken) == {"layer_2", "layer_4"}
    counts = taken.value_counts()
    assert counts["layer_2"] > 0.2 * len(taken) and counts["layer_4"] > 0.2 * len(taken)


def test_counts_follow_a_missing_domain():
    full, less = synthetic_tissue(1, 1500), synthetic_tissue(1, 1500, missing_domains={0: [6]})
    markers = (full.var["marker_of"] == "patch_2").to_numpy()
    spots = (full.obs["domain"] == "patch_2").to_numpy()

    def share(adata):
        return adata[spots][:, markers].X.sum() / adata[spots].X.sum()

    assert share(less) < 0.8 * share(full)


# Counts


def test_expected_counts_equal_the_formula_spot_by_spot():
    rng = np.random.default_rng(0)
    tissue = expression.draw_tissue(rng, 40, 5)
    domain, position = rng.integers(0, 5, 12), rng.random(12)
    mixture, shift, log_library = rng.dirichlet(np.ones(5), 12), rng.normal(size=40), rng.normal(4.0, 0.3, 12)
    found = expression._expected_counts(tissue, domain, position, mixture, shift, log_library)
    for spot in range(12):
        eta = np.zeros(40)
        for gene in range(40):
            wave = tissue.gradient_waves[gene] * position[spot] + tissue.gradient_phase[gene]
            eta[gene] = tissue.domain_effect[domain[spot], gene] + tissue.gradient[gene] * np.sin(2 * np.pi * wave)
            eta[gene] += sum(mixture[spot, k] * tissue.programs[k, gene] for k in range(5)) + shift[gene]
        expected = np.exp(log_library[spot]) * np.exp(eta) / np.exp(eta).sum()
        assert found[spot] == pytest.approx(expected, rel=1e-4)


def test_counts_are_negative_binomial():
    mean = np.tile(np.array([0.5, 3.0, 20.0], dtype=np.float32), (40_000, 1))
    dispersion = np.array([0.1, 0.5, 0.3])
    counts = expression._sample_counts(np.random.default_rng(0), mean, dispersion, 0.0).toarray()
    assert counts.mean(axis=0) == pytest.approx(mean[0], rel=0.03)
    assert counts.var(axis=0) == pytest.approx(mean[0] + dispersion * mean[0] ** 2, rel=0.06)


def test_dropout_loses_low_counts_with_its_probability():
    mean = np.tile(np.array([0.5, 2.0, 8.0], dtype=np.float32), (40_000, 1))
    dispersion = np.full(3, 0.2)
    full = expression._sample_counts(np.random.default_rng(0), mean, dispersion, 0.0).toarray()
    less = expression._sample_counts(np.random.default_rng(0), mean, dispersion, 0.6).toarray()
    kept = less > 0
    assert np.array_equal(less[kept], full[kept])
    lost = 1.0 - kept.sum(axis=0) / (full > 0).sum(axis=0)
    assert lost == pytest.approx(0.6 * np.exp(-mean[0] / 2.0), abs=0.01)


@pytest.mark.parametrize("counts_per_gene", [0.06, 2.0, 10.0])
def test_depth_is_the_number_of_counts_per_gene(counts_per_gene):
    adata = synthetic_tissue(1, 2000, batch_effect="none", counts_per_gene=counts_per_gene, dropout=0.0)
    # The library size is log-normal with this median.
    assert adata.X.mean() == pytest.approx(counts_per_gene * np.exp(0.35**2 / 2), rel=0.03)
    assert adata.uns["synthetic_tissue"]["counts_per_gene"] == counts_per_gene


def test_marker_genes_are_highest_in_their_domain():
    adata = synthetic_tissue(2, 1500, batch_effect="none")
    values = log_normalised(adata)
    domains = adata.obs["domain"].cat.categories
    means = np.stack([values[adata.obs["domain"] == name].mean(axis=0) for name in domains])
    markers = adata.var["marker_of"].cat.codes.to_numpy()
    for code in range(len(domains)):
        profile = means[:, markers == code].mean(axis=1)
        assert profile.argmax() == code


# Difficulty


@pytest.mark.parametrize("seed", SEEDS)
def test_default_needs_neighborhoods(seed):
    adata = synthetic_tissue(2, seed=seed)
    values = log_normalised(adata)
    alone = adjusted_rand_score(adata.obs["domain"], clustered(values, 7))
    together = adjusted_rand_score(adata.obs["domain"], clustered(smoothed(adata, values, 18), 7))
    assert 0.1 < alone < 0.45
    assert 0.6 < together < 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_centring_recovers_domains_under_a_strong_batch_effect(seed):
    adata = synthetic_tissue(4, 900, batch_effect="strong", seed=seed)
    values = log_normalised(adata)
    for n_clusters in (4, 7):
        assert normalized_mutual_info_score(adata.obs["slice"], clustered(values, n_clusters)) > 0.6
    assert adjusted_rand_score(adata.obs["domain"], clustered(smoothed(adata, values, 6), 7)) < 0.3
    back = clustered(smoothed(adata, centred_by_slice(adata, values), 6), 7)
    plain = synthetic_tissue(4, 900, seed=seed)
    reference = clustered(smoothed(plain, log_normalised(plain), 6), 7)
    recovered = adjusted_rand_score(adata.obs["domain"], back)
    assert recovered > 0.8 * adjusted_rand_score(plain.obs["domain"], reference)
    assert recovered > 0.5


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n_slices": 0}, ValueError, "n_slices"),
        ({"n_slices": 2.5}, TypeError, "n_slices"),
        ({"n_spots": 29}, ValueError, "n_spots"),
        ({"n_genes": 32}, ValueError, "n_genes"),
        ({"n_domains": 1}, ValueError, "n_domains"),
        ({"n_domains": 21}, ValueError, "n_domains"),
        ({"n_spots": 30, "n_domains": 8}, ValueError, "raise `n_spots` to 32"),
        ({"n_genes": 40, "n_domains": 11}, ValueError, "at most 10 domains"),
        ({"batch_effect": "huge"}, ValueError, "'weak'"),
        ({"batch_effect": -0.1}, ValueError, "batch_effect"),
        ({"batch_effect": None}, TypeError, "batch_effect"),
        ({"positions": "grid"}, ValueError, "'lattice'"),
        ({"counts_per_gene": 0}, ValueError, "counts_per_gene"),
        ({"counts_per_gene": "many"}, TypeError, "counts_per_gene"),
        ({"dropout": 1.0}, ValueError, "dropout"),
        ({"dropout": -0.1}, ValueError, "dropout"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": None}, TypeError, "seed"),
        ({"missing_domains": [2]}, TypeError, "dictionary"),
        ({"missing_domains": {4: [0]}}, ValueError, "is 4; it must"),
        ({"missing_domains": {-1: [0]}}, ValueError, "is -1; it must"),
        ({"missing_domains": {0: [7]}}, ValueError, r"missing_domains\[0\]` is 7"),
        ({"missing_domains": {0: ["layer_1"]}}, TypeError, r"missing_domains\[0\]` is 'layer_1'"),
        ({"missing_domains": {0: "layer_1"}}, TypeError, "list of domain indices"),
        ({"missing_domains": {0: 2}}, TypeError, "list of domain indices"),
        ({"missing_domains": {0: range(7)}}, ValueError, "all 7 domains"),
    ],
)
def test_wrong_arguments_raise_before_any_work(arguments, error, words, monkeypatch):
    monkeypatch.setattr(synthetic, "draw_tissue", lambda *_: pytest.fail("the simulation started before the check"))
    with pytest.raises(error, match=words):
        synthetic_tissue(**arguments)


def test_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        synthetic_tissue(2, 60, n_domains=3, missing_domains={0: np.array([1]), 1: set()}, dropout=0.9)
