"""The benchmark of new sections, on a synthetic tissue."""

import numpy as np
import pandas as pd
import pytest

import benchmarks.new_sections.__main__ as new_sections
import spotscape as sps
from benchmarks.common.counts import thin
from benchmarks.new_sections import cases, questions


@pytest.fixture
def files(tmp_path):
    """Two sections of one donor, and two further donors."""
    paths = []
    for seed in range(3):
        adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=120, n_genes=150, n_domains=3, seed=seed)
        for i, name in enumerate(("slice_1", "slice_2")[: 2 if seed == 0 else 1]):
            one = adata[adata.obs["slice"] == name].copy()
            one.obs["slice"] = f"donor{seed}_{i}"
            paths.append(str(tmp_path / f"donor{seed}_{i}.h5ad"))
            one.write_h5ad(paths[-1])
    return paths


@pytest.mark.parametrize("model", ["SPOTSCAPE", "SEDR"])
def test_all_questions_are_answered(model, files, tmp_path, monkeypatch):
    monkeypatch.setattr(questions, "SHARES", (1.0, 0.7))
    arguments = ["--pair", *files[:2], "--cohort", *files[2:], "--seeds", "1", "--out", str(tmp_path / "out")]
    arguments += ["--model", model, "--max-epochs", "4"]
    trained, train = [], questions.train

    def watched(*arguments, **others):
        trained.append(type(found := train(*arguments, **others)).__name__)
        return found

    monkeypatch.setattr(questions, "train", watched)
    assert new_sections.main(arguments) == 0
    # The unknown domain, both directions of the pair, and each donor held out.
    assert trained == [model] * 5
    results = pd.read_csv(tmp_path / "out" / "results.csv")
    assert set(results["question"]) == {"genes", "novelty", "unknown domain", "confidence"}
    assert results["value"].notna().all() and results["data"].nunique() == 5
    assert "zeros" in (tmp_path / "out" / "summary.md").read_text()
    assert (tmp_path / "out" / "new_sections.png").stat().st_size > 10_000

    # One question is answered again where its rows are gone, the others are not.
    path = tmp_path / "out" / "results.csv"
    results[results["question"] != "genes"].to_csv(path, index=False)
    new_sections.main(arguments)
    assert trained == [model] * 7
    again = pd.read_csv(path)
    columns = list(again.columns)
    pd.testing.assert_frame_equal(
        *(table.sort_values(columns).reset_index(drop=True) for table in (again, results)), check_exact=True
    )
    with pytest.raises(SystemExit, match="other settings"):
        new_sections.main([*arguments, "--drop-label", "undetermined"])


def test_cases_change_what_they_say():
    adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=100, n_genes=80, seed=0)
    adata.X = adata.layers["counts"].copy()
    adata.obs["total"] = 2 * np.asarray(adata.X.sum(axis=1)).ravel()
    thinned = thin(adata, 0.25, np.random.default_rng(0), "total")
    for now, before in ((thinned.X.sum(), adata.X.sum()), (thinned.obs["total"].sum(), adata.obs["total"].sum())):
        assert now == pytest.approx(0.25 * before, rel=0.05)
    assert cases.keep_genes(adata, 0.3, 0).n_vars == pytest.approx(24, abs=12)
    shuffled = cases.shuffle_gene_names(adata, 0)
    assert set(shuffled.var_names) == set(adata.var_names) and not shuffled.var_names.equals(adata.var_names)
    np.testing.assert_array_equal(shuffled.X.toarray(), adata.X.toarray())
