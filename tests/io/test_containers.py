"""AnnData, MuData and SpatialData: what is written by their own libraries is read back."""

import gzip
import sys

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spotscape.io import read_sections

# Both come from the writers of the tests' own data.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Writing zarr v2"),
    pytest.mark.filterwarnings("ignore:zarr v3 autosharding"),
    pytest.mark.filterwarnings("ignore:Call to deprecated class Scaler"),
]


def section(n_spots=30, n_genes=8, seed=0):
    rng = np.random.default_rng(seed)
    adata = anndata.AnnData(
        sparse.csr_matrix(rng.poisson(2, (n_spots, n_genes)).astype(np.float32)),
        obs=pd.DataFrame({"area": rng.random(n_spots)}, index=[f"spot{i}" for i in range(n_spots)]),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(n_genes)]),
    )
    adata.obsm["spatial"] = rng.random((n_spots, 2)) * 100
    return adata


def assert_same(found, expected):
    matrix = found.X.compute() if hasattr(found.X, "compute") else found.X
    np.testing.assert_array_equal(matrix.toarray(), expected.X.toarray())
    np.testing.assert_array_equal(found.obsm["spatial"], expected.obsm["spatial"])
    assert list(found.obs_names) == list(expected.obs_names) and list(found.var_names) == list(expected.var_names)


def test_packed_files(tmp_path):
    adata = section()
    adata.write_h5ad(tmp_path / "a.h5ad")
    packed = tmp_path / "p1.h5ad.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.h5ad").read_bytes()))
    found = read_sections(packed)
    assert_same(found, adata)
    assert set(found.obs["slice"]) == {"p1"}
    with pytest.raises(ValueError, match="not read lazily"):
        read_sections(packed, lazy=True)


def multimodal(tmp_path, **modalities):
    mdata = mudata.MuData(modalities)
    mdata.write_h5mu(tmp_path / "m.h5mu")
    return tmp_path / "m.h5mu"


@pytest.mark.parametrize("lazy", [False, True])
def test_the_rna_of_a_mudata_is_read(tmp_path, lazy):
    adata = section()
    protein = section(n_genes=3, seed=1)
    protein.var_names = ["CD3", "CD4", "CD8"]
    path = multimodal(tmp_path, prot=protein, rna=adata)
    with pytest.warns(UserWarning, match="'prot', 'rna'.*'rna' is read"):
        assert_same(read_sections(path, lazy=lazy), adata)
    assert_same(read_sections(path, table="prot", lazy=lazy), protein)
    with pytest.raises(ValueError, match="`table` is 'atac'.*'prot', 'rna'"):
        read_sections(path, table="atac", lazy=lazy)


def test_columns_and_coordinates_of_the_whole_mudata_are_taken(tmp_path):
    adata = section()
    bare = adata.copy()
    del bare.obsm["spatial"]
    mdata = mudata.MuData({"cells": bare[::-1].copy()})
    mdata.obs["slice"] = pd.Categorical(["a"] * 10 + ["b"] * 20)
    mdata.obsm["spatial"] = adata.obsm["spatial"][::-1]
    mdata.write_h5mu(tmp_path / "m.h5mu")
    found = read_sections(tmp_path / "m.h5mu")
    assert_same(found[::-1], adata)
    assert list(found.obs["slice"]) == ["a"] * 10 + ["b"] * 20


def test_modalities_without_rna_must_be_named(tmp_path):
    first, second = section(), section()
    second.var_names = [f"peak{i}" for i in range(8)]
    path = multimodal(tmp_path, one=first, two=second)
    with pytest.raises(ValueError, match="say which one to read, such as `table='one'`"):
        read_sections(path)


