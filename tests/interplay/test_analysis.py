"""scanpy, squidpy and scib-metrics read what is stored here under their own names."""

import numpy as np
import pytest
from scipy import sparse

import spotscape as sps

# What other packages warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_scanpy_makes_neighbours_of_the_representation_and_groups_by_domains(adata):
    sc = pytest.importorskip("scanpy")
    sc.pp.neighbors(adata, n_neighbors=8, use_rep="X_spotscape", random_state=0)
    assert adata.obsp["connectivities"].shape == (adata.n_obs, adata.n_obs)
    # The spatial graph has other names, so neither replaces the other.
    assert (adata.obsp["spatial_connectivities"] != adata.obsp["connectivities"]).nnz
    same = adata.obs["domain"].to_numpy()
    rows, columns = adata.obsp["connectivities"].nonzero()
    assert (same[rows] == same[columns]).mean() > 0.6
    table = sc.get.obs_df(adata, ["spatial_domain"], obsm_keys=[("X_spotscape", 0)])
    np.testing.assert_array_equal(table["X_spotscape-0"], adata.obsm["X_spotscape"][:, 0])
    means = sc.get.aggregate(adata, "spatial_domain", func="mean", layer="counts")
    assert list(means.obs_names) == list(adata.obs["spatial_domain"].cat.categories)


def test_scanpy_draws_domains_in_the_colours_of_this_package(adata):
    sc = pytest.importorskip("scanpy")
    sps.pl.spatial(adata)
    colors = list(adata.uns["spatial_domain_colors"])
    axes = sc.pl.embedding(adata, basis="X_spotscape", color="spatial_domain", show=False)
    drawn = {tuple(np.round(color[:3], 3)) for color in axes.collections[0].get_facecolors()}
    from matplotlib.colors import to_rgb

    assert drawn == {tuple(np.round(to_rgb(color), 3)) for color in colors}
    assert list(adata.uns["spatial_domain_colors"]) == colors


def test_squidpy_finds_that_domains_are_compact(adata):
    squidpy = pytest.importorskip("squidpy")
    squidpy.gr.nhood_enrichment(adata, "spatial_domain", n_perms=50, seed=0, show_progress_bar=False)
    zscore = adata.uns["spatial_domain_nhood_enrichment"]["zscore"]
    n_domains = adata.obs["spatial_domain"].nunique()
    assert zscore.shape == (n_domains, n_domains)
    assert (np.diag(zscore) > 2).all()


# squidpy compiles code for it.
@pytest.mark.slow
def test_squidpy_reads_the_graph_and_the_coordinates(adata):
    squidpy = pytest.importorskip("squidpy")
    squidpy.gr.spatial_autocorr(adata, mode="moran", layer="counts", show_progress_bar=False)
    moran = adata.uns["moranI"]["I"]
    assert moran[adata.var_names].notna().all() and moran.max() > 0.1
    assert sparse.issparse(adata.obsp["spatial_connectivities"])


@pytest.mark.slow
def test_the_benchmarker_of_scib_metrics_takes_the_representation(adata):
    benchmark = pytest.importorskip("scib_metrics.benchmark", reason="needs the extra spotscape[scib]")
    names = ("isolated_labels", "nmi_ari_cluster_labels_leiden", "nmi_ari_cluster_labels_kmeans", "clisi_knn")
    bench = benchmark.Benchmarker(
        adata,
        batch_key="slice",
        label_key="domain",
        embedding_obsm_keys=["X_spotscape"],
        bio_conservation_metrics=benchmark.BioConservation(**dict.fromkeys(names, False), silhouette_label=True),
        batch_correction_metrics=None,
        progress_bar=False,
    )
    bench.benchmark()
    result = bench.get_results(min_max_scale=False)
    assert 0.4 < float(result.loc["X_spotscape", "Silhouette label"]) <= 1
