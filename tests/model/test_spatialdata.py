"""Tables of SpatialData objects: set up in place, with coordinates from their shapes, and written back."""

import numpy as np
import pandas as pd
import pytest

import spotscape as sps

spatialdata = pytest.importorskip("spatialdata")

# Of spatialdata, when it writes.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Call to deprecated class Scaler:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:zarr v3 autosharding:UserWarning"),
]

SMALL = {sps.SPOTSCAPE: {"n_hidden": 8, "n_latent": 4}, sps.SEDR: {"n_latent": 4}, sps.AESTETIK: {"n_latent": 4}}


def sections(tables=("table",), n_lost=0):
    """Two regions with a circle for each spot, in another order and unit than the spots of the table."""
    from spatialdata.models import ShapesModel, TableModel
    from spatialdata.transformations import Scale

    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40, seed=0)
    adata.obs["region"] = adata.obs["slice"].astype(str).astype("category")
    adata.obs["instance"] = np.arange(adata.n_obs)
    shapes = {}
    for name in adata.obs["region"].cat.categories:
        own = np.random.default_rng(0).permutation(np.flatnonzero(adata.obs["region"] == name))[n_lost:]
        shapes[name] = ShapesModel.parse(
            adata.obsm["spatial"][own] / 2,
            geometry=0,
            radius=1.0,
            index=pd.Index(own),
            transformations={"global": Scale([2.0, 2.0], axes=("x", "y"))},
        )
    positions = adata.obsm.pop("spatial")
    del adata.obs["slice"]
    table = TableModel.parse(adata, region=list(shapes), region_key="region", instance_key="instance")
    return spatialdata.SpatialData(shapes=shapes, tables={name: table.copy() for name in tables}), positions


@pytest.mark.parametrize("model_class", SMALL)
def test_results_go_into_the_table(model_class, tmp_path):
    sdata, positions = sections()
    expression = {"rna_key": "counts"} if model_class is sps.AESTETIK else {"layer": "counts"}
    model_class.setup_spatialdata(sdata, **expression)
    table = sdata.tables["table"]
    np.testing.assert_allclose(table.obsm["spatial"], positions)
    model = model_class(table, **SMALL[model_class])
    model.train(max_epochs=1, enable_progress_bar=False)
    table.obsm["X_model"] = model.get_latent_representation()
    sps.tl.domains(table, "X_model", 3, n_init=2)
    sdata.write(tmp_path / "s.zarr")
    table.obs["again"] = table.obs["spatial_domain"]
    sdata.delete_element_from_disk("table")
    sdata.write_element("table")
    stored = spatialdata.read_zarr(tmp_path / "s.zarr").tables["table"]
    assert stored.obs["again"].tolist() == table.obs["spatial_domain"].tolist()
    plain = table.copy()
    model_class.setup_anndata(plain, slice_key="region", **expression)
    np.testing.assert_array_equal(model.get_latent_representation(plain), table.obsm["X_model"])
    assert sorted(model.get_slice_novelty().index) == ["slice_1", "slice_2"]


def test_a_table_that_cannot_be_set_up_is_left_as_it_was():
    sdata, _ = sections()
    table = sdata.tables["table"]
    with pytest.raises(KeyError, match="no such layer"):
        sps.SPOTSCAPE.setup_spatialdata(sdata, layer="no such layer")
    assert "spatial" not in table.obsm


@pytest.mark.parametrize(
    ("make", "arguments", "error", "message"),
    [
        (lambda: sections()[0], {"table": "cells"}, KeyError, "`table` is 'cells'.*'table'"),
        (lambda: sections(("a", "b"))[0], {}, ValueError, "2 tables .'a', 'b'."),
        (lambda: sections(n_lost=3)[0], {}, ValueError, "6 spots of the table are in none"),
        (lambda: spatialdata.SpatialData(), {}, ValueError, "0 tables"),
        (lambda: sps.datasets.synthetic_tissue(n_slices=1, n_spots=60), {}, TypeError, "Got a AnnData"),
        (lambda: "store.zarr", {}, TypeError, "Got a str"),
    ],
)
def test_bad_spatialdata_is_refused(make, arguments, error, message):
    with pytest.raises(error, match=message):
        sps.SPOTSCAPE.setup_spatialdata(make(), **arguments)


def test_a_table_without_its_shapes_is_refused():
    sdata, _ = sections()
    del sdata.shapes["slice_2"]
    with pytest.raises(ValueError, match="annotates 'slice_2', which is not an element"):
        sps.SPOTSCAPE.setup_spatialdata(sdata)
