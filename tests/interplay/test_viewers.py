"""Viewers and rapids-singlecell: the names and kinds of what they read, as their documentation says."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import is_color_like, to_hex
from scipy import sparse

import spotscape as sps

# What other packages warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_colours_are_where_spatialdata_plot_and_napari_spatialdata_look(adata):
    sps.pl.spatial(adata)
    domains, colors = adata.obs["spatial_domain"], adata.uns["spatial_domain_colors"]
    # Both take the colours only of a categorical column, one for each category in their order.
    assert isinstance(domains.dtype, pd.CategoricalDtype)
    assert all(isinstance(name, str) for name in domains.cat.categories)
    assert len(colors) == len(domains.cat.categories)
    assert all(isinstance(color, str) and is_color_like(color) and color.startswith("#") for color in colors)


def test_spatialdata_takes_the_results_as_a_table(adata, tmp_path):
    spatialdata = pytest.importorskip("spatialdata")
    from spatialdata.models import ShapesModel, TableModel

    sps.pl.spatial(adata)
    adata.obs["region"], adata.obs["instance"] = pd.Categorical(["spots"] * adata.n_obs), np.arange(adata.n_obs)
    shapes = ShapesModel.parse(adata.obsm["spatial"], geometry=0, radius=1.0, index=pd.Index(range(adata.n_obs)))
    table = TableModel.parse(adata, region="spots", region_key="region", instance_key="instance")
    spatialdata.SpatialData(shapes={"spots": shapes}, tables={"table": table}).write(tmp_path / "s.zarr")
    stored = spatialdata.read_zarr(tmp_path / "s.zarr").tables["table"]
    assert stored.obs["spatial_domain"].tolist() == adata.obs["spatial_domain"].tolist()
    assert list(stored.uns["spatial_domain_colors"]) == list(adata.uns["spatial_domain_colors"])
    np.testing.assert_array_equal(stored.obsm["X_spotscape"], adata.obsm["X_spotscape"])


def test_graph_is_where_squidpy_and_rapids_singlecell_look(adata):
    names = adata.uns["spatial_neighbors"]
    assert names["connectivities_key"] == "spatial_connectivities" and names["distances_key"] == "spatial_distances"
    for key in (names["connectivities_key"], names["distances_key"]):
        # A graphics card gets float CSR matrices of sorted indices without a copy.
        matrix = adata.obsp[key]
        assert isinstance(matrix, sparse.csr_matrix) and matrix.dtype.kind == "f" and matrix.has_sorted_indices
    assert adata.obsm["X_spotscape"].dtype == np.float32 and adata.obsm["X_spotscape"].flags.c_contiguous


def test_rapids_singlecell_takes_the_representation(adata):
    rapids = pytest.importorskip("rapids_singlecell", reason="needs rapids-singlecell and a graphics card")
    rapids.pp.neighbors(adata, n_neighbors=8, use_rep="X_spotscape")
    assert adata.obsp["connectivities"].shape == (adata.n_obs, adata.n_obs)


def test_paths_of_vitessce_are_in_the_zarr_store(adata, tmp_path):
    zarr = pytest.importorskip("zarr")
    del adata.uns["synthetic_tissue"]
    adata.write_zarr(tmp_path / "sections.zarr")
    store = zarr.open(str(tmp_path / "sections.zarr"), mode="r")
    # `obs_embedding_paths` and `obs_locations_path`: dense arrays of numbers.
    for path, width in (("obsm/X_spotscape", 8), ("obsm/spatial", 2)):
        assert store[path].shape == (adata.n_obs, width) and np.dtype(store[path].dtype).kind == "f"
    # `obs_set_paths`: a categorical column, stored as codes and names.
    assert set(store["obs/spatial_domain"]) == {"categories", "codes"}
    assert store["obs/spatial_domain/categories"].shape == (adata.obs["spatial_domain"].nunique(),)


def test_vitessce_takes_the_paths(adata):
    vitessce = pytest.importorskip("vitessce", reason="needs vitessce")
    wrapper = vitessce.AnnDataWrapper(
        adata_url="https://example.org/sections.zarr",
        obs_feature_matrix_path="X",
        obs_set_paths=["obs/spatial_domain"],
        obs_embedding_paths=["obsm/X_spotscape"],
        obs_embedding_names=["SPOTSCAPE"],
        obs_locations_path="obsm/spatial",
    )
    config = vitessce.VitessceConfig(schema_version="1.0.16", name="sections")
    dataset = config.add_dataset("sections").add_object(wrapper)
    config.layout(config.add_view("spatial", dataset=dataset) | config.add_view("obsSets", dataset=dataset))
    options = config.to_dict()["datasets"][0]["files"][0]["options"]
    # The paths that the test above finds in the store.
    assert options["obsSets"][0]["path"] == "obs/spatial_domain"
    assert options["obsEmbedding"][0]["path"] == "obsm/X_spotscape"
    assert options["obsLocations"]["path"] == "obsm/spatial"


def test_spatialdata_plot_draws_in_the_colours_of_this_package(adata):
    pytest.importorskip("spatialdata_plot", reason="needs spatialdata-plot")
    from spatialdata import SpatialData
    from spatialdata.models import ShapesModel, TableModel

    sps.pl.spatial(adata)
    adata.obs["region"], adata.obs["instance"] = pd.Categorical(["spots"] * adata.n_obs), np.arange(adata.n_obs)
    shapes = ShapesModel.parse(adata.obsm["spatial"], geometry=0, radius=0.5, index=pd.Index(range(adata.n_obs)))
    table = TableModel.parse(adata, region="spots", region_key="region", instance_key="instance")
    axes = plt.figure().add_subplot()
    sections = SpatialData(shapes={"spots": shapes}, tables={"table": table})
    sections.pl.render_shapes("spots", color="spatial_domain").pl.show(ax=axes)
    drawn = {to_hex(color) for shown in axes.collections for color in np.atleast_2d(shown.get_facecolor())}
    assert drawn == {color.lower() for color in adata.uns["spatial_domain_colors"]}
