"""The moderated t test against its definition, its null distribution, and the normalisation of samples."""

import numpy as np
import pytest
from scipy import stats

from spotscape.tl.expression._moderated import (
    effective_library_sizes,
    fit_prior,
    is_expressed,
    log_cpm,
    moderated_t_test,
)


def draw(n_samples, n_genes, prior_df, seed=0):
    rng = np.random.default_rng(seed)
    deviations = np.sqrt(0.1 * prior_df / rng.chisquare(prior_df, n_genes))
    return rng.normal(size=(n_samples, n_genes)) * deviations + rng.normal(size=n_genes)


def two_groups(n_samples):
    return np.column_stack([np.ones(n_samples), np.arange(n_samples) % 2])


def test_prior_is_found():
    for truth in (4.0, 12.0):
        values = draw(6, 5000, truth)
        variances = values.reshape(2, 3, -1).var(axis=1, ddof=1).mean(axis=0)
        prior, prior_df = fit_prior(variances, 4, values.mean(axis=0))
        assert prior_df == pytest.approx(truth, rel=0.2)
        assert np.median(prior) == pytest.approx(0.1, rel=0.1)


def test_few_genes_are_not_moderated():
    values = draw(6, 5, 10.0)
    found = moderated_t_test(values, two_groups(6), np.array([0.0, 1.0]))
    expected = stats.ttest_ind(values[1::2], values[::2])
    np.testing.assert_allclose(found.statistic, expected.statistic)
    np.testing.assert_allclose(found.p_value, expected.pvalue)
    assert found.prior_df == 0


def test_paired_design_without_moderation_is_the_paired_t_test():
    values = draw(8, 5, 10.0)
    design = np.column_stack([np.concatenate([np.eye(4), np.eye(4)]), np.repeat([1.0, 0.0], 4)])
    found = moderated_t_test(values, design, np.array([0, 0, 0, 0, 1.0]))
    np.testing.assert_allclose(found.p_value, stats.ttest_rel(values[:4], values[4:]).pvalue)


def test_statistic_is_that_of_its_definition():
    values = draw(6, 200, 6.0)
    found = moderated_t_test(values, two_groups(6), np.array([0.0, 1.0]))
    first, second = values[1::2], values[::2]
    variances = (first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / 2
    prior, prior_df = fit_prior(variances, 4, values.mean(axis=0))
    shrunk = (prior_df * prior + 4 * variances) / (prior_df + 4)
    np.testing.assert_allclose(
        found.statistic, (first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(shrunk * 2 / 3), rtol=1e-6
    )


@pytest.mark.parametrize("n_samples", [4, 6, 8])
def test_p_values_are_uniform_without_a_difference_also_in_the_tail(n_samples):
    design, contrast = two_groups(n_samples), np.array([0.0, 1.0])
    p = np.concatenate(
        [moderated_t_test(draw(n_samples, 300, 8.0, seed), design, contrast).p_value for seed in range(60)]
    )
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.006)
    assert np.mean(p < 0.001) < 0.002


def test_constant_genes_have_no_evidence():
    found = moderated_t_test(np.ones((6, 4)), two_groups(6), np.array([0.0, 1.0]))
    assert (found.p_value == 1).all() and (found.statistic == 0).all()


def test_strong_genes_do_not_shift_the_others():
    rng = np.random.default_rng(0)
    mean = rng.uniform(50, 500, 200)
    counts = rng.poisson(np.tile(mean, (6, 1))).astype(float)
    counts[:3, :20] *= 8
    values = log_cpm(counts, effective_library_sizes(counts))
    others = (values[:3] - values[3:]).mean(axis=0)[20:]
    assert abs(np.median(others)) < 0.02
    by_total = log_cpm(counts, counts.sum(axis=1))
    assert np.median((by_total[:3] - by_total[3:]).mean(axis=0)[20:]) < -0.4
    # Too few genes for ratios: the totals.
    np.testing.assert_array_equal(effective_library_sizes(counts[:, :5]), counts[:, :5].sum(axis=1))


def test_genes_are_kept_by_counts_in_proportion_to_the_sample():
    counts = np.array([[10, 90, 0], [20, 180, 0], [9, 91, 0]])
    assert is_expressed(counts, 10, 2).tolist() == [True, True, False]
    assert is_expressed(counts, 10, 3).tolist() == [False, True, False]
