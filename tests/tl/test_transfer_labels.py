"""Label transfer by neighbours or by a coupling, compared with a slow vote in loops."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from spotscape import tl


def section(n_spots=60, seed=0, labelled=True):
    """Three groups of directions, of any length."""
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=n_spots)
    latent = (np.eye(3)[group] + 0.2 * rng.normal(size=(n_spots, 3))) * rng.uniform(0.2, 5, (n_spots, 1))
    obs = pd.DataFrame({"truth": np.array(["x", "y", "z"])[group]}, index=np.arange(n_spots).astype(str))
    obs["domain"] = pd.Categorical(obs["truth"] if labelled else [None] * n_spots, ["z", "y", "x", "unused"])
    return AnnData(obs=obs, obsm={"X_spotscape": latent})


def two_slices():
    adata = section(90)
    adata.obs["slice"] = np.repeat(["a", "b", "c"], 30)
    return adata


def slow_vote(latent, labels, spot, n_neighbors):
    cosine = latent @ spot / np.linalg.norm(latent, axis=1) / np.linalg.norm(spot)
    votes = pd.Series(labels)[np.argsort(-cosine)[:n_neighbors]].value_counts()
    return votes.index[votes == votes.max()], votes.max() / n_neighbors


@pytest.mark.parametrize("n_neighbors", [1, 7, 15])
def test_votes_of_nearest_directions(n_neighbors):
    reference, query = section(seed=0), section(40, seed=1, labelled=False)
    tl.transfer_labels(query, "domain", reference, n_neighbors=n_neighbors)
    labels = reference.obs["domain"].to_numpy(str)
    for i in range(40):
        best, share = slow_vote(reference.obsm["X_spotscape"], labels, query.obsm["X_spotscape"][i], n_neighbors)
        assert query.obs["domain_transferred"].iloc[i] in best
        confidence = query.obs["domain_transferred_confidence"].iloc[i]
        assert confidence == pytest.approx(0.87 * share + 0.13 / 3)
    assert list(query.obs["domain_transferred"].cat.categories) == ["z", "y", "x", "unused"]
    assert (query.obs["domain_transferred"] == query.obs["truth"]).mean() > 0.9
    assert query.uns["domain_transferred"]["params"] == {
        "labels_key": "domain",
        "use_rep": "X_spotscape",
        "n_neighbors": n_neighbors,
    }


def test_the_length_of_a_representation_has_no_effect():
    reference, query = section(seed=0), section(40, seed=1)
    tl.transfer_labels(query, "domain", reference, key_added="first")
    query.obsm["X_spotscape"] *= np.random.default_rng(0).uniform(0.1, 10, (40, 1))
    tl.transfer_labels(query, "domain", reference, key_added="second")
    assert (query.obs["first"] == query.obs["second"]).all()


def test_slices_of_one_data_set():
    adata = two_slices()
    adata.obs.loc[adata.obs["slice"] == "c", "domain"] = None
    found = tl.transfer_labels(adata, "domain", copy=True)
    assert "domain_transferred" not in adata.obs
    given = found.obs["slice"] != "c"
    assert (found.obs["domain_transferred"] == found.obs["domain"])[given].all()
    assert found.obs["domain_transferred_confidence"].notna().equals(~given)
    assert found.uns["domain_transferred"]["n_reference"] == 60 and found.uns["domain_transferred"]["n_labelled"] == 30

    # By name: labels come from the annotated slice named only, and go to the query slice only.
    tl.transfer_labels(adata, "domain", "a", "b")
    new = adata.obs["domain_transferred"]
    assert new[adata.obs["slice"] == "c"].isna().all()
    one = AnnData(obs=adata.obs[["slice"]][30:60], obsm={"X_spotscape": adata.obsm["X_spotscape"][30:60]})
    tl.transfer_labels(one, "domain", adata[:30].copy())
    np.testing.assert_array_equal(new[30:60].to_numpy(str), one.obs["domain_transferred"].to_numpy(str))

    # The query can be an annotated slice, labelled from all others.
    tl.transfer_labels(adata, "domain", query=["b"], key_added="blind")
    assert (adata.obs["blind"] == adata.obs["truth"])[30:60].mean() > 0.9
    np.testing.assert_array_equal(
        adata.obs["blind"][30:60].to_numpy(str), adata.obs["domain_transferred"][30:60].to_numpy(str)
    )


def test_votes_of_coupled_spots():
    adata = two_slices()
    weights = sparse.random(90, 90, density=0.2, random_state=3, format="lil")
    weights[40] = 0
    adata.obsp["alignment"] = sparse.csr_matrix(weights)
    adata.obs.loc[adata.obs_names[:5], "domain"] = None
    tl.transfer_labels(adata, "domain", "a", "b", coupling="alignment")
    categories = adata.obs["domain"].cat.categories
    for i in range(30, 60):
        row = weights[i].toarray().ravel()[:30]
        votes = np.array([row[(adata.obs["domain"] == name)[:30]].sum() for name in categories])
        found = adata.obs["domain_transferred"].iloc[i]
        if votes.sum() == 0:
            assert pd.isna(found) and np.isnan(adata.obs["domain_transferred_confidence"].iloc[i])
            continue
        assert found == categories[votes.argmax()]
        confidence = adata.obs["domain_transferred_confidence"].iloc[i]
        assert confidence == pytest.approx(0.87 * votes.max() / votes.sum() + 0.13 / 3)
    assert pd.isna(adata.obs["domain_transferred"].iloc[40])
    assert adata.uns["domain_transferred"]["n_without"] >= 1


def test_spots_without_evidence_stay_missing():
    reference, query = section(), section(10, seed=1)
    query.obsm["X_spotscape"][4] = 0
    tl.transfer_labels(query, "domain", reference)
    assert pd.isna(query.obs["domain_transferred"].iloc[4])
    assert query.obs["domain_transferred"].notna().sum() == 9
    query.obsm["X_spotscape"][:] = 0
    with pytest.raises(ValueError, match="`X_spotscape` is the same for all 10 spots"):
        tl.transfer_labels(query, "domain", reference)


def test_permuted_spots_get_the_same_labels():
    reference, query = section(), section(40, seed=1)
    tl.transfer_labels(query, "domain", reference)
    order = np.random.default_rng(0).permutation(40)
    permuted = query[order].copy()
    tl.transfer_labels(permuted, "domain", reference[::-1].copy())
    for key in ("domain_transferred", "domain_transferred_confidence"):
        assert list(permuted.obs[key]) == list(query.obs[key].iloc[order])


def test_colours_and_order_of_the_labels_are_kept():
    adata = two_slices()
    adata.obs["domain"] = adata.obs["domain"].cat.as_ordered()
    adata.uns["domain_colors"] = ["red", "green", "blue", "grey"]
    tl.transfer_labels(adata, "domain", "a")
    assert adata.obs["domain_transferred"].cat.ordered
    assert adata.uns["domain_transferred_colors"] == ["red", "green", "blue", "grey"]


def test_few_annotated_spots_all_vote():
    reference, query = section(4), section(10, seed=1)
    tl.transfer_labels(query, "domain", reference, n_neighbors=50)
    most = reference.obs["truth"].value_counts()
    assert query.obs["domain_transferred"].isin(most.index[most == most.max()]).all()
