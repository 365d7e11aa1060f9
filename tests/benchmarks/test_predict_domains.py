"""The benchmark of predicted domains, on a small tissue."""

import numpy as np
import pytest

import spotscape as sps
from benchmarks.predict_domains import __main__ as predict
from benchmarks.predict_domains.tables import results_of
from benchmarks.predict_domains.ways import Case, ways_of


def test_ways_agree_where_domains_are_clear():
    rng = np.random.default_rng(0)
    codes = np.arange(200) % 4
    latent = 9 * np.eye(4)[codes] + rng.normal(size=(200, 4))
    labels = codes.astype(str).astype(object)
    labels[::10] = None
    case = Case("blobs", None, np.arange(200) < 60, labels)
    rows = {row["way"]: row for row in ways_of(case, latent, latent[:, ::-1], 4)}
    assert len(rows) == 4 and all(row["ari"] == 1 and row["calibration_error"] < 0.2 for row in rows.values())
    # A representation of the new section that differs is worse, unless it is clustered on its own.
    latent[:60, 0] += 30
    rows = {row["way"]: row for row in ways_of(case, latent, latent, 4)}
    assert rows["predicted"]["ari"] < 0.5 and rows["clustered on its own"]["ari"] == 1


def test_run_and_resume(tmp_path, monkeypatch):
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=100, n_genes=60, n_domains=3, seed=0)
    paths = [str(tmp_path / f"{name}.h5ad") for name in ("a", "b")]
    for path, name in zip(paths, ("slice_1", "slice_2"), strict=True):
        adata[adata.obs["slice"] == name].copy().write_h5ad(path)
    arguments = ["--pair", *paths, "--seeds", "1", "--max-epochs", "2", "--out", str(tmp_path / "out")]
    assert predict.main(arguments) == 0
    table = results_of(tmp_path / "out").read()
    assert table["case"].unique().tolist() == ["slice_1 to slice_2", "slice_2 to slice_1"]
    assert len(table) == 8 and table["ari"].between(-1, 1).all() and table["calibration_error"].between(0, 1).all()
    assert "trained and clustered together" in (tmp_path / "out" / "summary.md").read_text()
    monkeypatch.setattr("benchmarks.predict_domains.ways.train", lambda *_, **__: 1 / 0)
    assert predict.main(arguments) == 0
    with pytest.raises(SystemExit):
        predict.main(["--out", str(tmp_path / "other")])
