"""Some of many spots are spread over all of them."""

import numpy as np
import pytest

from spotscape.preprocessing._subsample import evenly_spaced_rows


@pytest.mark.parametrize(("n_spots", "n_most"), [(0, 5), (1, 5), (5, 5), (6, 5), (1_000_003, 20_000), (20_001, 20_000)])
def test_rows_are_distinct_and_reach_from_end_to_end(n_spots, n_most):
    rows = evenly_spaced_rows(n_spots, n_most)
    assert len(rows) == min(n_spots, n_most) and (np.diff(rows) > 0).all()
    if n_spots > 1:
        assert rows[0] == 0 and rows[-1] == n_spots - 1
        # No gap is more than one spot wider than the mean one.
        assert np.diff(rows).max() <= np.ceil((n_spots - 1) / (len(rows) - 1))
