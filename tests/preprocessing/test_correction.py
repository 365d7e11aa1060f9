"""Corrections against slow twins and the packages they come from, and what they do with a new slice."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

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
