"""Nested levels of domains."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from spotscape.cluster import merge_domains
from spotscape.metrics import adjusted_rand_index


@pytest.mark.parametrize("seed", range(3))
def test_single_spots_are_merged_as_by_ward(seed):
    values = np.random.default_rng(seed).normal(size=(25, 3))
    found = merge_domains(values, np.arange(25), [2, 5, 12])
    tree = linkage(values, "ward")
    for level, merged in found.items():
        assert merged.max() + 1 == level
        assert adjusted_rand_index(merged, fcluster(tree, level, "maxclust")) == 1.0


def test_sizes_count():
    # The pair of small domains is farther apart, but merging it costs less than merging a pair of large ones.
    values = np.repeat([[0.0], [1.0], [10.0], [12.0]], [50, 50, 2, 2], axis=0)
    codes = np.repeat([0, 1, 2, 3], [50, 50, 2, 2])
    found = merge_domains(values, codes, [3, 1])
    assert found[3].tolist() == [0, 1, 2, 2] and found[1].tolist() == [0, 0, 0, 0]
    direct = {pair: cost(values, codes, *pair) for pair in ((0, 1), (2, 3))}
    assert direct[2, 3] < direct[0, 1]


def cost(values, codes, first, second):
    """Growth of the sum of squares, from its definition."""
    squares = [((part - part.mean(axis=0)) ** 2).sum() for part in (values[codes == first], values[codes == second])]
    both = values[np.isin(codes, [first, second])]
    return ((both - both.mean(axis=0)) ** 2).sum() - sum(squares)
