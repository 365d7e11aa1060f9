"""The benchmark of differential expression: what is simulated, counted and written."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from benchmarks.differential_expression import __main__ as program
from benchmarks.differential_expression import measures
from benchmarks.differential_expression.simulation import (
    Planted,
    Variation,
    base_tissue,
    random_halves,
    simulate,
)


def test_the_planted_difference_is_in_its_domain_only():
    tissue = base_tissue(6, 400, 60, seed=0)
    still = Variation(between=1e-9, within=1e-9)
    adata, differs = simulate(tissue, still, Planted("layer_2", 2.0, share=0.2), np.random.default_rng(0))
    assert differs.sum() == 12
    treated = (adata.obs["condition"] == "treated").to_numpy()
    assert adata.obs.groupby("condition", observed=True)["slice"].nunique().tolist() == [3, 3]
    for domain, expected in (("layer_2", 2.0), ("layer_1", 0.0)):
        inside = (adata.obs["domain"] == domain).to_numpy()
        means = [np.asarray(adata.X[inside & side].mean(axis=0)).ravel() for side in (treated, ~treated)]
        change = np.log2((means[0] + 0.01) / (means[1] + 0.01))
        assert np.abs(change[differs]).mean() == pytest.approx(expected, abs=0.35)
        assert np.abs(change[~differs]).mean() < 0.3
    np.testing.assert_array_equal(tissue.X.toarray(), tissue.layers["counts"].toarray())


def test_replicates_vary_as_asked():
    tissue = base_tissue(4, 400, 60, seed=0)
    adata, _ = simulate(tissue, Variation(between=0.5, within=1e-9, df=1e6), None, np.random.default_rng(0))
    slices = adata.obs["slice"].to_numpy()
    kept = np.array(
        [
            adata.X[slices == name].sum(axis=0).A1 / tissue.X[slices == name].sum(axis=0).A1
            if hasattr(adata.X.sum(axis=0), "A1")
            else np.ravel(adata.X[slices == name].sum(axis=0)) / np.ravel(tissue.X[slices == name].sum(axis=0))
            for name in np.unique(slices)
        ]
    )
    assert np.log(kept).std(axis=0, ddof=1).mean() == pytest.approx(0.5 * 0.92, abs=0.08)


def test_halves_have_half_of_each_slice():
    adata = base_tissue(2, 100, 40, seed=0)
    table = pd.crosstab(adata.obs["slice"], random_halves(adata, np.random.default_rng(0)))
    assert table.to_numpy().tolist() == [[50, 50], [50, 50]]


def test_what_is_counted():
    table = pd.DataFrame(
        {
            "domain": pd.Categorical(["a"] * 4 + ["b"] * 4),
            "gene": ["g0", "g1", "g2", "g3"] * 2,
            "p_value": [0.001, 0.001, 0.2, 0.3, 0.01, 0.04, 0.5, 0.6],
            "p_adjusted": [0.01, 0.01, 0.3, 0.3, 0.04, 0.08, 0.7, 0.7],
        }
    )
    adata = AnnData(np.zeros((1, 4)), var=pd.DataFrame(index=["g0", "g1", "g2", "g3"]))
    adata.uns["differential_expression"] = {"table": table}
    found = measures.count(adata, "a", np.array([True, False, True, False]))
    assert found["tests"] == 4 and found["below"] == 2
    assert found["domains"] == 1 and found["domains_with_any"] == 1
    assert found["planted"] == 2 and found["found"] == 1 and found["false"] == 1 and found["false_share"] == 0.5


def test_run_and_resume(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(program, "CASES", [case for case in program.CASES if case.n_slices == 4][:2])
    cases = [*program.CASES, program.Case("planted", "pseudobulk", 4, 0.1, 2.0)]
    cases.append(program.Case("conditions", "rank sum over spots", 4))
    monkeypatch.setattr(program, "CASES", cases)
    arguments = ["--simulations", "2", "--spots", "150", "--genes", "60", "--out", str(tmp_path)]
    assert program.main(arguments) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert program.main(arguments) == 0 and not capsys.readouterr().out
    assert measures.results_of(tmp_path).read()["simulations"].tolist() == [2, 2, 1, 1]
    summary = (tmp_path / "summary.md").read_text()
    assert "rank sum over spots" in summary and "| 0.1 | 4.0 |" in summary
