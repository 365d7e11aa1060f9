"""The benchmark of imputation, on a synthetic tissue."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

import benchmarks.imputation.__main__ as imputation
import spotscape as sps
from benchmarks.imputation import correlations, floors, hiding, scores


@pytest.fixture
def tissue():
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=120, n_genes=80, n_domains=3, seed=0)
    adata.X = sparse.csr_matrix(adata.layers["counts"])
    return adata


def test_everything_is_measured_and_nothing_twice(tissue, tmp_path, monkeypatch):
    path = str(tmp_path / "tissue.h5ad")
    tissue.write_h5ad(path)
    arguments = [path, "--cases", "thinning", "hold-out 20 %", "--seeds", "1", "--max-epochs", "3"]
    imputation.main([*arguments, "--out", str(tmp_path / "out")])
    results = pd.read_csv(tmp_path / "out" / "results.csv")
    assert results.groupby("case")["method"].nunique().to_dict() == {"thinning": 6, "hold-out 20 %": 7}
    assert results.loc[results["case"] == "thinning", ["deviance", "pearson", "spearman"]].notna().all(axis=None)
    assert results.loc[results["case"] != "thinning", ["rmse", "l1", "pearson"]].notna().all(axis=None)
    assert "**" in (tmp_path / "out" / "summary.md").read_text()
    assert (tmp_path / "out" / "imputation.png").stat().st_size > 10_000

    results[results["method"] != "SEDR"].to_csv(tmp_path / "out" / "results.csv", index=False)
    measured = []
    monkeypatch.setattr(imputation, "model_scores", lambda name, *_: measured.append(name) or {})
    imputation.main([*arguments, "--out", str(tmp_path / "out")])
    assert measured == ["SEDR", "SEDR"]


def test_hidden_and_shown_make_up_the_whole(tissue):
    for hidden, share in ((hiding.thin(tissue, 0), 0.2), (hiding.hold_out(tissue, 0, 0.3), 0.3)):
        np.testing.assert_array_equal((hidden.adata.X + hidden.counts).toarray(), tissue.X.toarray())
        assert hidden.counts.sum() == pytest.approx(share * tissue.X.sum(), rel=0.05)
    both = hidden.adata.X.multiply(hidden.counts)
    assert both.nnz == 0
    assert hidden.counts.nnz == pytest.approx(0.3 * tissue.X.nnz, rel=0.05)


def test_scores_of_thinning_equal_their_definitions(tissue, monkeypatch):
    monkeypatch.setattr(scores, "N_GENES_BLOCK", 7)
    hidden = hiding.thin(tissue, 0)
    shares = np.random.default_rng(0).dirichlet(np.ones(80), size=tissue.n_obs)
    observed = hidden.counts.toarray()
    shown = hidden.adata.X.toarray().sum(axis=0) + 1
    expected = observed.sum(axis=1, keepdims=True) * (shares + 0.05 * shown / shown.sum()) / 1.05
    likelihood = stats.poisson.logpmf(observed, observed).sum() - stats.poisson.logpmf(observed, expected).sum()
    often = observed.sum(axis=0) >= 50
    found = scores.score_thinning(shares, hidden)
    assert 0 < often.sum()
    assert found["deviance"] == pytest.approx(2 * likelihood / observed.sum(), rel=1e-4)
    for name, slow in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        values = [slow(observed[:, g], expected[:, g]).statistic for g in np.flatnonzero(often)]
        assert found[name] == pytest.approx(np.mean(values), abs=1e-6)


def test_scores_of_hold_out_equal_their_definitions(tissue, monkeypatch):
    monkeypatch.setattr(scores, "MIN_HIDDEN", 10)
    hidden = hiding.hold_out(tissue, 0, 0.3)
    predicted = np.random.default_rng(0).random(tissue.shape)
    counts, totals = hidden.counts.toarray(), hidden.adata.X.toarray().sum(axis=1)
    truth = np.log1p(counts * np.median(totals) / totals[:, None])
    error = (predicted - truth)[counts > 0]
    found = scores.score_hold_out(predicted, hidden)
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert found["l1"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    values = [
        np.corrcoef(predicted[seen, g], truth[seen, g])[0, 1]
        for g, seen in enumerate((counts > 0).T)
        if seen.sum() >= 10
    ]
    assert found["pearson"] == pytest.approx(np.mean(values), abs=1e-6)


def test_averages_stay_in_the_slice_and_count_the_spot_itself(tissue):
    averages = floors.averages(tissue, 0)
    slices = tissue.obs["slice"].to_numpy()
    for name, k in (("spatial kNN, k = 6", 6), ("spatial kNN, k = 18", 18), ("expression kNN", 15)):
        average = averages[name].tocoo()
        np.testing.assert_allclose(averages[name].sum(axis=1), 1, rtol=1e-5)
        assert (averages[name].diagonal() == np.float32(1 / k)).all()
        if name.startswith("spatial"):
            assert (slices[average.row] == slices[average.col]).all()


def test_controls_of_correlations_are_independent(tissue, tmp_path):
    genes = list(tissue.var_names[:3])
    made = correlations.with_controls(tissue, genes, seed=0)
    assert list(made.var_names[-3:]) == [f"{gene} (shuffled)" for gene in genes]
    assert abs(made.X[:, :80] - tissue.X).max() == 0
    # A control has the mean share of its gene.
    ratio = made.X[:, 80:].sum(axis=0) / tissue.X[:, :3].sum(axis=0)
    np.testing.assert_allclose(ratio, 1, atol=0.25)

    path = tmp_path / "tissue.h5ad"
    tissue.write_h5ad(path)
    arguments = [str(path), "--genes", *genes, "--maps", genes[0], "--seeds", "1", "--max-epochs", "2"]
    correlations.main([*arguments, "--out", str(tmp_path / "out")])
    rows = pd.read_csv(tmp_path / "out" / "correlations.csv")
    assert rows.groupby(["model", "pair"]).size().tolist() == [3, 3, 3, 3]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("correlations.csv", "correlations.md", "correlations.png", "denoised.png")
    }
