"""Markers against scanpy and slow definitions, where the counts come from, and the flag for contamination."""

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import spotscape as sps
from spotscape.tl.expression._counts import read_counts


@pytest.fixture
def adata():
    return sps.datasets.synthetic_tissue(n_slices=2, n_spots=150, n_genes=50, n_domains=4, seed=0)


def test_tests_are_those_of_scanpy_on_normalised_counts(adata):
    sps.tl.markers(adata, "domain")
    work = adata.copy()
    sc.pp.normalize_total(work)
    sc.pp.log1p(work)
    sc.tl.rank_genes_groups(work, "domain", method="wilcoxon", tie_correct=True)
    for domain in adata.obs["domain"].cat.categories:
        expected = sc.get.rank_genes_groups_df(work, domain)
        found = sps.get.markers(adata, domain)
        # Equal shares of the library are ties here, and differ by rounding in scanpy.
        expected = expected.set_index("names").loc[found["gene"]]
        np.testing.assert_allclose(found["score"], expected["scores"], atol=0.01)
        np.testing.assert_allclose(np.log(found["p_adjusted"]), np.log(expected["pvals_adj"]), atol=0.05)


@pytest.mark.parametrize("reference", ["rest", "patch_1"])
def test_means_fractions_and_fold_changes_are_those_of_their_definitions(adata, reference):
    sps.tl.markers(adata, "domain", groups="layer_2", reference=reference)
    table = sps.get.markers(adata).set_index("gene")
    counts = adata.layers["counts"].toarray().astype(float)
    totals = counts.sum(axis=1)
    values = counts / totals[:, None] * np.median(totals)
    inside = (adata.obs["domain"] == "layer_2").to_numpy()
    outside = ~inside if reference == "rest" else (adata.obs["domain"] == reference).to_numpy()
    half = 0.5 / min(inside.sum(), outside.sum())
    fold = np.log2((values[inside].mean(axis=0) + half) / (values[outside].mean(axis=0) + half))
    found = table.loc[adata.var_names]
    np.testing.assert_allclose(found["mean"], values[inside].mean(axis=0))
    np.testing.assert_allclose(found["mean_reference"], values[outside].mean(axis=0))
    np.testing.assert_allclose(found["log2_fold_change"], fold)
    np.testing.assert_allclose(found["fraction"], (counts[inside] > 0).mean(axis=0))
    np.testing.assert_allclose(found["fraction_reference"], (counts[outside] > 0).mean(axis=0))
    assert set(table["reference"]) == {reference}


def test_true_markers_are_on_top_and_x_is_not_used(adata):
    adata.X = sparse.csr_matrix(adata.shape, dtype=np.float32)
    found = sps.tl.markers(adata, "domain", copy=True)
    assert "markers" not in adata.uns
    for domain in adata.obs["domain"].cat.categories:
        top = sps.get.markers(found, domain)["gene"][:3]
        assert (adata.var.loc[top, "marker_of"] == domain).sum() >= 2


def test_counts_are_those_of_the_set_up(adata):
    adata.layers["raw"] = adata.layers.pop("counts")
    adata.obs["total"] = np.asarray(adata.X.sum(axis=1)).ravel() * 2.0
    sc.pp.log1p(adata)
    with pytest.raises(ValueError, match="not whole numbers"):
        sps.tl.markers(adata, "domain")
    sps.SPOTSCAPE.setup_anndata(adata, layer="raw", slice_key="slice", size_factor_key="total")
    for data in (adata, adata.copy()):
        counts = read_counts(data, None, None, None)
        assert counts.source == "layers['raw']"
        np.testing.assert_array_equal(counts.size_factors, adata.obs["total"])
    # What the user names comes first.
    adata.layers["other"] = adata.layers["raw"] * 2
    assert read_counts(adata, "other", None, None).source == "layers['other']"


def test_denoised_values_are_refused(adata):
    adata.layers["denoised"] = adata.layers["counts"].toarray() + 0.25
    with pytest.raises(ValueError, match=r"layers\['denoised'\].*not whole numbers"):
        sps.tl.markers(adata, "domain", layer="denoised")
    assert "markers" not in adata.uns


def test_genes_can_be_chosen_and_the_library_keeps_all(adata):
    adata.var["left_out"] = np.arange(50) % 2 == 0
    sps.tl.markers(adata, "domain")
    everything = sps.get.markers(adata, "layer_1").set_index("gene")
    sps.tl.markers(adata, "domain", genes="left_out")
    some = sps.get.markers(adata, "layer_1").set_index("gene")
    assert sorted(some.index) == sorted(adata.var_names[::2])
    np.testing.assert_allclose(some["p_value"], everything.loc[some.index, "p_value"])
    sps.tl.markers(adata, "domain", genes=list(adata.var_names[:5]), n_genes=2)
    assert len(sps.get.markers(adata)) == 8


def test_notes_say_where_domains_come_from(adata):
    sps.tl.markers(adata, "domain")
    assert sps.get.markers(adata).attrs["notes"] == []
    adata.obsm["Z"] = np.random.default_rng(0).normal(size=(300, 4)) + 9 * np.eye(4)[np.arange(300) % 4]
    sps.tl.domains(adata, "Z", [2, 3], n_init=3)
    for key in ("spatial_domain", "spatial_domain_2"):
        sps.tl.markers(adata, key)
        assert "expected by construction" in sps.get.markers(adata).attrs["notes"][0]
    sps.tl.markers(adata, genes=adata.var_names[:10])
    assert "left out of the representation" in sps.get.markers(adata).attrs["notes"][0]


