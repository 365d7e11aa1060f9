"""The benchmark of new sections, on a synthetic tissue."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import spotscape as sps

# The benchmarks are programs that lie beside each other, not a package.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import _new_section_cases
import new_sections


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
    monkeypatch.setattr(new_sections, "SHARES", (1.0, 0.7))
    arguments = ["--pair", *files[:2], "--cohort", *files[2:], "--seeds", "1", "--out", str(tmp_path / "out")]
    trained, train = set(), new_sections.train

    def watched(*arguments, **others):
        trained.add(type(found := train(*arguments, **others)).__name__)
        return found

    monkeypatch.setattr(new_sections, "train", watched)
    new_sections.main([*arguments, "--model", model], max_epochs=4)
    assert trained == {model}
    results = pd.read_csv(tmp_path / "out" / "results.csv")
    assert set(results["question"]) == {"genes", "novelty", "unknown domain", "confidence"}
    assert results["value"].notna().all() and results["data"].nunique() == 5
    assert "zeros" in (tmp_path / "out" / "summary.md").read_text()
    assert (tmp_path / "out" / "new_sections.png").stat().st_size > 10_000


def test_cases_change_what_they_say():
    adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=100, n_genes=80, seed=0)
    adata.X = adata.layers["counts"].copy()
    adata.obs["total"] = 2 * np.asarray(adata.X.sum(axis=1)).ravel()
    thinned = _new_section_cases.thin(adata, 0.25, 0, "total")
    for now, before in ((thinned.X.sum(), adata.X.sum()), (thinned.obs["total"].sum(), adata.obs["total"].sum())):
        assert now == pytest.approx(0.25 * before, rel=0.05)
    assert _new_section_cases.keep_genes(adata, 0.3, 0).n_vars == pytest.approx(24, abs=12)
    shuffled = _new_section_cases.shuffle_gene_names(adata, 0)
    assert set(shuffled.var_names) == set(adata.var_names) and not shuffled.var_names.equals(adata.var_names)
    np.testing.assert_array_equal(shuffled.X.toarray(), adata.X.toarray())
