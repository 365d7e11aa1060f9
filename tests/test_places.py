"""Messages tell spots, slices and genes by their names, also where several files were joined."""

import numpy as np
import pytest
from scipy import sparse

import spotscape as sps
from spotscape import AESTETIK, SEDR, SPOTSCAPE, pp, tl
from spotscape._places import ROWS, Places


@pytest.fixture
def adata():
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40)
    adata.obs_names = [f"AAA-{number}" for number in range(120)]
    adata.X = adata.layers["counts"].copy()
    return adata


def spoilt(adata, value, row, column):
    dense = adata.X.toarray()
    dense[row, column] = value
    adata.X = dense
    adata.layers["counts"] = dense
    return adata


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "missing"), (-3.0, "negative"), (np.inf, "infinite")])
def test_expression(adata, value, kind):
    gene = adata.var_names[5]
    spoilt(adata, value, 70, 5)
    with pytest.raises(ValueError, match=f"1 {kind}.*first at spot 'AAA-70' of slice 'slice_2', gene '{gene}'"):
        SPOTSCAPE.setup_anndata(adata, slice_key="slice")
    with pytest.raises(ValueError, match=f"1 {kind}.*first at spot 'AAA-70', gene '{gene}'"):
        SPOTSCAPE.setup_anndata(adata)
    for call in (lambda: tl.markers(adata, "domain"), lambda: pp.thin_counts(adata, 0.5)):
        with pytest.raises(ValueError, match=f"first at spot 'AAA-70'.*, gene '{gene}'"):
            call()
    with pytest.raises(ValueError, match=f"first at spot 'AAA-70' of slice 'slice_2', gene '{gene}'"):
        pp.measured_genes(adata, "slice")


def test_coordinates(adata):
    adata.obsm["spatial"][7, 0] = np.nan
    for call in (SPOTSCAPE.setup_anndata, pp.spatial_neighbors):
        with pytest.raises(ValueError, match="the first is spot 'AAA-7' of slice 'slice_1'"):
            call(adata, slice_key="slice")
        with pytest.raises(ValueError, match=r"the first is spot 'AAA-7'\)"):
            call(adata)


@pytest.mark.parametrize("model_class", [SPOTSCAPE, SEDR, AESTETIK])
def test_size_factors(adata, model_class):
    adata.obs["total"] = 4000.0
    adata.obs.iloc[70, adata.obs.columns.get_loc("total")] = -1
    with pytest.raises(
        ValueError, match=r"`adata.obs\['total'\]` \(`size_factor_key`\) is -1 at spot 'AAA-70' of slice 'slice_2'"
    ):
        model_class.setup_anndata(adata, slice_key="slice", size_factor_key="total")
    with pytest.raises(ValueError, match=r"`adata.obs\['total'\]` \(`size_factor_key`\) is -1 at spot 'AAA-70'"):
        tl.markers(adata, "domain", size_factor_key="total")


def test_features(adata):
    values = np.random.default_rng(0).normal(size=(120, 4))
    adata.obsm["embedding"], adata.obsm["image"] = values.copy(), values.copy()
    adata.obsm["embedding"][70, 2] = adata.obsm["image"][71, 2] = np.nan
    with pytest.raises(ValueError, match="1 spot.*such as spot 'AAA-70' of slice 'slice_2'"):
        SPOTSCAPE.setup_anndata(adata, slice_key="slice", features_key="embedding")
    with pytest.raises(ValueError, match="1 spot.*such as spot 'AAA-71' of slice 'slice_2'"):
        AESTETIK.setup_anndata(adata, rna_key="counts", image_key="image", slice_key="slice")
    adata.obsm["embedding"] = values.copy()
    SPOTSCAPE.setup_anndata(adata, slice_key="slice", features_key="embedding")
    model = SPOTSCAPE(adata, features="embedding")
    model.train(max_epochs=1)
    adata.obsm["embedding"][7, 2] = np.nan
    with pytest.raises(ValueError, match="1 spot.*such as spot 'AAA-7'"):
        model.get_latent_representation()


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix])
def test_representation(adata, convert):
    values = np.random.default_rng(0).normal(size=(120, 4))
    values[7, 2] = values[90, 1] = np.nan
    adata.obsm["X_spotscape"] = convert(values)
    with pytest.raises(ValueError, match=r"2 missing or infinite values \(the first is at spot 'AAA-7'\)"):
        tl.domains(adata, n_domains=3)


def test_alignment(adata):
    adata.obsm["X_spotscape"] = np.random.default_rng(0).normal(size=(120, 4))
    adata.obsm["spatial"][7, 0] = np.inf
    with pytest.raises(ValueError, match="the first is spot 'AAA-7' of slice 'slice_1'"):
        tl.align(adata, "slice_1", slice_key="slice")


def test_slices(adata):
    adata.obs["slice"] = adata.obs["slice"].where(np.arange(120) != 9)
    with pytest.raises(ValueError, match=r"the first is spot 'AAA-9'\)"):
        pp.spatial_neighbors(adata, slice_key="slice")


def test_plain_arrays_have_rows_and_columns(adata):
    assert ROWS.value(3, 5) == "row 3, column 5"
    assert Places.of(adata, "no such column").spot(3) == "spot 'AAA-3'"
