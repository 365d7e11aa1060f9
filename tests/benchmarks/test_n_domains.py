"""The benchmark of the number of domains, on a small synthetic tissue."""

import numpy as np
import pandas as pd
import pytest

import benchmarks.n_domains.__main__ as n_domains
import spotscape as sps
from benchmarks.n_domains import criteria


@pytest.mark.parametrize("model", ["SPOTSCAPE", "SEDR"])
def test_every_criterion_chooses_for_every_tissue(model, tmp_path, monkeypatch):
    monkeypatch.setattr(criteria, "CANDIDATES", range(2, 5))
    monkeypatch.setattr(n_domains, "SYNTHETIC", ({"n_slices": 1, "n_spots": 100, "n_genes": 60, "n_domains": 3},))
    adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=100, n_genes=60, n_domains=4)
    adata.write_h5ad(tmp_path / "tissue.h5ad")
    out = tmp_path / "out"
    arguments = [str(tmp_path / "tissue.h5ad"), "--model", model, "--synthetic", "--max-epochs", "2"]
    assert n_domains.main([*arguments, "--out", str(out)]) == 0
    table = pd.read_csv(out / "results.csv")
    assert table["n_labels"].tolist() == [4, 3] and table["tissue"][0] == "tissue"
    assert (table["model"] == model).all()
    assert table.drop(columns=["tissue", "model", "seed", "n_labels"]).isin([2, 3, 4]).all(axis=None)

    # What is there is not measured again.
    text = (out / "results.csv").read_text()
    monkeypatch.setattr(n_domains, "train", lambda *_, **__: 1 / 0)
    assert n_domains.main([*arguments, "--out", str(out)]) == 0
    assert (out / "results.csv").read_text() == text


def test_older_criteria_count_separate_blobs():
    truth = np.random.default_rng(0).integers(4, size=300)
    blobs = 20 * np.eye(4, 6)[truth] + np.random.default_rng(1).normal(size=(300, 6))
    assert criteria.older_criteria(blobs) == {"BIC": 4, "silhouette": 4, "gap": 4}
