"""Harmony on any representation."""

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData

from spotscape import tl


@pytest.fixture
def adata():
    """Three groups of spots in two slices, with a shift between the slices."""
    rng = np.random.default_rng(0)
    groups, slices = rng.integers(0, 3, 300), rng.integers(0, 2, 300)
    values = rng.normal(size=(300, 5)) + 8 * np.eye(5)[groups] + 4 * np.eye(5)[3] * slices[:, None]
    data = AnnData(obs=pd.DataFrame({"slice": np.array(["left", "right"])[slices]}, index=np.arange(300).astype(str)))
    data.obsm["X_latent"] = values.astype(np.float32)
    data.obs["group"] = groups
    return data


def gap(adata, key):
    """Largest distance between the means of a group in the two slices."""
    values, right = adata.obsm[key], (adata.obs["slice"] == "right").to_numpy()
    groups = adata.obs["group"].to_numpy()
    return max(
        np.linalg.norm(values[right & (groups == g)].mean(axis=0) - values[~right & (groups == g)].mean(axis=0))
        for g in range(3)
    )


def test_slices_are_mixed_and_groups_stay_separate(adata):
    before = adata.obsm["X_latent"].copy()
    assert tl.harmony(adata, "X_latent") is None
    after = adata.obsm["X_latent_harmony"]
    np.testing.assert_array_equal(adata.obsm["X_latent"], before)
    assert after.shape == before.shape and after.dtype == before.dtype
    assert gap(adata, "X_latent") > 3.5 and gap(adata, "X_latent_harmony") < 1
    means = adata.obs.groupby("group").indices
    centres = np.stack([after[spots].mean(axis=0) for spots in means.values()])
    assert min(np.linalg.norm(centres[i] - centres[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 8
    assert adata.uns["X_latent_harmony"] == {
        "use_rep": "X_latent",
        "slice_key": "slice",
        "theta": 2.0,
        "n_clusters": 10,
        "max_iter": 10,
        "seed": 0,
    }


def test_copy_and_keys(adata):
    adata.obs["donor"] = adata.obs["slice"].astype("category")
    other = tl.harmony(adata, "X_latent", "donor", key_added="corrected", theta=1, n_clusters=4, copy=True)
    assert list(adata.obsm) == ["X_latent"] and "corrected" not in adata.uns
    assert set(other.obsm) == {"X_latent", "corrected"}
    assert other.uns["corrected"]["slice_key"] == "donor" and other.uns["corrected"]["n_clusters"] == 4


def test_results_are_reproducible_and_independent_of_the_order(adata):
    order = np.random.default_rng(1).permutation(adata.n_obs)
    permuted = adata[order].copy()
    first, again = (tl.harmony(adata, "X_latent", seed=3, copy=True).obsm["X_latent_harmony"] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    tl.harmony(permuted, "X_latent", seed=3)
    np.testing.assert_array_equal(permuted.obsm["X_latent_harmony"], first[order])


def test_global_generators_do_not_change(adata):
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    expected = np.random.rand(), float(torch.rand(1))  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    tl.harmony(adata, "X_latent")
    assert (np.random.rand(), float(torch.rand(1))) == expected  # noqa: NPY002
