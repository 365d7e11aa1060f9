"""The feature pipeline: scaled, corrected, of unit variance, and back; each step once."""

import numpy as np
import pytest
from scipy import sparse

from spotscape.preprocessing import Expression, FeaturePipeline, FeatureScaler, Preprocessor
from spotscape.preprocessing.correction import correction_named

from .conftest import names, simulate


def pipeline(correction, *, standardize=True):
    standardize = standardize and correction != "precomputed"
    correction = "none" if correction == "precomputed" else correction
    return FeaturePipeline(correction_named(correction), scaler=FeatureScaler(standardize=standardize))


@pytest.mark.parametrize("correction", ["none", "centre", "combat", "precomputed"])
@pytest.mark.parametrize("n_columns", [5, 70])
def test_modalities_have_variance_one_go_back_and_skip_the_missing(correction, n_columns):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(120, 4)) @ rng.normal(size=(4, n_columns)) * np.geomspace(0.01, 100, n_columns) + 7
    slices = np.repeat(["a", "b"], 60)
    values[10:20] = np.nan
    modality = pipeline(correction)
    features = modality.fit_transform(values, slices).corrected
    np.testing.assert_array_equal(modality.transform(values, slices).corrected, features)
    there = np.isfinite(values).all(axis=1)
    assert features.shape == (120, n_columns if correction == "precomputed" else min(n_columns, 50))
    assert not features[10:20].any()
    assert np.isclose(features[there].var(axis=0).mean(), 1, rtol=1e-4)
    loaded = FeaturePipeline.from_state(modality.get_state())
    np.testing.assert_array_equal(loaded.transform(values[:30], slices[:30]).corrected, features[:30])
    if correction in ("none", "precomputed"):
        back = loaded.inverse_transform(features[there])
        np.testing.assert_allclose(back, values[there], rtol=1e-3, atol=1e-3 * np.abs(values[there]).max(axis=0).mean())


def test_columns_are_scaled_unless_they_are_precomputed():
    values = np.random.default_rng(0).normal(size=(200, 2)) * [1, 100]
    slices = np.repeat("a", 200)
    ratio = {
        name: np.ptp(np.log(pipeline(name).fit_transform(values, slices).corrected.std(0)))
        for name in ("none", "precomputed")
    }
    assert ratio["none"] < 0.01 < 4 < ratio["precomputed"]


def test_a_slice_of_three_among_many_is_centred_by_all_of_its_spots():
    rng = np.random.default_rng(0)
    slices = np.repeat(["large", "small"], [25_000, 3])
    values = rng.normal(size=(len(slices), 2)) + 5.0 * (slices == "small")[:, None]
    corrected = pipeline("centre", standardize=False).fit_transform(values, slices).corrected
    means = [corrected[slices == name].mean(axis=0) for name in ("large", "small")]
    # A sample of 20,000 spots would have two of the three, and their mean is .5 away.
    np.testing.assert_allclose(*means, atol=1e-4)


@pytest.mark.parametrize("correction", ["none", "harmony"])
def test_expression_becomes_features_with_and_without_correction_and_goes_back(correction):
    counts = simulate()
    slices = np.repeat(["a", "b"], len(counts.toarray()) // 2)
    expression = Expression(counts, names(counts))
    fitted = FeaturePipeline(correction_named(correction), preprocessor=Preprocessor(n_components=5))
    features = fitted.fit_transform(expression, slices)
    expected = fitted.preprocessor.transform(counts)
    np.testing.assert_array_equal(features.uncorrected, expected)
    assert features.is_corrected == (correction == "harmony")
    assert (features.corrected is features.uncorrected) == (correction == "none")
    assert features.present.all()
    loaded = FeaturePipeline.from_state(fitted.get_state())
    np.testing.assert_array_equal(loaded.transform(expression, slices).corrected, features.corrected)
    back = loaded.inverse_transform(features.corrected, slice_shift=features.uncorrected - features.corrected)
    np.testing.assert_allclose(back, fitted.preprocessor.inverse_transform(expected), atol=1e-5)


def test_fitting_transforms_nothing_where_nothing_is_learnt_from_features(monkeypatch):
    counts = simulate()
    slices = np.repeat("a", counts.shape[0])
    calls = []
    monkeypatch.setattr(Preprocessor, "transform", lambda *args, **kwargs: calls.append(1))
    FeaturePipeline(correction_named("none"), preprocessor=Preprocessor(n_components=5)).fit(
        Expression(counts, names(counts)), slices
    )
    assert not calls


def test_genes_that_were_not_measured_are_expected_from_the_others():
    counts = simulate()
    slices = np.repeat("a", counts.shape[0])
    fitted = FeaturePipeline(correction_named("none"), preprocessor=Preprocessor(n_components=5))
    fitted.fit(Expression(counts, names(counts)), slices)
    measured = np.arange(counts.shape[1]) % 4 > 0
    fewer = sparse.csr_matrix(counts.multiply(measured))
    features = fitted.transform(Expression(fewer, names(counts), measured=measured), slices)
    expected = fitted.preprocessor.restrict(measured).transform(fewer)
    np.testing.assert_array_equal(features.corrected, expected)