def with_patch(n_changed, fold, seed=0, n_slices=1):
    """A tissue with a patch at its rim in which some genes are raised, and half as many lowered."""
    adata = sps.datasets.synthetic_tissue(n_slices, 900, n_genes=500, n_domains=4, batch_effect="none", seed=seed)
    adata.obs["found"] = adata.obs["domain"].astype(str)
    patch = np.zeros(adata.n_obs, dtype=bool)
    for rows in adata.obs.groupby("slice", observed=True).indices.values():
        positions = adata.obsm["spatial"][rows]
        corner = positions[np.argmin(positions @ [1.0, 0.3])]
        patch[rows[np.argsort(np.linalg.norm(positions - corner, axis=1))[:40]]] = True
    adata.obs.loc[patch, "found"] = "odd"
    counts = adata.layers["counts"].toarray()
    rng = np.random.default_rng(seed)
    genes = rng.permutation(500)
    up, down = genes[:n_changed], genes[n_changed : n_changed + n_changed // 2]
    counts[np.ix_(patch, up)] = rng.poisson(fold * (counts[:, up].mean(axis=0) + 0.5), (patch.sum(), n_changed))
    counts[np.ix_(patch, down)] = rng.binomial(counts[np.ix_(patch, down)].astype(int), 0.3)
    adata.layers["counts"] = sparse.csr_matrix(counts)
    return adata


def flags(adata):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sps.tl.markers(adata, "found")
    table = adata.uns["markers"]["domains"].set_index("domain")
    flagged = table.index[table["contamination_like"]].tolist()
    assert len([w for w in caught if "contamination" in str(w.message)]) == len(flagged)
    return flagged


@pytest.mark.parametrize("seed", [0, 1])
def test_a_patch_with_few_strongly_raised_genes_is_flagged(seed):
    assert flags(with_patch(5, 8.0, seed)) == ["odd"]


def test_tissue_is_not_flagged():
    assert flags(with_patch(100, 4.0)) == []  # a small domain with a profile of its own
    assert flags(with_patch(0, 1.0)) == []  # a small domain without one
    assert flags(with_patch(5, 8.0, n_slices=2)) == []  # a domain at the same place in two slices
    spread = with_patch(5, 8.0)
    spread.obs["found"] = np.random.default_rng(0).permutation(spread.obs["found"])
    assert flags(spread) == []
    nowhere = with_patch(5, 8.0)
    del nowhere.obsm["spatial"]
    assert flags(nowhere) == []


def test_a_patch_of_mitochondrial_counts_is_flagged():
    adata = with_patch(0, 1.0)
    adata.var_names = [f"MT-{i}" if i < 8 else f"g{i}" for i in range(500)]
    counts = adata.layers["counts"].toarray()
    patch = (adata.obs["found"] == "odd").to_numpy()
    counts[np.ix_(patch, range(8))] *= 4
    adata.layers["counts"] = sparse.csr_matrix(counts)
    assert flags(adata) == ["odd"]
    assert "mitochondrial" in adata.uns["markers"]["domains"].set_index("domain").loc["odd", "reason"]


def test_spots_without_domain_and_small_domains_are_left_out(adata):
    adata.obs["partly"] = adata.obs["domain"].astype(str)
    adata.obs.loc[adata.obs_names[:20], "partly"] = None
    adata.obs.loc[adata.obs_names[20:22], "partly"] = "two"
    sps.tl.markers(adata, "partly")
    assert "two" not in set(sps.get.markers(adata)["domain"])
    assert adata.uns["markers"]["domains"]["n_spots"].sum() == 280


@pytest.mark.data
def test_contamination_of_a_real_section_is_flagged_and_layers_are_not(section):
    adata = section("dlpfc_151673_hvg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sps.tl.markers(adata, "domain", size_factor_key="total_umi_full")
    assert not adata.uns["markers"]["domains"]["contamination_like"].any()
    # The patch itself: the spots with most transcripts of immunoglobulins, near the centre of these spots.
    genes = ["IGKC", "IGLC2", "IGHG3"]
    totals = np.asarray(adata[:, genes].X.sum(axis=1)).ravel() / adata.obs["total_umi_full"].to_numpy()
    positions = adata.obsm["spatial"].astype(float)
    centre = np.median(positions[np.argsort(-totals)[:40]], axis=0)
    patch = np.argsort(np.linalg.norm(positions - centre, axis=1))[:80]
    adata.obs["found"] = adata.obs["domain"].astype(str)
    adata.obs.iloc[patch, adata.obs.columns.get_loc("found")] = "patch"
    with pytest.warns(UserWarning, match="'patch' looks like contamination"):
        sps.tl.markers(adata, "found", size_factor_key="total_umi_full")


def test_lazy_counts(adata, tmp_path):
    pytest.importorskip("dask")
    adata.write_h5ad(tmp_path / "a.h5ad")
    lazy = sps.io.read_sections([tmp_path / "a.h5ad"], lazy=True)
    sps.tl.markers(lazy, "domain")
    sps.tl.markers(adata, "domain")
    pd.testing.assert_frame_equal(sps.get.markers(lazy), sps.get.markers(adata), check_exact=False)


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_the_result_survives_files(adata, tmp_path):
    sps.tl.markers(adata, "domain")
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata.write_zarr(tmp_path / "a.zarr")
    for back in (anndata.read_h5ad(tmp_path / "a.h5ad"), anndata.read_zarr(tmp_path / "a.zarr")):
        pd.testing.assert_frame_equal(sps.get.markers(back), sps.get.markers(adata), check_names=False)
        sps.pl.markers(back, show=False)
