"""The benchmark of confidences, on made-up rows and a small tissue."""

import numpy as np
import pandas as pd
import pytest

import spotscape as sps
from benchmarks.calibration import __main__ as calibration
from benchmarks.calibration import curves


def test_domains_are_matched_one_to_one():
    codes = np.array([0, 0, 0, 1, 1, 2])
    labels = np.array(["a", "a", "b", "b", "a", "a"])
    # Domain 2 has no label left.
    assert curves.is_right(codes, labels).tolist() == [True, True, False, True, False, False]


def test_error_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    confidence, codes = rng.uniform(size=500), np.zeros(500, dtype=int)
    labels = np.where(rng.uniform(size=500) < confidence**2, "a", "b")
    labels[:2] = ["a", "b"]
    table = pd.DataFrame(curves.bins_of(confidence, codes, labels)).assign(section="s", seed=0)
    right = curves.is_right(codes, labels)
    slow = 0.0
    for number in range(10):
        spots = (confidence >= number / 10) & (confidence < (number + 1) / 10)
        slow += abs(confidence[spots].mean() - right[spots].mean()) * spots.mean()
    assert curves.calibration_error(table, {"s": "tissue"}) == pytest.approx(slow)


def test_tissues_have_the_same_weight():
    row = {"bin": 5, "confidence": 0.5, "seed": 0}
    table = pd.DataFrame(
        [
            row | {"section": "a1", "n_spots": 1000, "right": 1.0},
            row | {"section": "a2", "n_spots": 10, "right": 1.0},
            row | {"section": "b", "n_spots": 10, "right": 0.0},
        ]
    )
    found = curves.curve(table, {"a1": "a", "a2": "a", "b": "b"})
    assert found.loc[5, "right"] == pytest.approx(0.5) and found.loc[5, "weight"] == pytest.approx(1)


def test_run_and_resume(tmp_path, monkeypatch, capsys):
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=80, n_genes=40, n_domains=3, seed=0)
    adata.write_h5ad(tmp_path / "tissue.h5ad")
    rng = np.random.default_rng(0)
    monkeypatch.setattr(calibration, "graph_model", lambda section, seed, name: rng.normal(size=(80, 4)))
    arguments = [str(tmp_path / "tissue.h5ad"), "--seeds", "1", "--out", str(tmp_path / "out")]
    assert calibration.main(arguments) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    table = curves.results_of(tmp_path / "out").read()
    assert set(table["temperature"]) == set(curves.TEMPERATURES)
    assert table.groupby(["section", "temperature"])["n_spots"].sum().eq(80).all()
    assert calibration.main(arguments) == 0 and not capsys.readouterr().out
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert "All left-out tissues together" in summary and (tmp_path / "out" / "calibration.png").exists()
    with pytest.raises(SystemExit):
        calibration.main(["--out", str(tmp_path)])
