import numpy as np
import pytest
from scipy import sparse

from spotscape.preprocessing import select_genes
from spotscape.preprocessing._gene_selection import GeneSums, mean_variance_trend, standardized_variances
from spotscape.preprocessing._row_blocks import row_blocks


def simulate(n_spots=300, n_genes=200, n_variable=20, seed=0):
    """Poisson counts in which the last ``n_variable`` genes differ between two halves of the spots."""
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(0, 1, n_genes)) * np.ones((n_spots, 1))
    rate[: n_spots // 2, -n_variable:] *= 6
    return sparse.csr_matrix(rng.poisson(rate).astype(np.float32))


def of_one_slice(counts):
    rows = row_blocks(counts)
    return rows, GeneSums.of(rows, np.zeros(rows.shape[0], dtype=np.int64))


def test_finds_the_genes_that_vary():
    selected = select_genes(simulate(), n_top_genes=20)
    assert np.isin(selected, np.arange(180, 200)).sum() >= 18


def test_result_is_sorted_and_the_same_for_every_format_and_order_of_spots():
    counts = simulate()
    selected = select_genes(counts, n_top_genes=50)
    assert len(selected) == 50
    assert (np.diff(selected) > 0).all()
    order = np.random.default_rng(1).permutation(counts.shape[0])
    for other in (counts.tocsc(), counts.toarray(), counts[order]):
        np.testing.assert_array_equal(select_genes(other, n_top_genes=50), selected)


def test_standardized_variance_equals_the_dense_definition():
    counts = simulate(60, 40)
    counts[3, 5] = 400
    dense = counts.toarray().astype(float)
    mean, variance = dense.mean(0), dense.var(0, ddof=1)
    deviation = np.sqrt(10 ** mean_variance_trend(np.log10(mean), np.log10(variance)))
    clipped = np.minimum(dense, mean + deviation * np.sqrt(60))
    assert (clipped < dense).any()
    expected = (((clipped - mean) / deviation) ** 2).sum(0) / 59
    np.testing.assert_allclose(standardized_variances(*of_one_slice(counts))[0], expected, rtol=1e-6)


def test_moments_equal_the_dense_ones_and_rounding_is_no_variance():
    counts = simulate(50, 30).toarray()
    counts[:, 0] = 7.3
    mean, variance = of_one_slice(counts)[1].moments()
    np.testing.assert_allclose(mean[0], counts.astype(float).mean(0))
    np.testing.assert_allclose(variance[0], counts.astype(float).var(0), atol=1e-9)
    assert variance[0, 0] == 0


def test_trend_follows_a_smooth_curve():
    log_mean = np.random.default_rng(0).uniform(-2, 2, 2000)
    np.testing.assert_allclose(
        mean_variance_trend(log_mean, log_mean + 0.2 * log_mean**2), log_mean + 0.2 * log_mean**2, atol=0.02
    )


@pytest.mark.parametrize(("n_spots", "n_genes"), [(30, 33), (12, 500), (5, 40), (2, 3)])
def test_small_slices_never_fail(n_spots, n_genes):
    counts = simulate(n_spots, n_genes, 2)
    assert len(select_genes(counts, n_top_genes=2)) == 2
    assert len(select_genes(counts, n_top_genes=2, slices=np.arange(n_spots) % 3)) == 2


def test_genes_of_one_mean_have_a_trend():
    log_variance = np.random.default_rng(0).normal(size=50)
    np.testing.assert_allclose(mean_variance_trend(np.zeros(50), log_variance), log_variance.mean(), atol=0.05)


def test_few_genes_are_all_selected_unless_empty():
    counts = simulate(50, 30).toarray()
    counts[:, 4] = 0
    np.testing.assert_array_equal(select_genes(counts, n_top_genes=30), np.delete(np.arange(30), 4))


def test_rare_genes_come_last():
    counts = simulate(300, 200, 20).toarray()
    counts[:, 0] = 0
    counts[:2, 0] = 1000
    assert 0 not in select_genes(counts, n_top_genes=199)
    assert 0 in select_genes(counts, n_top_genes=200)


def test_an_outlier_in_one_slice_does_not_select_a_gene():
    slices = np.repeat(["a", "b", "c"], 100)
    counts = simulate(300, 200, 20).toarray()
    counts[::2, -20:] *= 6
    counts[:100, 0] = np.where(np.arange(100) % 10 == 0, 500, 0)
    assert 0 in select_genes(counts[:100], n_top_genes=20)
    assert 0 not in select_genes(counts, n_top_genes=20, slices=slices)


def test_median_rank_equals_the_slow_definition():
    counts, slices = simulate(120, 80, 10), np.repeat([5, 2, 9], 40)
    ranks = []
    for name in (5, 2, 9):
        (excess,) = standardized_variances(*of_one_slice(counts[slices == name]))
        ranks.append([sum(excess > value) for value in excess])
    median = np.median(ranks, axis=0)
    selected = select_genes(counts, n_top_genes=10, slices=slices)
    assert median[selected].max() <= np.delete(median, selected).min()


def test_wrong_slices_and_empty_expression_are_refused():
    counts = simulate(20, 10, 2)
    with pytest.raises(ValueError, match="for 20 spots"):
        select_genes(counts, n_top_genes=5, slices=np.zeros(19))
    with pytest.raises(ValueError, match="slice of 1 spots is missing"):
        select_genes(counts, n_top_genes=5, slices=np.array([np.nan] + [1.0] * 19))
    with pytest.raises(ValueError, match="None of the 10 genes"):
        select_genes(counts * 0, n_top_genes=5)
    with pytest.raises(ValueError, match="n_top_genes"):
        select_genes(counts, n_top_genes=0)


@pytest.mark.data
def test_cortex_layer_markers_are_selected(section):
    adata = section("dlpfc_151673_hvg")
    selected = adata.var_names[select_genes(adata.X, n_top_genes=2000)]
    assert {"MBP", "PLP1", "GFAP", "HPCAL1", "PCP4"} <= set(selected)
