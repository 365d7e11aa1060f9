"""What the values are: recognised, declared, or refused."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from spotscape.preprocessing import _row_blocks as row_blocks
from spotscape.preprocessing import recognise_values
from spotscape.preprocessing._value_summary import summarize_values
from spotscape.preprocessing._values import check_values

from .conftest import fitted, simulate


def test_values_are_recognised():
    counts = simulate()
    scaled = counts.multiply(1e4 / counts.sum(1)).tocsr()
    assert recognise_values(counts) == recognise_values(counts.toarray().astype(int)) == "counts"
    assert recognise_values(scaled) == recognise_values(scaled.toarray()) == "normalized"
    assert recognise_values(scaled / 1e4) == "normalized"
    assert recognise_values(scaled.log1p().tocsc()) == "log-normalized"


def by_spot(matrix, factors):
    return sparse.diags_array(factors) @ matrix


def without_ambient(counts):
    ambient = 0.05 * counts.sum(1)[:, None] * (counts.sum(0) / counts.sum())[None]
    return sparse.csr_matrix(np.maximum(counts.toarray() - ambient, 0))


@pytest.mark.parametrize("seed", range(3))
def test_corrected_counts_are_recognised_by_their_depth(seed):
    rng = np.random.default_rng(seed)
    counts = by_spot(simulate(300, 80, seed), np.ones(300)).tocsr()
    depth = rng.lognormal(0, 0.8, 300)
    counts.data = rng.poisson(counts.data * np.repeat(depth, np.diff(counts.indptr))).astype(float)
    counts.eliminate_zeros()
    counts = counts[counts.sum(1) > 0]
    totals = counts.sum(1)
    for corrected in (0.93 * counts, without_ambient(counts), by_spot(counts, rng.lognormal(0, 0.2, len(totals)))):
        assert recognise_values(corrected) == "counts"
        with pytest.warns(UserWarning, match="used as counts that were corrected"):
            assert check_values(corrected) == "counts"
    scaled = by_spot(counts, 1e3 / totals).tocsr()
    some = np.arange(0, 80, 2)
    assert recognise_values(scaled) == recognise_values(scaled[:, some]) == "normalized"
    logarithms = (scaled, scaled[:, some], counts, 0.37 * counts)
    for log in (*(each.log1p() for each in logarithms), scaled.log1p() / np.log(2)):
        assert recognise_values(log) == "log-normalized"


def test_what_the_warning_offers_is_accepted():
    corrected = 0.09 * simulate(20, 60)
    with pytest.warns(UserWarning) as caught:
        check_values(corrected)
    for values in ("counts", "normalized", "log-normalized"):
        assert f'values="{values}"' in str(caught[0].message)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert check_values(corrected, values) == values


def test_auto_warns_once_about_what_is_not_counts():
    counts = simulate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_values(counts) == "counts"
        assert check_values(counts.log1p(), "log-normalized") == "log-normalized"
    with pytest.warns(UserWarning, match="recognised as log-normalized.*values=") as caught:
        assert check_values(counts.log1p()) == "log-normalized"
    assert len(caught) == 1


@pytest.mark.parametrize("convert", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, np.asarray])
@pytest.mark.parametrize(
    ("value", "message"),
    [(-1, "1 negative value.*row 3, column 5"), (np.nan, "1 missing.*row 3, column 5"), (np.inf, "1 infinite.*row 3")],
)
def test_impossible_values_are_refused_with_their_position(convert, value, message):
    dense = simulate().toarray()
    dense[3, 5] = value
    with pytest.raises(ValueError, match=message):
        check_values(convert(dense))


@pytest.mark.parametrize(
    ("matrix", "values", "error", "message"),
    [
        (np.full((3, 2), 1.5), "counts", ValueError, "holds 1.5.*it is normalized"),
        (np.log1p(simulate().toarray()), "counts", ValueError, "it is log-normalized"),
        (np.full((3, 2), 500.5), "log-normalized", ValueError, "largest value is 500.5"),
        (np.ones((3, 2)), "raw", ValueError, "`values` is 'raw'"),
        (np.ones((3, 0)), "auto", ValueError, "0 genes"),
        (np.ones((0, 3)), "auto", ValueError, "0 spots"),
        (np.ones(3), "auto", ValueError, "1 dimension"),
        (np.zeros((3, 2)), "auto", ValueError, "All 2 genes are zero"),
        (np.array([[1, 1], [0, 0], [0, 0]]), "auto", ValueError, "2 of 3 spots"),
        (np.ones((3, 2), dtype=bool), "auto", TypeError, "bool"),
        (np.full((3, 2), "1"), "auto", TypeError, "<U1"),
        (np.ones((3, 2), dtype=object), "auto", TypeError, "object"),
        (sparse.coo_matrix(np.ones((3, 2))), "auto", TypeError, "tocsr"),
        ([[1, 2]], "auto", TypeError, "list"),
    ],
)
def test_bad_expression_is_refused(matrix, values, error, message):
    with pytest.raises(error, match=message):
        check_values(matrix, values)


def test_empty_spots_are_reported_and_become_zero_rows():
    counts = simulate().toarray()
    counts[[4, 7]] = 0
    counts = sparse.csr_matrix(counts)
    with pytest.warns(UserWarning, match="2 of 120 spots"):
        model = fitted(counts, features="genes")
    log = model.transform(counts)
    assert log[[4, 7]].nnz == 0
    assert np.isfinite(log.data).all()


@pytest.mark.parametrize("n_slices", [1, 3, 70])
def test_genes_are_counted_by_slice(n_slices, monkeypatch):
    monkeypatch.setattr(row_blocks, "_VALUES_IN_BLOCK", 2000)
    counts = simulate(300, 40)
    counts.data[::7] = 0
    for slices in (np.sort(np.arange(300) % n_slices), np.arange(300) % n_slices):
        summary = summarize_values(counts, slices)
        dense = counts.toarray() > 0
        expected = np.stack([dense[slices == code].sum(axis=0) for code in range(n_slices)])
        np.testing.assert_array_equal(summary.detected, expected > 0)
        np.testing.assert_array_equal(summary.spots_with_gene, expected.sum(axis=0))
        np.testing.assert_array_equal(summary.n_detected, dense.sum(axis=1))
        np.testing.assert_allclose(summary.totals, counts.toarray().sum(axis=1))


def test_genes_of_many_spots_are_counted_in_some(monkeypatch):
    monkeypatch.setattr(row_blocks, "_VALUES_IN_BLOCK", 2000)
    monkeypatch.setattr("spotscape.preprocessing._value_summary._N_SPOTS_COUNTED", 100)
    counts, slices = simulate(310, 40), np.arange(310) // 155
    summary = summarize_values(counts, slices)
    dense = counts.toarray()[::3] > 0
    np.testing.assert_array_equal(summary.spots_with_gene, dense.sum(axis=0))
    expected, absent = summary.absent_genes([np.flatnonzero(slices == code) for code in (0, 1)])
    share = dense.sum(axis=0) / np.array([[52, 52]]).sum()
    np.testing.assert_array_equal(expected[0], 52 * share >= 10)
    assert not absent.any()
