"""Expected counts from predicted log expression, against a general optimiser and by what they promise."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp

from spotscape.preprocessing import apply_count_calibration, fit_count_calibration


def problem(seed=0, n_spots=300, n_genes=5):
    rng = np.random.default_rng(seed)
    predicted = rng.gamma(2.0, 0.2, (n_spots, n_genes)).astype(np.float32)
    exposure = rng.uniform(0.5, 2, n_spots)
    rate = np.exp(np.linspace(-4, 1, n_genes) + np.array([3, 0.5, 2, 0, 1]) * predicted)
    return predicted, rng.poisson(exposure[:, None] * rate).astype(np.float64), exposure


def slow_fit(y, x, exposure):
    """Smallest penalised negative log likelihood of one gene."""
    centre, deviation = y.mean(), y.std()

    def loss(parameters):
        log_rate = parameters[0] + parameters[1] * (y - centre) / deviation
        return (exposure * np.exp(log_rate) - x * log_rate).sum() + 15 * parameters[1] ** 2

    start = [np.log(x.sum() / exposure.sum()), 0.1]
    found = minimize(loss, start, bounds=[(None, None), (0, None)], method="L-BFGS-B", tol=1e-14).x
    return found[0] - found[1] * centre / deviation, found[1] / deviation


def test_calibration_is_the_penalised_poisson_regression():
    predicted, counts, exposure = problem()
    intercept, slope, highest = fit_count_calibration(predicted, counts, exposure)
    slow = np.array([slow_fit(y, x, exposure) for y, x in zip(predicted.T.astype(float), counts.T, strict=True)])
    np.testing.assert_allclose(intercept, slow[:, 0], atol=2e-3)
    np.testing.assert_allclose(slope, slow[:, 1], atol=5e-3)
    np.testing.assert_array_equal(highest, predicted.max(axis=0))


def test_totals_are_right_and_slopes_not_negative():
    predicted, counts, exposure = problem(1)
    counts[:, 2] = np.random.default_rng(0).poisson(exposure * np.exp(2 - 2 * predicted[:, 2]))
    calibration = fit_count_calibration(predicted, counts, exposure)
    expected = exposure[:, None] * apply_count_calibration(predicted.copy(), calibration)
    np.testing.assert_allclose(expected.sum(axis=0), counts.sum(axis=0), rtol=1e-4)
    assert calibration[1, 2] == 0 and (calibration[1] >= 0).all()


@pytest.mark.parametrize("n_molecules", [0, 3])
def test_a_gene_that_is_hardly_seen_is_the_same_everywhere(n_molecules):
    predicted, counts, exposure = problem(2)
    counts[:, 0] = 0
    counts[predicted[:, 0].argsort()[-n_molecules:] if n_molecules else [], 0] = 1
    expected = apply_count_calibration(predicted.copy(), fit_count_calibration(predicted, counts, exposure))[:, 0]
    assert np.isfinite(expected).all() and (expected.max() == 0 if n_molecules == 0 else True)
    assert expected.std() <= 0.5 * expected.mean()


def test_a_constant_prediction_gives_the_mean():
    _, counts, exposure = problem(3)
    constant = np.full(counts.shape, 0.7, dtype=np.float32)
    expected = apply_count_calibration(constant.copy(), fit_count_calibration(constant, counts, exposure))
    np.testing.assert_allclose(expected, np.broadcast_to(counts.sum(0) / exposure.sum(), counts.shape), rtol=1e-5)


def test_nothing_is_extrapolated():
    predicted, counts, exposure = problem(4)
    calibration = fit_count_calibration(predicted, counts, exposure)
    far = apply_count_calibration(np.full((1, 5), 50, dtype=np.float32), calibration)
    highest = apply_count_calibration(predicted.max(axis=0, keepdims=True).copy(), calibration)
    np.testing.assert_array_equal(far, highest)


def slow_slope(y, x, exposure):
    """Slope with the highest penalised likelihood, the intercept being the best for each, by a bounded search."""
    standard = (y - y.mean()) / y.std()

    def loss(slope):
        return x.sum() * logsumexp(slope * standard, b=exposure) - slope * (x @ standard) + 15 * slope**2

    # The search is in logarithms, because slopes differ by orders of magnitude.
    found = minimize_scalar(
        lambda power: loss(np.exp(power)), bounds=(-12, 6), method="bounded", options={"xatol": 1e-9}
    )
    slope = np.exp(found.x) if found.fun < loss(0.0) else 0.0
    return slope / y.std()


@pytest.mark.parametrize("share", [0.002, 0.01, 0.05])
@pytest.mark.parametrize("fold", [3, 30, 300])
@pytest.mark.parametrize("level", [0.05, 1.0, 20.0])
def test_genes_that_few_spots_express_strongly(share, fold, level):
    rng = np.random.default_rng(0)
    is_high = rng.permutation(4000) < share * 4000
    exposure = rng.uniform(0.5, 2, 4000)
    counts = rng.poisson(exposure * level * np.where(is_high, fold, 1.0))[:, None].astype(np.float64)
    predicted = (np.log1p(level * np.where(is_high, fold, 1.0)) + rng.normal(0, 0.05, 4000)).astype(np.float32)[:, None]
    calibration = fit_count_calibration(predicted, counts, exposure)
    slope = slow_slope(predicted[:, 0].astype(np.float64), counts[:, 0], exposure)
    assert calibration[1, 0] == pytest.approx(slope, rel=0.01, abs=5e-3)
    expected = exposure * apply_count_calibration(predicted.copy(), calibration)[:, 0]
    # The best intercept makes the total right.
    assert expected.sum() == pytest.approx(counts.sum(), rel=1e-3)
    if share * 4000 * level * fold > 2000:
        # With thousands of molecules, the penalty hardly matters.
        for spots in (is_high, ~is_high):
            assert expected[spots].sum() == pytest.approx(counts[spots, 0].sum(), rel=0.15)


def test_genes_of_all_kinds_at_once():
    rng = np.random.default_rng(1)
    n_spots = 2000
    predicted = rng.gamma(2.0, 0.3, (n_spots, 6)).astype(np.float32)
    predicted[:, 1] = 0.3
    predicted[:, 4] = np.where(np.arange(n_spots) < 20, 4, 0.1) + rng.normal(0, 0.01, n_spots)
    exposure = rng.uniform(0.5, 2, n_spots)
    counts = rng.poisson(exposure[:, None] * np.exp(predicted)).astype(np.float64)
    counts[:, 2] = 0
    counts[:, 3] = 0
    counts[7, 3] = 1
    counts[:, 5] = rng.poisson(200 * np.exp(3 * predicted[:, 5]))
    together = fit_count_calibration(predicted, counts, exposure)
    alone = [fit_count_calibration(predicted[:, [g]], counts[:, [g]], exposure) for g in range(6)]
    np.testing.assert_allclose(together, np.hstack(alone), rtol=1e-4, atol=1e-5)
    assert together[0, 2] == -np.inf and (together[1, [1, 2]] == 0).all()
    expected = exposure[:, None] * apply_count_calibration(predicted.copy(), together)
    np.testing.assert_allclose(expected.sum(axis=0), counts.sum(axis=0), rtol=2e-3)
    for gene in (0, 4, 5):
        slope = slow_slope(predicted[:, gene].astype(np.float64), counts[:, gene], exposure)
        assert together[1, gene] == pytest.approx(slope, rel=5e-3)
