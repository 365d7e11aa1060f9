"""Corrections against slow twins and the packages they come from, and what they do with a new slice."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from spotscape.cluster import SharedMixture
from spotscape.preprocessing import Modality, explained_share, slice_mixing
from spotscape.preprocessing.correction import Centring, ComBat, Harmony, NoCorrection

KINDS = [NoCorrection, Centring, ComBat, Harmony]


@pytest.fixture
def sections():
    """Three slices of the same three kinds of spots, shifted and scaled."""
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(3, 6))
    kinds, slices = np.tile(np.arange(3), 80), np.repeat(["a", "b", "c"], 80)
    shifts = dict(zip("abc", rng.normal(size=(3, 6)), strict=True))
    scales = {"a": 1.0, "b": 1.3, "c": 0.8}
    values = centres[kinds] + rng.normal(size=(240, 6))
    values = np.stack([scales[s] * row + shifts[s] for row, s in zip(values, slices, strict=True)])
    return values, slices, kinds


def test_centring_takes_off_the_mean_of_each_slice(sections):
    values, slices, _ = sections
    corrected = Centring().fit(values, slices).transform(values, slices)
    for name in "abc":
        np.testing.assert_allclose(corrected[slices == name], values[slices == name] - values[slices == name].mean(0))


def test_combat_equals_scanpy():
    rng = np.random.default_rng(0)
    slices = np.repeat(["a", "b", "c"], [60, 90, 30])
    values = rng.normal(size=(180, 80)) * rng.gamma(5, 0.2, 80)
    for name in "abc":
        values[slices == name] = rng.normal(1, 0.7, 80) + values[slices == name] * rng.gamma(9, 1 / 9, 80)
    obs = pd.DataFrame({"slice": pd.Categorical(slices)}, index=[str(i) for i in range(180)])
    expected = sc.pp.combat(anndata.AnnData(values.copy(), obs=obs), key="slice", inplace=False)
    found = ComBat().fit(values, slices).transform(values, slices)
    # scanpy divides the prior variance of the shifts by the number of features, not by one less as the original does.
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert np.abs(found - values).mean() > 0.3


def test_harmony_gives_what_harmony_gives(sections):
    harmonypy = pytest.importorskip("harmonypy")
    values, slices, _ = sections
    result = harmonypy.run_harmony(
        values, pd.DataFrame({"slice": slices}), "slice", theta=2.0, lamb=1.0, sigma=0.1, nclust=8, verbose=False
    )
    expected = np.asarray(result.Z_corr)
    expected = expected if expected.shape == values.shape else expected.T
    found = Harmony().fit(values, slices).transform(values, slices)
    before, after = (np.linalg.norm(one - expected, axis=1).mean() for one in (values, found))
    assert after < 0.25 * before


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_slice_is_corrected_alike_alone_in_part_and_after_saving(sections, kind):
    if kind is Harmony:
        pytest.importorskip("harmonypy")
    values, slices, _ = sections
    correction = kind().fit(values, slices)
    whole = correction.transform(values, slices)
    part = np.flatnonzero(slices == "b")[::3]
    again = kind.from_state(correction.get_state()).transform(values[part], slices[part])
    np.testing.assert_allclose(again, whole[part], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [Centring, ComBat, Harmony])
def test_a_new_slice_meets_its_kinds(sections, kind):
    if kind is Harmony:
        pytest.importorskip("harmonypy")
    values, slices, kinds = sections
    old = slices != "c"
    correction = kind().fit(values[old], slices[old])
    reference, new = correction.transform(values[old], slices[old]), correction.transform(values[~old], slices[~old])

    def gap(of_new):
        return np.mean(
            [np.linalg.norm(of_new[kinds[~old] == k].mean(0) - reference[kinds[old] == k].mean(0)) for k in range(3)]
        )

    # Centring leaves the scale of a slice as it is.
    assert gap(new) < (0.75 if kind is Centring else 0.5) * gap(values[~old])


def test_harmony_is_deterministic_and_follows_the_spots(sections):
    pytest.importorskip("harmonypy")
    values, slices, _ = sections
    order = np.random.default_rng(1).permutation(len(values))
    first = Harmony().fit(values, slices, seed=3).transform(values, slices)
    second = Harmony().fit(values[order], slices[order], seed=3).transform(values, slices)
    np.testing.assert_allclose(first, second, atol=1e-4)
    with pytest.raises(ValueError, match="one slice only"):
        Harmony().fit(values[:80], slices[:80])


@pytest.mark.parametrize("correction", ["none", "centre", "combat", "precomputed"])
@pytest.mark.parametrize("n_columns", [5, 70])
def test_modalities_have_variance_one_go_back_and_skip_the_missing(correction, n_columns):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(120, 4)) @ rng.normal(size=(4, n_columns)) * np.geomspace(0.01, 100, n_columns) + 7
    slices = np.repeat(["a", "b"], 60)
    values[10:20] = np.nan
    modality = Modality(correction).fit(values, slices)
    features = modality.transform(values, slices)
    there = np.isfinite(values).all(axis=1)
    assert features.shape == (120, n_columns if correction == "precomputed" else min(n_columns, 50))
    assert not features[10:20].any()
    assert np.isclose(features[there].var(axis=0).mean(), 1, rtol=1e-4)
    loaded = Modality.from_state(modality.get_state())
    np.testing.assert_array_equal(loaded.transform(values[:30], slices[:30]), features[:30])
    if correction in ("none", "precomputed"):
        back = loaded.inverse_transform(features[there])
        np.testing.assert_allclose(back, values[there], rtol=1e-3, atol=1e-3 * np.abs(values[there]).max(axis=0).mean())


def test_columns_are_scaled_unless_they_are_precomputed():
    values = np.random.default_rng(0).normal(size=(200, 2)) * [1, 100]
    slices = np.repeat("a", 200)
    ratio = {
        name: np.ptp(np.log(Modality(name).fit(values, slices).transform(values, slices).std(0)))
        for name in ("none", "precomputed")
    }
    assert ratio["none"] < 0.01 < 4 < ratio["precomputed"]


def test_a_kept_mixture_gives_the_clusters_again():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 300)
    values = 6 * np.eye(3, 5)[kinds] + rng.normal(size=(300, 5))
    mixture = SharedMixture().fit(values, 3)
    found = SharedMixture.from_state(mixture.get_state()).predict(values)
    assert len({(a, b) for a, b in zip(found, kinds, strict=True)}) == 3
    order = rng.permutation(300)
    np.testing.assert_array_equal(SharedMixture().fit(values[order], 3).predict(values), found)


def test_the_share_that_is_explained_is_none_of_noise_and_most_of_what_follows():
    rng = np.random.default_rng(0)
    xy, slices = rng.uniform(size=(400, 2)), np.repeat(["a", "b"], 200)
    first = rng.normal(size=(400, 5)).astype(np.float32)
    related = (first @ rng.normal(size=(5, 3)) + 0.3 * rng.normal(size=(400, 3))).astype(np.float32)
    assert explained_share(first, related, xy, slices) > 0.8
    assert explained_share(first, rng.normal(size=(400, 3)).astype(np.float32), xy, slices) < 0.01
    assert explained_share(first[:2], related[:2], xy[:2], slices[:2]) == 0


def test_weak_columns_that_neighbours_share_do_not_hide_what_is_explained():
    rng = np.random.default_rng(0)
    # Ten spots in one place are alike in everything, as the averages of windows are.
    places = np.repeat(np.arange(40), 10)
    xy, slices = rng.uniform(size=(40, 2))[places], np.repeat("a", 400)
    strong, noise = 3 * rng.normal(size=(40, 2)), rng.normal(size=(40, 60))
    related = (strong + 3 * rng.normal(size=(40, 2)))[places] + rng.normal(size=(400, 2))
    noisy = np.hstack([strong, noise])[places] + 0.1 * rng.normal(size=(400, 62))
    share = explained_share(noisy.astype(np.float32), related.astype(np.float32), xy, slices)
    assert share > 0.2


def test_a_slice_of_three_among_many_is_centred_by_all_of_its_spots():
    rng = np.random.default_rng(0)
    slices = np.repeat(["large", "small"], [25_000, 3])
    values = rng.normal(size=(len(slices), 2)) + 5.0 * (slices == "small")[:, None]
    corrected = Modality("centre", scale=False).fit(values, slices).transform(values, slices)
    means = [corrected[slices == name].mean(axis=0) for name in ("large", "small")]
    # A sample of 20,000 spots would have two of the three, and their mean is .5 away.
    np.testing.assert_allclose(*means, atol=1e-4)


def test_slice_mixing_by_its_slow_definition():
    rng = np.random.default_rng(0)
    values, slices = rng.normal(size=(80, 2)), np.repeat(["a", "b"], [30, 50])
    values[:30] += 1
    others = []
    for i in range(80):
        nearest = [j for j in np.argsort(np.linalg.norm(values - values[i], axis=1)) if j != i][:30]
        others.append(np.mean([slices[j] != slices[i] for j in nearest]))
    assert slice_mixing(values, slices) == pytest.approx(np.mean(others) / (2 * 30 * 50 / 80**2))
    assert slice_mixing(values, np.repeat("a", 80)) == 1
    apart = values + 100 * (slices == "a")[:, None]
    assert slice_mixing(apart, slices) < 0.2
