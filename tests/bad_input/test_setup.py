"""Data that cannot be set up gets one clear sentence, and the AnnData stays as it was."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from .conftest import assert_one_sentence, assert_unchanged, setup

# anndata and the check of the values warn of what is then refused
pytestmark = [
    pytest.mark.filterwarnings("ignore:(Observation|Variable) names are not unique"),
    pytest.mark.filterwarnings("ignore:The expression is not counts"),
]


def set_counts(value):
    def change(adata):
        counts = adata.layers["counts"].tolil()
        counts[3, 2] = value
        adata.layers["counts"] = counts.tocsr()

    return change


def set_position(value):
    def change(adata):
        adata.obsm["spatial"] = adata.obsm["spatial"].astype(float)
        adata.obsm["spatial"][4, 1] = value

    return change


def missing_slices(adata):
    adata.obs["slice"] = adata.obs["slice"].astype(object)
    adata.obs.loc[adata.obs_names[:3], "slice"] = None


def small_slice(adata):
    slices = adata.obs["slice"].astype(str)
    slices.iloc[:3] = "tiny"
    adata.obs["slice"] = slices


def single_spot_slice(adata):
    slices = adata.obs["slice"].astype(str)
    slices.iloc[:1] = "lonely"
    adata.obs["slice"] = slices


def same_positions(adata):
    adata.obsm["spatial"] = np.zeros((adata.n_obs, 2))


def duplicate_spot_names(adata):
    adata.obs_names = ["spot"] * adata.n_obs


def duplicate_gene_names(adata):
    adata.var_names = ["gene"] * adata.n_vars


def empty_counts(adata):
    adata.layers["counts"] = csr_matrix(adata.shape, dtype=np.float32)


def mostly_empty_spots(adata):
    keep = (np.arange(adata.n_obs) % 3 == 0).astype(np.float32)
    adata.layers["counts"] = csr_matrix(adata.layers["counts"].multiply(keep[:, None]))


def text_counts(adata):
    adata.layers["counts"] = adata.layers["counts"].toarray().astype(bool)


def text_positions(adata):
    adata.obsm["spatial"] = pd.DataFrame({"x": ["a"] * adata.n_obs, "y": ["b"] * adata.n_obs}, index=adata.obs_names)


def four_dimensions(adata):
    adata.obsm["spatial"] = np.ones((adata.n_obs, 4))


def edges_between_slices(adata):
    n = adata.n_obs
    graph = csr_matrix(
        (np.ones(2 * n), (np.arange(2 * n) % n, np.repeat([1, n // 2], n) + np.arange(2 * n) % n)), (n, 2 * n)
    )
    adata.obsp["spatial_connectivities"] = graph[:, :n].tocsr()


def foreign_graph(adata):
    adata.obsp["spatial_connectivities"] = csr_matrix((adata.n_obs, adata.n_obs))


def text_size_factors(adata):
    adata.obs["total"] = "many"


def negative_size_factors(adata):
    adata.obs["total"] = -1.0


def normalised_with_size_factors(adata):
    adata.obs["total"] = 1.0
    adata.layers["counts"] = (adata.layers["counts"] * 0.37).log1p()


def scaled(adata):
    adata.layers["counts"] = adata.layers["counts"].toarray() - 1.0


def fractions(adata):
    adata.layers["counts"] = adata.layers["counts"].log1p()


def slice_without_counts(adata):
    counts = adata.layers["counts"].tolil()
    counts[(adata.obs["slice"] == "slice_2").to_numpy()] = 0
    adata.layers["counts"] = counts.tocsr()


def slice_of_logarithms(adata):
    counts = adata.layers["counts"].toarray()
    rows = (adata.obs["slice"] == "slice_2").to_numpy()
    counts[rows] = np.log1p(counts[rows] / counts[rows].sum(axis=1, keepdims=True) * 100)
    adata.layers["counts"] = counts


def genes_not_measured(adata):
    counts = adata.layers["counts"].toarray()
    counts[np.ix_((adata.obs["slice"] == "slice_2").to_numpy(), np.arange(12))] = 0
    adata.layers["counts"] = counts


def genes_marked_as_not_measured(adata):
    adata.varm["measured"] = pd.DataFrame(
        {"slice_1": True, "slice_2": np.arange(adata.n_vars) > 3}, index=adata.var_names
    )


def nothing(adata):
    pass


#: What is changed, what is called with which arguments, the error, and what its message says.
SETUP_CASES = {
    "missing layer": (
        nothing,
        {"layer": "raw"},
        KeyError,
        "'raw', which is not in `adata.layers`; available: 'counts'",
    ),
    "missing slice key": (nothing, {"slice_key": "section"}, KeyError, "'section', which is not in `adata.obs`"),
    "missing coordinates": (
        nothing,
        {"spatial_key": "xy"},
        KeyError,
        "`spatial_key` is 'xy', which is not in `adata.obsm`; available: 'spatial'",
    ),
    "missing size factors": (nothing, {"size_factor_key": "total"}, KeyError, "'total', which is not in `adata.obs`"),
    "slices with missing values": (missing_slices, {}, ValueError, "3 missing value.*drop those spots"),
    "slice with fewer spots than neighbours": (
        small_slice,
        {"n_neighbors": 5},
        ValueError,
        "only 3 spots in slice 'tiny'",
    ),
    "slice of one spot": (single_spot_slice, {}, ValueError, "single spot in slice 'lonely'.*remove it"),
    "NaN coordinate": (set_position(np.nan), {}, ValueError, "coordinates of 1 spots are NaN or infinite"),
    "infinite coordinate": (set_position(np.inf), {}, ValueError, "coordinates of 1 spots are NaN or infinite"),
    "coordinates of text": (text_positions, {}, ValueError, "they must be numbers"),
    "coordinates in 4-D": (four_dimensions, {}, ValueError, "2 or 3 columns"),
    "NaN count": (set_counts(np.nan), {}, ValueError, "NaN"),
    "infinite count": (set_counts(np.inf), {}, ValueError, "infinite"),
    "negative count": (set_counts(-2.0), {}, ValueError, "negative"),
    "scaled expression": (scaled, {}, ValueError, "negative"),
    "normalised expression where counts are demanded": (fractions, {"values": "counts"}, ValueError, "counts"),
    "a slice without counts": (slice_without_counts, {}, ValueError, "slice 'slice_2', 120 of 120 spots.*layer"),
    "a slice of logarithms": (slice_of_logarithms, {}, ValueError, "different kinds.*counts in slice 'slice_1'"),
    "genes not measured in a slice": (
        genes_not_measured,
        {},
        ValueError,
        "zero in all.*slice 'slice_2'.*measured_genes",
    ),
    "genes marked as not measured": (
        genes_marked_as_not_measured,
        {},
        ValueError,
        "4 genes.*'slice_2'.*measured_genes",
    ),
    "duplicate positions": (same_positions, {}, ValueError, "share their position.*slice_key"),
    "duplicate spot names": (duplicate_spot_names, {}, ValueError, "obs_names.*not unique.*obs_names_make_unique"),
    "duplicate gene names": (duplicate_gene_names, {}, ValueError, "var_names.*not unique.*var_names_make_unique"),
    "no counts at all": (empty_counts, {}, ValueError, "All 60 genes are zero"),
    "mostly empty spots": (mostly_empty_spots, {}, ValueError, "160 of 240 spots have no expression.*remove"),
    "boolean counts": (text_counts, {}, (TypeError, ValueError), "bool"),
    "edges between slices": (edges_between_slices, {"graph": "precomputed"}, ValueError, "edges that join two slices"),
    "no precomputed graph": (nothing, {"graph": "precomputed"}, ValueError, "there is none"),
    "graph made elsewhere": (foreign_graph, {}, ValueError, "made elsewhere"),
    "unknown graph": (nothing, {"graph": "grid"}, ValueError, "`graph` is 'grid'; choose one of 'knn'"),
    "radius for knn": (nothing, {"radius": 2.0}, ValueError, "`radius` is 2.0"),
    "no neighbours": (nothing, {"n_neighbors": 0}, ValueError, "`n_neighbors` is 0"),
    "unknown kind of values": (nothing, {"values": "raw"}, ValueError, "`values` is 'raw'"),
    "unknown argument": (nothing, {"slice_kye": "slice"}, TypeError, "no argument 'slice_kye'"),
    "size factors of text": (text_size_factors, {"size_factor_key": "total"}, TypeError, "must be numbers"),
    "negative size factors": (
        negative_size_factors,
        {"size_factor_key": "total"},
        ValueError,
        "`adata.obs\\['total'\\]` \\(`size_factor_key`\\) is -1",
    ),
    "size factors of normalised values": (
        normalised_with_size_factors,
        {"size_factor_key": "total"},
        ValueError,
        "expression is (log-)?normalized; leave them out",
    ),
}


@pytest.mark.parametrize("case", SETUP_CASES)
def test_bad_setup(adata, case):
    change, arguments, error, message = SETUP_CASES[case]
    change(adata)
    before = adata.copy()
    with pytest.raises(error, match=message) as caught:
        setup(adata, **arguments)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def test_views_and_spots_that_are_still_in_a_file_are_refused(adata, tmp_path):
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with pytest.raises(ValueError, match="view of one in a file.*to_memory"):
        setup(backed[:100])
    backed.file.close()
    with pytest.raises(TypeError, match="still in a file.*read_sections"):
        setup(anndata.experimental.read_lazy(tmp_path / "a.h5ad"))


def test_expression_kept_gene_by_gene_in_a_file_is_refused(adata, tmp_path):
    adata.X = adata.X.tocsc()
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with pytest.raises(ValueError, match="gene by gene.*as CSR"):
        setup(backed, layer=None)
    backed.file.close()


def test_no_genes_and_one_spot_are_refused(adata):
    with pytest.raises(ValueError, match="no genes"):
        setup(adata[:, :0].copy())
    with pytest.raises(ValueError, match="at least two"):
        setup(adata[:1].copy())
