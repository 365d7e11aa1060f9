import sys

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.decomposition import PCA

from spotscape import pp, tl
from spotscape.cluster import _partitions
from spotscape.metrics import adjusted_rand_index
from spotscape.tl import _representation
from spotscape.tl._domains import _lexicographic_order
from spotscape.tl._label_propagation import propagate_labels

METHODS = ["mixture", "eee", "kmeans", "leiden"]


def content(adata):
    return {
        "obs": list(adata.obs),
        "uns": list(adata.uns),
        "obsm": list(adata.obsm),
        "obsp": list(adata.obsp),
        "layers": list(adata.layers),
    }


@pytest.mark.parametrize("method", METHODS)
def test_clear_domains_are_found(adata, method):
    before = content(adata)
    assert tl.domains(adata, n_domains=4, method=method) is None
    found = adata.obs["spatial_domain"]
    assert adjusted_rand_index(adata.obs["truth"], found) == 1.0
    assert list(found.cat.categories) == ["1", "2", "3", "4"]
    after = content(adata)
    added = ["spatial_domain"] if method == "leiden" else ["spatial_domain", "spatial_domain_confidence"]
    assert after.pop("obs") == [*before.pop("obs"), *added]
    assert after.pop("uns") == ["spatial_domain"]
    before.pop("uns")
    assert after == before
    params = adata.uns["spatial_domain"]
    assert (params["method"], params["use_rep"], params["n_domains"]) == (method, "X_spotscape", 4)
    np.testing.assert_array_equal(params["sizes"], found.value_counts(sort=False))


@pytest.mark.parametrize("method", METHODS)
def test_permuted_spots_have_the_same_domains(adata, method):
    adata.obsm["X_spotscape"] = np.random.default_rng(1).normal(size=(300, 6))
    shuffled = adata[np.random.default_rng(2).permutation(300)].copy()
    # Without clear domains, domains are equal only if the same spots are drawn.
    tl.domains(adata, n_domains=5, method=method)
    tl.domains(shuffled, n_domains=5, method=method)
    assert shuffled.obs["spatial_domain"].astype(str).to_dict() == adata.obs["spatial_domain"].astype(str).to_dict()


def test_domains_are_numbered_along_the_first_component():
    position = np.repeat([5.0, 1.0, 9.0, 3.0], 20)
    noise = 0.01 * np.random.default_rng(0).normal(size=(80, 2))
    data = anndata.AnnData(obsm={"Z": np.c_[position, np.zeros(80)] + noise})
    tl.domains(data, "Z", 4)
    assert data.obs["spatial_domain"].astype(int).to_numpy()[::20].tolist() == [3, 1, 4, 2]


def test_confidence_of_kmeans_is_the_simplified_silhouette(adata):
    tl.domains(adata, n_domains=4, method="kmeans")
    latent, found = adata.obsm["X_spotscape"].astype(float), adata.obs["spatial_domain"].to_numpy()
    centroids = {name: latent[found == name].mean(axis=0) for name in np.unique(found)}
    for i in range(0, 300, 7):
        own = np.linalg.norm(latent[i] - centroids[found[i]])
        other = min(np.linalg.norm(latent[i] - c) for name, c in centroids.items() if name != found[i])
        assert adata.obs["spatial_domain_confidence"].iloc[i] == pytest.approx((other - own) / other, abs=1e-4)


