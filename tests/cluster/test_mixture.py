"""The mixture with one covariance: kept for new spots, and built from memberships."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from spotscape.cluster import SharedCovarianceMixture, fit_shared_mixture
from spotscape.cluster._mixture import RIDGE, fit_mixture


def test_a_kept_mixture_gives_the_clusters_again():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 300)
    values = 6 * np.eye(3, 5)[kinds] + rng.normal(size=(300, 5))
    mixture = fit_shared_mixture(values, 3)
    found = SharedCovarianceMixture.from_state(mixture.get_state()).predict(values)
    assert len({(a, b) for a, b in zip(found, kinds, strict=True)}) == 3
    order = rng.permutation(300)
    np.testing.assert_array_equal(fit_shared_mixture(values[order], 3).predict(values), found)


@pytest.mark.parametrize("share", [RIDGE, 1e-6])
@pytest.mark.parametrize(("n_domains", "seed"), [(2, 0), (5, 1), (9, 2)])
def test_the_fit_is_that_of_scikit_learn(n_domains, seed, share):
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, n_domains, 400)
    values = rng.normal(size=(n_domains, 6))[kinds] + rng.normal(size=(400, 6)) * rng.uniform(0.2, 1, 6)
    scores = values - values.mean(axis=0)
    labels = KMeans(n_domains, n_init=1, random_state=0).fit_predict(scores)
    found = fit_mixture(scores, labels, n_domains, ridge=share)
    members = np.eye(n_domains)[labels]
    means = members.T @ scores / members.sum(axis=0)[:, None]
    covariance = np.cov((scores - means[labels]).T, bias=True)
    ridge = share * np.trace(covariance) / 6
    slow = GaussianMixture(
        n_domains,
        covariance_type="tied",
        reg_covar=ridge,
        max_iter=500,
        weights_init=members.mean(axis=0),
        means_init=means,
        precisions_init=np.linalg.inv(covariance + ridge * np.eye(6)),
    ).fit(scores)
    np.testing.assert_allclose(found.posteriors, slow.predict_proba(scores), atol=1e-9)
    assert found.log_likelihood == pytest.approx(slow.lower_bound_, abs=1e-9)
    np.testing.assert_allclose(found.predict_proba(scores[:7]), found.posteriors[:7], atol=1e-12)


def test_a_cluster_without_spots_stays_empty():
    scores = np.random.default_rng(0).normal(size=(50, 3))
    found = fit_mixture(scores, np.repeat([0, 2], 25), 3)
    assert np.isfinite(found.posteriors).all() and np.isfinite(found.log_likelihood)
    assert (found.posteriors[:, 1] < 1e-9).all()
