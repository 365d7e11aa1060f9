"""Trajectories on curves whose order is known."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse.csgraph import shortest_path

from spotscape import metrics, tl

pytest.importorskip("igraph")


def curve(n_spots=240, seed=0):
    """Spots along a noisy arc in three dimensions, cut into four domains, in random order and in two slices."""
    rng = np.random.default_rng(seed)
    position = rng.permutation(np.linspace(0, 1, n_spots))
    values = np.c_[np.cos(3 * position), np.sin(3 * position), position] + 0.02 * rng.normal(size=(n_spots, 3))
    obs = pd.DataFrame(
        {
            "position": position,
            "layer": pd.Categorical.from_codes(np.minimum((4 * position).astype(int), 3), ["d", "a", "c", "b"]),
            "slice": np.where(rng.uniform(size=n_spots) < 0.5, "first", "second"),
        },
        index=[f"spot{row}" for row in range(n_spots)],
    )
    return anndata.AnnData(obs=obs, obsm={"Z": values})


@pytest.fixture
def adata():
    return curve()


KEYS = {"use_rep": "Z", "domain_key": "layer"}


def test_spots_and_domains_are_in_order(adata):
    tl.trajectory(adata, "d", **KEYS)
    result = adata.uns["pseudotime"]
    assert metrics.trajectory_scores(adata.obs["pseudotime"], adata.obs["position"], signed=True).spearman > 0.9
    assert result["order"].tolist() == ["d", "a", "c", "b"] and result["domains"].tolist() == ["d", "a", "c", "b"]
    # Only consecutive domains touch.
    rows, columns = np.nonzero(np.triu(result["connectivities"]))
    assert list(zip(rows, columns, strict=True)) == [(0, 1), (1, 2), (2, 3)]
    table = result["table"].set_index("domain")
    np.testing.assert_allclose(table.loc["a", "mean"], adata.obs["pseudotime"][adata.obs["layer"] == "a"].mean())
    assert table["n_spots"].sum() == adata.n_obs
    # The pseudotime starts in the middle of the root domain.
    assert adata.obs["pseudotime"].min() == 0 and adata.obs["pseudotime"].max() == 1
    root = result["root_spots"][0]
    assert adata.obs.loc[root, "pseudotime"] == 0 and 0.05 < adata.obs.loc[root, "position"] < 0.2


def test_pseudotime_is_the_distance_of_its_definition(adata):
    tl.trajectory(adata, "spot3", n_neighbors=12, n_components=6, **KEYS)
    import scanpy

    data = anndata.AnnData(adata.obsm["Z"])
    scanpy.pp.neighbors(data, n_neighbors=12, use_rep="X")
    # Transitions of the graph, with the density corrected, and their eigenvectors, all dense.
    weights = data.obsp["connectivities"].toarray().astype(np.float64)
    weights /= np.outer(weights.sum(axis=0), weights.sum(axis=0))
    degree = np.sqrt(weights.sum(axis=1))
    values, vectors = np.linalg.eigh(weights / np.outer(degree, degree))
    values, vectors = values[::-1][1:6], vectors[:, ::-1][:, 1:6]
    distances = np.sqrt(((values / (1 - values) * (vectors - vectors[3])) ** 2).sum(axis=1))
    np.testing.assert_allclose(adata.obs["pseudotime"], distances / distances.max(), atol=0.01)
    assert adata.uns["pseudotime"]["root_spots"].tolist() == ["spot3"]
    # And it goes along the graph.
    steps = shortest_path(data.obsp["connectivities"] > 0, unweighted=True, indices=3)
    assert np.corrcoef(steps, adata.obs["pseudotime"])[0, 1] > 0.9


def test_it_does_not_depend_on_the_order_of_the_spots_nor_on_the_call(adata):
    shuffled = adata[np.random.default_rng(1).permutation(adata.n_obs)].copy()
    again = tl.trajectory(adata, "d", copy=True, **KEYS)
    tl.trajectory(adata, "d", **KEYS)
    tl.trajectory(shuffled, "d", **KEYS)
    assert adata.obs["pseudotime"].equals(again.obs["pseudotime"])
    np.testing.assert_allclose(shuffled.obs["pseudotime"][adata.obs_names], adata.obs["pseudotime"], atol=1e-3)
    assert "pseudotime" not in curve().obs


def test_what_scanpy_stored_is_left_alone(adata):
    stored = ("neighbors", "paga", "iroot", "diffmap_evals", "layer_sizes", "layer_colors")
    for name in stored:
        adata.uns[name] = "mine"
    adata.obsm["X_diffmap"] = np.zeros((adata.n_obs, 2))
    adata.obs["dpt_pseudotime"] = 0.0
    tl.trajectory(adata, "d", key_added="depth", **KEYS)
    assert all(adata.uns[name] == "mine" for name in stored)
    assert set(adata.uns) == {*stored, "depth"} and not adata.obsp
    assert not adata.obsm["X_diffmap"].any() and not adata.obs["dpt_pseudotime"].any()


def test_each_slice_on_its_own(adata, tmp_path):
    tl.trajectory(adata, "d", per_slice=True, **KEYS)
    result = adata.uns["pseudotime"]
    assert result["slices"].tolist() == ["first", "second"] and result["connectivities"].shape == (2, 4, 4)
    assert len(result["table"]) == 8 and result["order"].tolist() == ["d", "a", "c", "b"]
    for number, name in enumerate(result["slices"]):
        alone = adata[adata.obs["slice"] == name].copy()
        tl.trajectory(alone, "d", **KEYS)
        np.testing.assert_allclose(alone.obs["pseudotime"], adata.obs["pseudotime"][alone.obs_names])
        np.testing.assert_allclose(alone.uns["pseudotime"]["connectivities"], result["connectivities"][number])
    adata.write_h5ad(tmp_path / "stored.h5ad")
    stored = anndata.read_h5ad(tmp_path / "stored.h5ad").uns["pseudotime"]
    pd.testing.assert_frame_equal(stored["table"], result["table"], check_dtype=False)


def test_spots_without_a_domain_have_a_pseudotime(adata):
    adata.obs["layer"] = adata.obs["layer"].astype(object)
    adata.obs.loc[adata.obs["position"] > 0.9, "layer"] = None
    adata.obs["layer"] = pd.Categorical(adata.obs["layer"], categories=["e", "a", "b", "c", "d"])
    tl.trajectory(adata, "d", **KEYS)
    assert adata.obs["pseudotime"].notna().all()
    assert adata.uns["pseudotime"]["domains"].tolist() == ["a", "b", "c", "d"]
    assert adata.uns["pseudotime"]["table"]["n_spots"].sum() == (adata.obs["position"] <= 0.9).sum()


def test_an_almost_disconnected_graph_is_reported(adata, monkeypatch):
    monkeypatch.setattr("spotscape.tl._trajectory._SLOW", 0.9)
    with pytest.warns(UserWarning, match="hardly connects its parts"):
        tl.trajectory(adata, "d", **KEYS)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["dlpfc_151673_hvg", "dlpfc_151675_hvg"])
def test_cortical_layers_are_in_order(section, name):
    from spotscape import SPOTSCAPE

    adata = section(name)
    SPOTSCAPE.setup_anndata(adata, size_factor_key="total_umi_full")
    model = SPOTSCAPE(adata)
    model.train(enable_progress_bar=False)
    adata.obsm["X_spotscape"] = model.get_latent_representation()
    tl.domains(adata, n_domains=7)
    white_matter = adata.obs.loc[adata.obs["domain"] == "WM", "spatial_domain"].value_counts().index[0]
    tl.trajectory(adata, white_matter)
    order = ["WM", *(f"Layer{number}" for number in range(6, 0, -1))]
    scores = metrics.trajectory_scores(adata.obs["pseudotime"], adata.obs["domain"], order=order, signed=True)
    assert scores.spearman >= 0.95
