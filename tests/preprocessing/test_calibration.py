"""Expected counts from predicted log expression, against a general optimiser and by what they promise."""

import numpy as np
import pytest
from scipy.optimize import minimize

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