@pytest.fixture
def striped():
    """Two halves of a grid whose representation is noisy, with the grid's graph and two slices."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(20), np.arange(20))
    data = anndata.AnnData(obs=pd.DataFrame(index=[str(i) for i in range(800)]))
    data.obsm["spatial"] = np.tile(np.c_[x.ravel(), y.ravel()], (2, 1)).astype(float)
    data.obs["slice"] = np.repeat(["a", "b"], 400)
    data.obs["truth"] = np.where(data.obsm["spatial"][:, 0] < 10, "left", "right")
    data.obsm["Z"] = np.c_[(data.obs["truth"] == "left") * 2.0, np.zeros(800)] + rng.normal(size=(800, 2))
    pp.spatial_neighbors(data, slice_key="slice", n_neighbors=4)
    return data


def test_smoothing_follows_the_neighbours_within_slices(striped):
    scores = {}
    for smoothing in (0, 0.5, 0.9):
        tl.domains(striped, "Z", 2, smoothing=smoothing)
        scores[smoothing] = adjusted_rand_index(striped.obs["truth"], striped.obs["spatial_domain"])
        assert striped.obs["spatial_domain_confidence"].between(0, 1).all()
        assert striped.uns["spatial_domain"]["smoothing"] == smoothing
    assert scores[0] < scores[0.5] < scores[0.9]
    assert scores[0.9] > 0.8
    with_other_slice = striped.obs["spatial_domain"].iloc[:400].copy()
    graph = striped.obsp["spatial_connectivities"].tolil()
    graph[400:, 400:] = 0
    striped.obsp["spatial_connectivities"] = graph.tocsr()
    tl.domains(striped, "Z", 2, smoothing=0.9)
    assert (striped.obs["spatial_domain"].iloc[:400] == with_other_slice).all()


def test_a_confidence_of_earlier_domains_is_removed(adata):
    tl.domains(adata, n_domains=4)
    tl.domains(adata, n_domains=4, method="leiden")
    assert "spatial_domain_confidence" not in adata.obs


def test_label_propagation_equals_its_closed_form(striped):
    rng = np.random.default_rng(1)
    weights = sparse.random(50, 50, 0.1, format="csr", rng=rng) + sparse.eye(50)
    weights = (sparse.diags(1 / np.asarray(weights.sum(axis=1)).ravel()) @ weights).tocsr()
    values = rng.uniform(size=(50, 3))
    for smoothing in (0.3, 0.95):
        closed = (1 - smoothing) * np.linalg.solve(np.eye(50) - smoothing * weights.toarray(), values)
        np.testing.assert_allclose(propagate_labels(values, weights, smoothing), closed, atol=1e-5)


@pytest.mark.parametrize("method", ["kmeans", "mixture"])
def test_unit_of_the_representation_does_not_matter(adata, method):
    tl.domains(adata, n_domains=4, method=method)
    adata.obsm["tiny"] = adata.obsm["X_spotscape"].astype(np.float64) * 1e-6
    tl.domains(adata, "tiny", 4, method=method, key_added="tiny")
    assert adjusted_rand_index(adata.obs["spatial_domain"], adata.obs["tiny"]) == 1.0


@pytest.mark.parametrize("method", ["mixture", "kmeans"])
def test_restarts_on_drawn_spots_find_the_same_domains(adata, method, monkeypatch):
    monkeypatch.setattr(_partitions, "N_SPOTS_STARTS", 100)
    tl.domains(adata, n_domains=4, method=method)
    assert adjusted_rand_index(adata.obs["truth"], adata.obs["spatial_domain"]) == 1.0


def test_leiden_at_a_resolution_is_that_of_scanpy(adata):
    import scanpy

    tl.domains(adata, method="leiden", resolution=0.7, n_neighbors=10)
    scanpy.pp.neighbors(adata, n_neighbors=10, use_rep="X_spotscape", random_state=0)
    scanpy.tl.leiden(adata, 0.7, flavor="igraph", n_iterations=-1, directed=False, random_state=0)
    assert adjusted_rand_index(adata.obs["leiden"], adata.obs["spatial_domain"]) > 0.95
    assert adata.uns["spatial_domain"]["resolution"] == 0.7
    assert adata.uns["spatial_domain"]["n_neighbors"] == 10


@pytest.mark.slow
def test_approximate_neighbors_are_almost_the_exact_ones(adata, monkeypatch):
    latent = adata.obsm["X_spotscape"]
    exact = _representation.neighbor_graph(latent, 10, 0).obsp["connectivities"]
    monkeypatch.setattr(_representation, "N_SPOTS_APPROXIMATE", 0)
    approximate = _representation.neighbor_graph(latent, 10, 0).obsp["connectivities"]
    n_both = exact.astype(bool).multiply(approximate.astype(bool)).sum()
    assert n_both > 0.98 * exact.nnz and n_both > 0.98 * approximate.nnz
    tl.domains(adata, n_domains=4, method="leiden")
    assert adjusted_rand_index(adata.obs["truth"], adata.obs["spatial_domain"]) == 1.0


@pytest.mark.parametrize("n_domains", [2, 9])
def test_leiden_gives_the_requested_number_of_domains(adata, n_domains):
    adata.obsm["X_spotscape"] = np.random.default_rng(1).normal(size=(300, 6))
    tl.domains(adata, n_domains=n_domains, method="leiden")
    assert adata.obs["spatial_domain"].nunique() == n_domains
    resolution = adata.uns["spatial_domain"]["resolution"]
    tl.domains(adata, resolution=resolution, method="leiden", key_added="again")
    assert (adata.obs["again"] == adata.obs["spatial_domain"]).all()


def test_wide_sparse_and_dense_values_give_the_same_domains(adata):
    dense = adata.copy()
    dense.X = dense.X.toarray()
    tl.domains(adata, "X", 2)
    tl.domains(dense, "X", 2)
    assert (adata.obs["spatial_domain"] == dense.obs["spatial_domain"]).all()
    components = _representation.read_representation(adata, "X")
    slow = PCA(50, svd_solver="full").fit_transform(dense.X.astype(np.float64))
    np.testing.assert_allclose(abs(components), abs(slow), atol=1e-6)


@pytest.mark.parametrize("kind", [pd.DataFrame, sparse.csr_matrix, lambda z: np.rint(z).astype(int)])
def test_any_kind_of_matrix_is_read(adata, kind):
    values = adata.obsm["X_spotscape"]
    data = anndata.AnnData(obs=adata.obs)
    data.obsm["Z"] = pd.DataFrame(values, index=adata.obs_names) if kind is pd.DataFrame else kind(values)
    tl.domains(data, "Z", 4)
    assert adjusted_rand_index(data.obs["truth"], data.obs["spatial_domain"]) > 0.95


def test_copy_leaves_the_original(adata):
    before = content(adata)
    copied = tl.domains(adata, n_domains=4, key_added="mine", seed=3, copy=True)
    assert content(adata) == before
    assert copied.obs["mine"].nunique() == 4 and copied.uns["mine"]["seed"] == 3


@pytest.mark.parametrize("method", METHODS)
def test_answer_can_be_written(adata, method, tmp_path):
    tl.domains(adata, n_domains=4, method=method)
    adata.write_h5ad(tmp_path / "a.h5ad")
    read = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert (read.obs["spatial_domain"] == adata.obs["spatial_domain"]).all()
    assert read.uns["spatial_domain"]["method"] == method


def with_missing(adata):
    adata.obsm["X_spotscape"][3, 2] = np.nan


def with_few_distinct(adata):
    adata.obsm["X_spotscape"] = np.repeat(np.eye(4), 75, axis=0)


def with_text(adata):
    adata.obsm["X_spotscape"] = pd.DataFrame({"a": ["x"] * 300}, index=adata.obs_names)


def with_pieces(adata):
    adata.obsm["X_spotscape"] = adata.obsm["X_spotscape"] + 1e4 * np.repeat(np.eye(6), 50, axis=0)


@pytest.mark.parametrize(
    ("spoil", "arguments", "error", "message"),
    [
        (None, {"use_rep": "X_pca", "n_domains": 4}, KeyError, "'X_pca', which is not in `adata.obsm`; .*X_spotscape"),
        (None, {"use_rep": None, "n_domains": 4}, KeyError, "`use_rep` is None"),
        (None, {"n_domains": 4, "method": "mclust"}, ValueError, "`method` is 'mclust'"),
        (None, {}, ValueError, "`n_domains` is None; method 'mixture' needs"),
        (None, {"n_domains": 1}, ValueError, "`n_domains` is 1"),
        (None, {"n_domains": 2.5}, TypeError, "`n_domains` is 2.5"),
        (None, {"n_domains": 301}, ValueError, "only 300 spots"),
        (with_few_distinct, {"n_domains": 4}, ValueError, "only 4 distinct rows; pass less than 4"),
        (with_missing, {"n_domains": 4}, ValueError, "has 1 missing or infinite values"),
        (with_text, {"n_domains": 4}, ValueError, "`X_spotscape` is .*pass numbers"),
        (None, {"n_domains": 4, "resolution": 1.0}, ValueError, "`resolution` is 1.0, which only applies"),
        (None, {"n_domains": 4, "n_neighbors": 9}, ValueError, "`n_neighbors` is 9, which only applies"),
        (None, {"n_domains": 4, "n_init": 0}, ValueError, "`n_init` is 0"),
        (None, {"n_domains": 4, "smoothing": 1}, ValueError, "`smoothing` is 1"),
        (None, {"n_domains": 4, "smoothing": 0.5}, KeyError, "`smoothing` needs the spatial graph"),
        (None, {"n_domains": 4, "seed": -1}, ValueError, "`seed` is -1"),
        (None, {"n_domains": 4, "key_added": ""}, TypeError, "`key_added` is ''"),
        (None, {"method": "leiden"}, ValueError, "neither was given"),
        (None, {"method": "leiden", "n_domains": 3, "resolution": 1.0}, ValueError, "both were given"),
        (None, {"method": "leiden", "resolution": 0}, ValueError, "`resolution` is 0"),
        (None, {"method": "leiden", "resolution": 1.0, "n_init": 3}, ValueError, "`n_init` is 3"),
        (None, {"method": "leiden", "resolution": 1.0, "n_neighbors": 300}, ValueError, "`n_neighbors` is 300"),
        (with_pieces, {"method": "leiden", "n_domains": 3}, ValueError, "neighbour graph has 6 connected components"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(adata, spoil, arguments, error, message):
    if spoil is not None:
        spoil(adata)
    before = content(adata)
    with pytest.raises(error, match=message):
        tl.domains(adata, **arguments)
    assert content(adata) == before


def test_a_number_that_no_resolution_gives_is_refused(adata, monkeypatch):
    import scanpy

    def leiden(light, resolution, **_):
        light.obs["leiden"] = pd.Categorical(np.arange(light.n_obs) % (2 if resolution < 1.7 else 5))

    monkeypatch.setattr(scanpy.tl, "leiden", leiden)
    adata.obsm["X_spotscape"] = np.random.default_rng(1).normal(size=(300, 6))
    before = content(adata)
    with pytest.raises(ValueError, match=r"gives `n_domains` = 3; [\d.]+ gives 2"):
        tl.domains(adata, n_domains=3, method="leiden")
    assert content(adata) == before


def test_leiden_without_igraph_says_what_to_install(adata, monkeypatch):
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(ImportError, match=r'pip install "spotscape\[leiden\]"'):
        tl.domains(adata, n_domains=4, method="leiden")


def test_empty_matrix_is_refused():
    data = anndata.AnnData(obs=pd.DataFrame(index=[str(i) for i in range(5)]))
    with pytest.raises(ValueError, match="`adata.X` is None"):
        tl.domains(data, "X", 2)
    with pytest.raises(ValueError, match="only 2 spots; method 'leiden'"):
        tl.domains(data[:2].copy(), "X", method="leiden", resolution=1.0)


@pytest.mark.data
def test_white_matter_is_a_domain_of_the_cortex(section):
    data = section("dlpfc_151673_hvg")
    counts = sparse.csr_matrix(data.X, dtype=np.float64)
    scaled = sparse.diags(1e4 / np.asarray(counts.sum(axis=1)).ravel()) @ counts
    data.X = scaled.log1p()
    tl.domains(data, "X", 7)
    # Without spatial smoothing, white matter is the only layer that expression separates.
    together = pd.crosstab(data.obs["spatial_domain"], data.obs["domain"] == "WM")[True]
    sizes = data.obs["spatial_domain"].value_counts()
    assert (together / sizes).max() > 0.9
    assert together.max() > 0.5 * together.sum()


def test_the_lexicographic_order_uses_all_columns():
    rng = np.random.default_rng(0)
    for n_values in (2, 1000):
        rows = rng.integers(n_values, size=(300, 4)).astype(np.float32)
        np.testing.assert_array_equal(_lexicographic_order(rows), np.lexsort(rows.T[::-1]))
