"""Domains by Gaussian mixtures: the fit, partitions that tie, confidences and nested levels."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from spotscape import tl
from spotscape.cluster import _mixture, _partitions
from spotscape.metrics import adjusted_rand_index
from spotscape.tl._domains import _PARTITIONS


def test_the_plain_mixture_sees_all_dimensions():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 150)
    latent = rng.normal(size=(300, 16)) * np.linspace(10, 1, 16)
    # The domains differ in a direction of low variance alone, which the leading components lack.
    latent[:, 15] = 6 * truth + 0.3 * rng.normal(size=300)
    latent[:, 0] += 20 * truth
    latent[:, 0] -= 20 * (rng.random(300) < 0.3)
    data = anndata.AnnData(obsm={"X_spotscape": latent})
    for method in ("mixture", "eee"):
        tl.domains(data, n_domains=2, method=method, key_added=method)
    assert adjusted_rand_index(truth, data.obs["eee"]) > adjusted_rand_index(truth, data.obs["mixture"])
    assert data.uns["eee"]["method"] == "eee" and "classifier" in data.uns["eee"]


def shrunk_mixture(scores, codes, n_domains, ridge_share):
    """Expectation maximisation in its plain form, with the ridge of the first partition."""
    posteriors = np.eye(n_domains)[codes]
    ridge = None
    for _ in range(500):
        sizes = posteriors.sum(axis=0)
        means = posteriors.T @ scores / sizes[:, None]
        covariance = np.zeros((scores.shape[1], scores.shape[1]))
        for k in range(n_domains):
            residuals = scores - means[k]
            covariance += (posteriors[:, [k]] * residuals).T @ residuals / len(scores)
        ridge = ridge_share * np.diag(covariance).mean() if ridge is None else ridge
        covariance += ridge * np.eye(scores.shape[1])
        density = [
            size / len(scores) * multivariate_normal(mean, covariance).pdf(scores)
            for size, mean in zip(sizes, means, strict=True)
        ]
        posteriors = np.transpose(density) / np.sum(density, axis=0)[:, None]
    return posteriors


def test_mixture_is_shrunk_and_starts_from_kmeans():
    rng = np.random.default_rng(0)
    # Elongated domains side by side, which a shared covariance separates and k-means does not.
    latent = rng.normal(size=(600, 12)) * np.r_[1.2, 0.4 * np.ones(11)]
    truth = rng.integers(3, size=600)
    latent[:, 1] += 2 * truth
    adata = anndata.AnnData(obsm={"X_spotscape": latent})
    tl.domains(adata, n_domains=3)
    tl.domains(adata, n_domains=3, method="kmeans", key_added="kmeans")
    assert adjusted_rand_index(truth, adata.obs["spatial_domain"]) > 0.95
    assert adjusted_rand_index(truth, adata.obs["kmeans"]) < 0.7
    scores = PCA(12, svd_solver="full").fit_transform(latent)
    slow = shrunk_mixture(scores, adata.obs["kmeans"].cat.codes.to_numpy(), 3, _mixture.RIDGE)
    assert adjusted_rand_index(slow.argmax(axis=1), adata.obs["spatial_domain"]) > 0.98
    fast = _partitions.mixture_partition(latent, 3, 100, 0).affinities
    np.testing.assert_allclose(np.sort(fast.max(axis=1)), np.sort(slow.max(axis=1)), atol=0.02)


def square(noise=0.01):
    """Four groups at the corners of a square, which two domains may split in two ways."""
    corners = np.repeat([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], 50, axis=0)
    return anndata.AnnData(obsm={"Z": corners + noise * np.random.default_rng(0).normal(size=(200, 2))})


def test_partitions_that_tie_are_kept_and_said():
    data = square()
    with pytest.warns(UserWarning, match="1 other partition.* index down to -?0.0"):
        tl.domains(data, "Z", 2)
    found = data.uns["spatial_domain"]["alternatives"]
    assert found["domains"].shape == (200, 2)
    np.testing.assert_array_equal(found["domains"][:, 0], data.obs["spatial_domain"].astype(int))
    halves = {tuple(np.bincount(codes[::50] - 1, minlength=2)) for codes in found["domains"].T}
    assert halves == {(2, 2)} and abs(found["agreement"][0, 1]) < 0.02
    assert found["excess"].min() == 0 and found["excess"].max() < 0.003
    assert found["log_likelihood"][0] == found["log_likelihood"].max()
    # Half of the partitions put a spot of two of the corners into the other domain.
    confidence = data.obs["spatial_domain_confidence"].to_numpy().reshape(4, 50).mean(axis=1)
    np.testing.assert_allclose(np.sort(confidence), [0.5, 0.5, 0.9, 0.9], atol=0.02)


def test_clear_domains_have_no_alternative(adata):
    tl.domains(adata, n_domains=4)
    found = adata.uns["spatial_domain"]["alternatives"]
    assert found["domains"].shape == (300, 1) and found["agreement"].tolist() == [[1.0]]


def test_the_confidence_of_one_partition_is_its_tempered_posterior(adata):
    tl.domains(adata, n_domains=4)
    posteriors = _partitions.mixture_partition(adata.obsm["X_spotscape"], 4, 100, 0).affinities
    powers = np.array([[p ** (1 / 6) for p in row] for row in posteriors])
    expected = [row.max() / row.sum() for row in powers]
    np.testing.assert_allclose(np.sort(adata.obs["spatial_domain_confidence"]), np.sort(expected), atol=1e-6)


def test_levels_are_nested(adata):
    tl.domains(adata, n_domains=[2, 4, 3])
    obs = adata.obs
    assert adata.uns["spatial_domain"]["levels"].tolist() == [2, 3, 4]
    assert (obs["spatial_domain"] == obs["spatial_domain_4"]).all()
    for fine, coarse in ((4, 3), (3, 2), (4, 2)):
        table = pd.crosstab(obs[f"spatial_domain_{fine}"], obs[f"spatial_domain_{coarse}"])
        assert ((table > 0).sum(axis=1) == 1).all() and table.shape == (fine, coarse)
        assert (obs[f"spatial_domain_{coarse}_confidence"] >= obs[f"spatial_domain_{fine}_confidence"] - 1e-9).all()
    # What describes the levels goes with them.
    tl.domains(adata, n_domains=4)
    assert [name for name in obs if name.startswith("spatial_domain")] == [
        "spatial_domain",
        "spatial_domain_confidence",
    ]


def test_a_level_with_more_domains_than_are_found_is_left_out(adata, monkeypatch):
    def with_an_empty_domain(*arguments):
        found = _partitions.mixture_partition(*arguments)
        merged = found.affinities.copy()
        merged[:, 0] += merged[:, 1]
        merged[:, 1] = 0
        return found._replace(affinities=merged, confidences=merged, alternatives=None)

    monkeypatch.setitem(_PARTITIONS, "mixture", with_an_empty_domain)
    with pytest.warns(UserWarning, match="Only 3 of 4 domains have spots"):
        tl.domains(adata, n_domains=[2, 3, 4])
    assert adata.uns["spatial_domain"]["levels"].tolist() == [2, 3]
    assert "spatial_domain_4" not in adata.obs
    assert (adata.obs["spatial_domain_3"] == adata.obs["spatial_domain"]).all()


@pytest.mark.parametrize(
    ("n_domains", "method", "error", "message"),
    [
        ([2, 3], "kmeans", ValueError, "takes one number"),
        ([], "mixture", ValueError, "is empty"),
        ([2, 2.5], "mixture", TypeError, "n_domains"),
        ("seven", "mixture", TypeError, "n_domains"),
        ([1, 3], "mixture", ValueError, "n_domains"),
        ([2, 400], "mixture", ValueError, "only 300 spots"),
    ],
)
def test_wrong_levels_are_refused(adata, n_domains, method, error, message):
    with pytest.raises(error, match=message):
        tl.domains(adata, n_domains=n_domains, method=method)
    assert "spatial_domain" not in adata.obs


def test_the_seed_of_the_restarts_does_not_matter():
    rng = np.random.default_rng(0)
    # A continuum without clear domains, such as layers with gradual boundaries.
    depth = rng.uniform(size=(800, 1))
    latent = np.hstack([np.sin(3 * depth), depth, np.cos(5 * depth)]) + 0.05 * rng.normal(size=(800, 3))
    data = anndata.AnnData(obsm={"Z": latent})
    for seed in range(3):
        tl.domains(data, "Z", 5, seed=seed, key_added=f"seed{seed}")
    assert adjusted_rand_index(data.obs["seed0"], data.obs["seed1"]) > 0.99
    assert adjusted_rand_index(data.obs["seed0"], data.obs["seed2"]) > 0.99
