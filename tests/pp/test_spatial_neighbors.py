"""Spatial neighbours of an AnnData."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import spotscape.pp as pp
from spotscape._uns import without_none
from spotscape.graph._build import build_spatial_graph


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.poisson(1.0, (90, 4)).astype(np.float32))
    adata.obsm["spatial"] = rng.uniform(0, 100, (90, 2))
    adata.obs["slice"] = pd.Categorical(rng.choice(["left", "right"], 90))
    adata.obs["kind"] = pd.Categorical(rng.choice(["neuron", "glia", "vessel"], 90))
    return adata


@pytest.mark.parametrize("settings", [{}, {"n_neighbors": 7}, {"method": "radius"}, {"method": "delaunay"}], ids=str)
def test_stores_the_graph_of_the_builder(adata, settings):
    assert pp.spatial_neighbors(adata, slice_key="slice", **settings) is None
    graph = build_spatial_graph(adata.obsm["spatial"], adata.obs["slice"], **settings)
    np.testing.assert_array_equal(adata.obsp["spatial_connectivities"].toarray(), graph.connectivities.toarray())
    np.testing.assert_array_equal(adata.obsp["spatial_distances"].toarray(), graph.distances.toarray())
    entry = adata.uns["spatial_neighbors"]
    assert entry["connectivities_key"] == "spatial_connectivities" and entry["distances_key"] == "spatial_distances"
    assert entry["params"] == without_none(graph.params) | {"slice_key": "slice", "spatial_key": "spatial"}


def test_keys_and_copy(adata):
    adata.obsm["aligned"] = pd.DataFrame(adata.obsm["spatial"] @ [[2, 1], [0, 1]], index=adata.obs_names)
    copied = pp.spatial_neighbors(adata, spatial_key="aligned", key_added="own", copy=True)
    assert not adata.obsp and not adata.uns
    assert set(copied.obsp) == {"own_connectivities", "own_distances"}
    expected = build_spatial_graph(adata.obsm["aligned"]).connectivities
    assert (copied.obsp["own_connectivities"] != expected).nnz == 0
    slices = copied.obs["slice"].to_numpy()
    rows, cols = copied.obsp["own_connectivities"].nonzero()
    assert (slices[rows] != slices[cols]).any(), "without slice_key all spots are of one slice"


def test_bad_input_changes_nothing(adata):
    adata.obs["hole"] = adata.obs["slice"].where(np.arange(90) != 4)
    adata.obsm["broken"] = np.where(np.arange(180).reshape(90, 2) == 40, np.nan, adata.obsm["spatial"])
    for settings, error, message in [
        ({"spatial_key": "xy"}, KeyError, "`spatial_key` is 'xy', which is not in `adata.obsm`.*'spatial'"),
        ({"slice_key": "batch"}, KeyError, "`slice_key` is 'batch', which is not in `adata.obs`.*'slice'"),
        ({"slice_key": "hole"}, ValueError, r"slice of 1 spots is missing \(the first is spot '4'\)"),
        ({"spatial_key": "broken"}, ValueError, r"coordinates of 1 spots are NaN .* spot '20'"),
        ({"method": "precomputed"}, ValueError, "`method` is 'precomputed'; choose one of"),
        ({"n_neighbors": 90}, ValueError, "only 90 spots"),
    ]:
        with pytest.raises(error, match=message):
            pp.spatial_neighbors(adata, **settings)
    assert not adata.obsp and not adata.uns


def test_squidpy_takes_the_graph(adata, tmp_path):
    squidpy = pytest.importorskip("squidpy")
    pp.spatial_neighbors(adata, slice_key="slice")
    adata.write_h5ad(tmp_path / "spots.h5ad")
    adata = ad.read_h5ad(tmp_path / "spots.h5ad")
    squidpy.gr.nhood_enrichment(adata, cluster_key="kind", n_perms=10, seed=0, show_progress_bar=False)
    kinds = pd.get_dummies(adata.obs["kind"]).to_numpy(dtype=float)
    expected = kinds.T @ adata.obsp["spatial_connectivities"].toarray() @ kinds
    np.testing.assert_array_equal(adata.uns["kind_nhood_enrichment"]["count"], expected)
    squidpy.gr.spatial_autocorr(adata, mode="moran", show_progress_bar=False)
    assert np.isfinite(adata.uns["moranI"]["I"]).all()
