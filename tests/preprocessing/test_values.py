"""What the values are: recognised, declared, or refused."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from spotscape.preprocessing import recognise_values
from spotscape.preprocessing._values import check_values

from .conftest import fitted, simulate


def test_values_are_recognised():
    counts = simulate()
    scaled = counts.multiply(1e4 / counts.sum(1)).tocsr()
    assert recognise_values(counts) == recognise_values(counts.toarray().astype(int)) == "counts"
    assert recognise_values(scaled) == recognise_values(scaled.toarray()) == "normalized"
    assert recognise_values(scaled / 1e4) == "normalized"
    assert recognise_values(scaled.log1p().tocsc()) == "log-normalized"


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
        (np.full((3, 2), 1.5), "counts", ValueError, "holds 1.5"),
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
