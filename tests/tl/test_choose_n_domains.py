import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from spotscape import tl
from spotscape.cluster import SharedCovarianceMixture, mixture_partition
from spotscape.cluster._mixture import RIDGE
from spotscape.metrics import adjusted_rand_index
from spotscape.tl import _choose_n_domains
from spotscape.tl._choose_n_domains import finest_peak
from spotscape.tl._reproducibility import draw_spatial_halves, split_half_agreement


def tissue(n_domains, seed=0, n_slices=1):
    """Stripes of a square lattice in each slice, with a representation that separates them."""
    rng = np.random.default_rng(seed)
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(18.0), np.arange(18.0)))
    stripe = np.tile((y * n_domains // 18).astype(int), n_slices)
    adata = anndata.AnnData(obsm={"X_spotscape": 6 * np.eye(n_domains, 8)[stripe] + rng.normal(size=(len(stripe), 8))})
    adata.obsm["spatial"] = np.tile(np.c_[x, y], (n_slices, 1))
    adata.obs["slice"] = pd.Categorical(np.repeat([f"slice_{number}" for number in range(n_slices)], len(x)))
    adata.obs["truth"] = pd.Categorical(stripe.astype(str))
    return adata


@pytest.mark.parametrize(("n_domains", "n_slices"), [(3, 1), (5, 1), (4, 2)])
def test_clear_domains_are_counted(n_domains, n_slices):
    adata = tissue(n_domains, n_slices=n_slices)
    chosen = tl.choose_n_domains(adata, n_domains=range(2, 8), n_splits=2, n_init=2)
    assert chosen == n_domains and type(chosen) is int
    result = adata.uns["n_domains"]
    table = result["table"].set_index("n_domains")
    assert list(table.index) == list(range(2, 8))
    assert table["reproducibility"][n_domains] > 0.95 > table["reproducibility"].drop(n_domains).max()
    np.testing.assert_allclose(table["reproducibility"], result["splits"].mean(axis=1))
    np.testing.assert_allclose(table["sd"], result["splits"].std(axis=1, ddof=1))
    assert result["chosen"] == n_domains and result["params"]["n_splits"] == 2
    assert list(adata.obs) == ["slice", "truth"] and list(adata.uns) == ["n_domains"]


def test_the_largest_candidate_is_noticed():
    adata = tissue(4)
    with pytest.warns(UserWarning, match="The chosen number, 4, is the largest candidate") as caught:
        assert tl.choose_n_domains(adata, n_domains=(4, 2, 3), n_splits=2, n_init=2) == 4
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore:The chosen number")
def test_a_single_blob_gives_no_reproducible_domains():
    adata = tissue(1)
    tl.choose_n_domains(adata, n_domains=range(2, 6), n_splits=2, n_init=2)
    assert adata.uns["n_domains"]["table"]["reproducibility"].max() < 0.5


@pytest.mark.filterwarnings("ignore:The chosen number")
def test_permuted_spots_and_renamed_rows_give_the_same_table():
    adata = tissue(4, n_slices=2)
    adata.obsm["X_spotscape"] = np.random.default_rng(1).normal(size=(adata.n_obs, 5))
    shuffled = adata[np.random.default_rng(2).permutation(adata.n_obs)].copy()
    for data in (adata, shuffled):
        tl.choose_n_domains(data, n_domains=(4, 2), n_splits=2, n_init=1)
    np.testing.assert_array_equal(shuffled.uns["n_domains"]["splits"], adata.uns["n_domains"]["splits"])


@pytest.mark.filterwarnings("ignore:The chosen number")
def test_result_is_deterministic_follows_the_seed_and_survives_a_file(tmp_path):
    adata = tissue(1)
    results = []
    for seed in (0, 0, 1):
        tl.choose_n_domains(adata, n_domains=(2, 3), n_splits=2, n_init=1, seed=seed, key_added="k")
        results.append(adata.uns["k"]["splits"])
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()
    adata.write_h5ad(tmp_path / "x.h5ad")
    read = anndata.read_h5ad(tmp_path / "x.h5ad").uns["k"]
    pd.testing.assert_frame_equal(read["table"], adata.uns["k"]["table"])
    assert read["chosen"] == adata.uns["k"]["chosen"]


def test_many_spots_are_subsampled(monkeypatch):
    monkeypatch.setattr(_choose_n_domains, "N_SPOTS_STARTS", 200)
    adata = tissue(3)
    assert tl.choose_n_domains(adata, n_domains=range(2, 6), n_splits=2, n_init=2) == 3
    assert adata.uns["n_domains"]["params"]["n_spots"] == 200


def test_without_coordinates_halves_are_of_single_spots():
    adata = tissue(3)
    del adata.obsm["spatial"], adata.obs["slice"]
    assert tl.choose_n_domains(adata, n_domains=range(2, 6), spatial_key=None, n_splits=2, n_init=2) == 3


@pytest.mark.parametrize("n_per_side", [4, 8])
def test_halves_are_blocks_of_about_half_of_each_slice(n_per_side):
    adata = tissue(2, n_slices=2)
    slices, xy = adata.obs["slice"].to_numpy(str), adata.obsm["spatial"]
    first = draw_spatial_halves(xy, slices, n_per_side, np.random.default_rng(0))
    alone = draw_spatial_halves(None, slices, n_per_side, np.random.default_rng(0))
    for name in np.unique(slices):
        rows = slices == name
        assert 0.35 < first[rows].mean() <= 0.5
        assert alone[rows].mean() == 0.5
        # Most neighbours are in the same half, unlike in halves of single spots.
        pairs = np.linalg.norm(xy[rows][:, None] - xy[rows][None], axis=2) == 1
        same = (first[rows][:, None] == first[rows][None])[pairs].mean()
        assert same > 0.75 > 0.6 > (alone[rows][:, None] == alone[rows][None])[pairs].mean()


def classify(known, affinities, unknown):
    return SharedCovarianceMixture.from_memberships(known, affinities).predict(unknown)


@pytest.mark.parametrize("xy", [np.c_[np.arange(40.0), np.zeros(40)], np.zeros((40, 2))])
def test_collinear_and_coincident_spots_are_halved(xy):
    first = draw_spatial_halves(xy, np.zeros(40), 4, np.random.default_rng(0))
    assert first.mean() == 0 if not xy.any() else 0.1 < first.mean() <= 0.5


def test_domains_are_predicted_by_the_density_of_the_mixture():
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(3, 4))
    known, unknown = (centres[rng.choice(3, n, p=[0.6, 0.3, 0.1])] + rng.normal(size=(n, 4)) for n in (300, 200))
    affinities = np.c_[mixture_partition(known, 3, 2, 0).affinities, np.zeros(300)]
    covariance, means, shares = np.zeros((4, 4)), [], affinities.mean(axis=0)
    for column in affinities.T[:3]:
        means.append(np.average(known, axis=0, weights=column))
        covariance += (column[:, None] * (known - means[-1])).T @ (known - means[-1]) / 300
    covariance += RIDGE * np.diag(covariance).mean() * np.eye(4)
    densities = [
        share * multivariate_normal(mean, covariance).pdf(unknown)
        for share, mean in zip(shares[:3], means, strict=True)
    ]
    found = classify(known, affinities, unknown)
    assert len(set(found)) == 3
    np.testing.assert_array_equal(found, np.argmax(densities, axis=0))


def test_agreement_is_averaged_over_both_directions():
    rng = np.random.default_rng(0)
    scores, first = rng.normal(size=(200, 3)), rng.random(200) < 0.5
    a, b = (mixture_partition(scores[half], 3, 2, 0).affinities for half in (first, ~first))
    forth = adjusted_rand_index(b.argmax(axis=1), classify(scores[first], a, scores[~first]))
    back = adjusted_rand_index(a.argmax(axis=1), classify(scores[~first], b, scores[first]))
    assert split_half_agreement(scores, first, 3, 2, 0) == pytest.approx((forth + back) / 2)
    assert forth != back


def slow_finest_peak(agreements):
    """The rule as written in its equations."""
    s, n_splits = agreements.mean(axis=1), agreements.shape[1]
    c = 0
    for k in range(1, len(s)):
        between = list(range(c + 1, k))
        rises = False
        if between:
            t = min(between, key=lambda j: s[j])
            d = agreements[k] - agreements[t]
            rises = s[k] - s[t] > np.sqrt(np.sum((d - d.mean()) ** 2) / (n_splits - 1) * (1 / n_splits + 1))
        if s[k] > s[c] or rises:
            c = k
    return c


def test_rule_equals_its_equations():
    rng = np.random.default_rng(0)
    cases = [
        rng.normal(scale=scale, size=(9, 5)) + rng.normal(size=(9, 1)) for scale in (0.1, 1.0, 3.0) for _ in "x" * 40
    ]
    chosen = [finest_peak(case) for case in cases]
    assert chosen == [slow_finest_peak(case) for case in cases]
    assert len(set(chosen)) > 4


@pytest.mark.parametrize(
    ("means", "noise", "row"),
    [
        ([0.2, 0.9, 0.5, 0.4, 0.3], 0.05, 1),
        # A fine partition with a significant peak after a more reproducible coarse one.
        ([0.2, 0.9, 0.5, 0.5, 0.8, 0.6], 0.05, 4),
        # The same with noise larger than the peak.
        ([0.2, 0.9, 0.5, 0.5, 0.8, 0.6], 0.5, 1),
        ([0.9, 0.8, 0.7], 0.05, 0),
    ],
)
def test_the_finest_significant_peak(means, noise, row):
    deviations = np.random.default_rng(3).normal(size=(len(means), 8))
    deviations -= deviations.mean(axis=1, keepdims=True)
    assert finest_peak(np.array(means)[:, None] + noise * deviations) == row
