"""The mixture with one covariance: kept for new spots, and built from memberships."""

import numpy as np

from spotscape.cluster import SharedCovarianceMixture, fit_shared_mixture


def test_a_kept_mixture_gives_the_clusters_again():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 300)
    values = 6 * np.eye(3, 5)[kinds] + rng.normal(size=(300, 5))
    mixture = fit_shared_mixture(values, 3)
    found = SharedCovarianceMixture.from_state(mixture.get_state()).predict(values)
    assert len({(a, b) for a, b in zip(found, kinds, strict=True)}) == 3
    order = rng.permutation(300)
    np.testing.assert_array_equal(fit_shared_mixture(values[order], 3).predict(values), found)
