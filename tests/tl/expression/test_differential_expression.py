"""Differential expression: samples, designs, notes, and its error rates on simulated replicates."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

import spotscape as sps
from benchmarks.differential_expression.simulation import Planted, Variation, base_tissue, simulate


@pytest.fixture(scope="module")
def tissue():
    return base_tissue(6, 150, 60, seed=0)


@pytest.fixture
def adata(tissue):
    return simulate(tissue, Variation(), None, np.random.default_rng(0))[0]


def run(adata, *args, **kwargs):
    sps.tl.differential_expression(adata, *args, **{"domain_key": "domain"} | kwargs)
    return sps.get.differential_expression(adata)


def test_samples_are_sums_over_spots_of_a_replicate(adata):
    table = run(adata, "layer_1", "condition", "slice", min_counts=0).set_index("gene")
    inside = (adata.obs["domain"] == "layer_1").to_numpy()
    rows = {name: inside & (adata.obs["slice"] == name).to_numpy() for name in adata.obs["slice"].cat.categories}
    condition = adata.obs.drop_duplicates("slice").set_index("slice")["condition"]
    treated = [name for name in rows if condition[name] == "treated"]
    detected = np.mean([(adata.X[rows[name]].toarray() > 0).mean(axis=0) for name in treated], axis=0)
    np.testing.assert_allclose(table.loc[adata.var_names, "fraction"], detected)
    sums = np.array([np.asarray(adata.X[rows[name]].sum(axis=0), dtype=float).ravel() for name in rows])
    logs = np.log(sums[:, (sums > 0).all(axis=0)])
    factors = np.exp(np.median(logs - logs.mean(axis=0), axis=1))
    sizes = factors / stats.gmean(factors) * stats.gmean(sums.sum(axis=1))
    prior = 2 * sizes / sizes.mean()
    values = np.log2((sums + prior[:, None]) / (sizes + 2 * prior)[:, None] * 1e6)
    is_treated = np.array([name in treated for name in rows])
    expected = values[is_treated].mean(axis=0) - values[~is_treated].mean(axis=0)
    np.testing.assert_allclose(table.loc[adata.var_names, "log2_fold_change"], expected)
    assert set(table["unit"]) == {"replicate"} and set(table["group"]) == {"treated"}
    np.testing.assert_allclose(table["p_adjusted"], stats.false_discovery_control(table["p_value"]))


def test_true_markers_are_found_between_domains_within_replicates(adata, tissue):
    table = run(adata, "layer_1", replicate="slice", reference_domain="patch_1")
    described = adata.uns["differential_expression"]["domains"]
    assert described["paired"].all() and described["n_replicates"].tolist() == [6]
    up = table["gene"][(table["p_adjusted"] < 0.05) & (table["log2_fold_change"] > 0)]
    kinds = tissue.var.loc[up, "marker_of"].astype(str)
    assert (kinds == "layer_1").sum() > 0 and (kinds == "patch_1").sum() == 0


def test_crossed_conditions_are_compared_within_replicates(adata):
    adata.obs["donor"] = adata.obs["slice"].map(dict(zip(adata.obs["slice"].cat.categories, "aabbcc", strict=True)))
    sides = dict(zip(adata.obs["slice"].cat.categories, ["old", "new"] * 3, strict=True))
    adata.obs["state"] = pd.Categorical(adata.obs["slice"].map(sides), categories=["old", "new"])
    table = run(adata, "layer_1", "state", "donor")
    described = adata.uns["differential_expression"]["domains"]
    assert described["paired"].all() and described["n_replicates"].tolist() == [3]
    assert set(table["group"]) == {"new"}
    adata.obs.loc[(adata.obs["donor"] == "a").to_numpy(), "state"] = "old"
    with pytest.raises(ValueError, match="'b' has both conditions and 'a' only one"):
        run(adata, "layer_1", "state", "donor")


def test_replicates_without_a_domain_are_named(adata):
    lost = ((adata.obs["slice"] == "slice_2") & (adata.obs["domain"] == "patch_1")).to_numpy()
    kept = adata[~lost].copy()
    with pytest.warns(UserWarning, match="domain 'patch_1' are left out: slice_2"):
        table = run(kept, ["layer_1", "patch_1"], "condition", "slice")
    described = kept.uns["differential_expression"]["domains"].set_index("domain")
    assert described["lacking"].to_dict() == {"layer_1": "", "patch_1": "slice_2"}
    assert any("slice_2" in note for note in table.attrs["notes"])


def test_too_few_replicates_are_refused_or_left_out(adata):
    condition = adata.obs.drop_duplicates("slice").set_index("slice")["condition"]
    treated = condition.index[condition == "treated"]
    lost = (adata.obs["slice"].isin(treated[:2]) & (adata.obs["domain"] == "patch_1")).to_numpy()
    kept = adata[~lost].copy()
    with pytest.raises(ValueError, match="2 replicates per group.*'patch_1' has 1 in 'treated' and 3 in 'control'"):
        run(kept, "patch_1", "condition", "slice")
    assert "differential_expression" not in kept.uns
    with pytest.warns(UserWarning, match="Not tested: domain 'patch_1'"):
        table = run(kept, None, "condition", "slice")
    assert "patch_1" not in set(table["domain"])
    few = adata[adata.obs["slice"].isin([treated[0], condition.index[condition == "control"][0]])].copy()
    with pytest.raises(ValueError, match="2 replicates per group"):
        run(few, None, "condition", "slice")


def test_spots_without_replicates_are_tested_with_a_stored_warning(adata, tmp_path):
    with pytest.warns(UserWarning, match="spots were tested, which are not independent"):
        table = run(adata, "layer_1", "condition")
    assert set(table["unit"]) == {"spot"} and "no replicates" in table.attrs["notes"][0]
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert "no replicates" in sps.get.differential_expression(back).attrs["notes"][0]
    assert "not replicates" in sps.pl.volcano(back, show=False)[0].get_title()


def test_domains_found_from_expression_are_noted(adata):
    adata.uns["domain"] = {"use_rep": "X_spotscape"}
    assert "which spots belong to a domain" in run(adata, None, "condition", "slice").attrs["notes"][0]
    paired = {"replicate": "slice", "reference_domain": "rest"}
    assert "expected by construction" in run(adata, **paired).attrs["notes"][0]
    some = run(adata, **paired, genes=adata.var_names[:30])
    assert "left out of the representation" in some.attrs["notes"][0] and some["gene"].nunique() <= 30


def test_the_order_of_spots_does_not_matter(adata):
    first = run(adata, None, "condition", "slice")
    shuffled = adata[np.random.default_rng(0).permutation(adata.n_obs)].copy()
    pd.testing.assert_frame_equal(first, run(shuffled, None, "condition", "slice"))


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_results_survive_files(adata, tmp_path):
    run(adata, None, "condition", "slice")
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata.write_zarr(tmp_path / "a.zarr")
    for back in (anndata.read_h5ad(tmp_path / "a.h5ad"), anndata.read_zarr(tmp_path / "a.zarr")):
        pd.testing.assert_frame_equal(
            sps.get.differential_expression(back), sps.get.differential_expression(adata), check_names=False
        )


def test_genes_without_counts_are_not_tested(adata):
    adata.X = sparse.csr_matrix(adata.X.multiply(np.arange(60) >= 20))
    table = run(adata, "layer_1", "condition", "slice")
    assert table["gene"].isin(adata.var_names[20:]).all()


def test_domains_of_noise_differ_in_the_genes_they_were_found_from_only():
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(rng.normal(0, 1, 200)) * np.exp(0.3 * rng.normal(size=(800, 1)))).astype(np.float32)
    obs = pd.DataFrame({"slice": np.repeat(list("abcd"), 200)}, index=np.arange(800).astype(str))
    adata = anndata.AnnData(counts, obs=obs)
    adata.var_names = [f"g{i}" for i in range(200)]
    adata.var["left_out"] = np.arange(200) % 2 == 0
    values = np.log1p(counts[:, 1::2] / counts.sum(axis=1, keepdims=True) * 200)
    adata.obsm["X_pca"] = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)[0][:, :5]
    sps.tl.domains(adata, "X_pca", 3, method="kmeans", n_init=3)
    below = {}
    for name, genes in (("same", adata.var_names[1::2]), ("left out", "left_out")):
        arguments = {"replicate": "slice", "reference_domain": "rest", "genes": genes, "min_counts": 0}
        table = run(adata, domain_key="spatial_domain", **arguments)
        below[name] = (table["p_value"] < 0.05).mean()
    assert below["same"] > 0.2 and below["left out"] < 0.09


@pytest.mark.slow
def test_error_rates_and_power():
    """Conditions drawn 150 times on eight slices without a difference, 20 times on six with one."""
    rng = np.random.default_rng(0)
    eight, six = base_tissue(8, 400, 200, seed=0), base_tissue(6, 400, 200, seed=1)
    rates, discoveries = [], []
    for _ in range(150):
        table = run(simulate(eight, Variation(), None, rng)[0], None, "condition", "slice")
        rates.append((table["p_value"] < 0.05).mean())
        discoveries.append((table["p_adjusted"] < 0.05).groupby(table["domain"], observed=True).any().mean())
    assert 0.03 < np.mean(rates) < 0.07
    assert np.mean(discoveries) < 0.08
    power, false = [], []
    for _ in range(20):
        adata, differs = simulate(six, Variation(), Planted("layer_2", 2.0), rng)
        table = run(adata, None, "condition", "slice")
        found = set(table["gene"][(table["p_adjusted"] < 0.05) & (table["domain"] == "layer_2")])
        power.append(len(found & set(adata.var_names[differs])) / differs.sum())
        elsewhere = table[table["domain"] != "layer_2"]
        false.append((elsewhere["p_adjusted"] < 0.05).mean())
    assert np.mean(power) > 0.7 and np.mean(false) < 0.01