def spatial_store(path, adatas, *, n_without=0, tables=("table",)):
    spatialdata = pytest.importorskip("spatialdata")
    from spatialdata.models import ShapesModel, TableModel
    from spatialdata.transformations import Scale

    shapes, parts = {}, []
    for name, adata in adatas.items():
        # In another order than the spots of the table.
        order = np.random.default_rng(0).permutation(adata.n_obs - n_without)
        shapes[name] = ShapesModel.parse(
            adata.obsm["spatial"][order],
            geometry=0,
            radius=1.0,
            index=pd.Index(order),
            transformations={"global": Scale([2.0, 2.0], axes=("x", "y"))},
        )
        part = adata.copy()
        del part.obsm["spatial"]
        part.obs["instance"] = np.arange(part.n_obs)
        part.obs["region"] = pd.Categorical([name] * part.n_obs)
        part.obs_names = [f"{name}_{spot}" for spot in part.obs_names]
        parts.append(part)
    joined = anndata.concat(parts)
    joined.obs["region"] = joined.obs["region"].astype("category")
    table = TableModel.parse(joined, region=list(adatas), region_key="region", instance_key="instance")
    sdata = spatialdata.SpatialData(shapes=shapes, tables={name: table.copy() for name in tables})
    sdata.write(path)
    return path


@pytest.mark.parametrize("lazy", [False, True])
def test_spatialdata_takes_positions_from_shapes(tmp_path, lazy):
    adata = section()
    path = spatial_store(tmp_path / "s.zarr", {"cells": adata})
    found = read_sections(path, lazy=lazy)
    adata.obsm["spatial"] = 2 * adata.obsm["spatial"]
    adata.obs_names = [f"cells_{spot}" for spot in adata.obs_names]
    assert_same(found, adata)
    assert set(found.obs["slice"]) == {"s"}


@pytest.mark.parametrize("lazy", [False, True])
def test_each_region_of_a_spatialdata_is_a_slice(tmp_path, lazy):
    adatas = {"left": section(), "right": section(n_spots=20, seed=1)}
    path = spatial_store(tmp_path / "s.zarr", adatas)
    found = read_sections(path, lazy=lazy)
    for name, adata in adatas.items():
        part = found[found.obs["slice"] == name]
        np.testing.assert_allclose(part.obsm["spatial"], 2 * adata.obsm["spatial"])


def test_spatialdata_needs_a_named_table_if_there_are_several(tmp_path):
    path = spatial_store(tmp_path / "s.zarr", {"cells": section()}, tables=("bins_2", "bins_8"))
    with pytest.raises(ValueError, match="the tables 'bins_2', 'bins_8'; say which one"):
        read_sections(path)
    assert read_sections(path, table="bins_8").shape == (30, 8)


def test_spatialdata_without_table_is_refused(tmp_path):
    spatialdata = pytest.importorskip("spatialdata")
    from spatialdata.models import ShapesModel

    shapes = ShapesModel.parse(np.random.default_rng(0).random((5, 2)), geometry=0, radius=1.0)
    spatialdata.SpatialData(shapes={"cells": shapes}).write(tmp_path / "s.zarr")
    with pytest.raises(ValueError, match="has no tables"):
        read_sections(tmp_path / "s.zarr")


def test_shapes_without_spatialdata_name_the_extra(tmp_path, monkeypatch):
    path = spatial_store(tmp_path / "s.zarr", {"cells": section()})
    monkeypatch.setitem(sys.modules, "spatialdata", None)
    with pytest.raises(ImportError, match=r"spotscape\[io\]"):
        read_sections(path)


def test_spots_without_a_shape_are_left_out(tmp_path):
    path = spatial_store(tmp_path / "s.zarr", {"cells": section()}, n_without=3)
    with pytest.warns(UserWarning, match="3 of 30 spots of .* have no position"):
        assert read_sections(path).n_obs == 27


def test_stereo_seq_has_a_unit(tmp_path):
    adata = section()
    adata.obs[["x", "y"]] = adata.obsm.pop("spatial")
    adata.uns |= {"bin_type": "bins", "bin_size": 50, "resolution": 500}
    adata.write_h5ad(tmp_path / "chip.h5ad")
    found = read_sections(tmp_path / "chip.h5ad")
    np.testing.assert_array_equal(found.obsm["spatial"], adata.obs[["x", "y"]])
    assert found.uns["spatial_units"]["chip"]["micrometres_per_unit"] == 0.5
