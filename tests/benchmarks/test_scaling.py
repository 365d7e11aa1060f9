"""The scaling benchmark, on a few hundred cells and on made-up results."""

import json
import os
import sys
import time
from functools import partialmethod
from pathlib import Path

import anndata
import matplotlib.image
import numpy as np
import pytest

import spotscape as sps

# The benchmarks are programs that lie beside each other, not a package.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import _peer_positions
import _peers
import _scaling_data
import _scaling_figure
import _scaling_limits
import _scaling_run
import _scaling_stages
import scaling
import step_cost

CPU = ["--accelerator", "cpu"]
STAGES = ["read", "set-up", "model", "training", "embedding", "domains"]


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    path = tmp_path_factory.mktemp("tissues") / "300x60x2.h5ad"
    _scaling_data.write_tissue(_scaling_data.Size(300, 60, 2), path)
    return path


def line(method="spotscape", n_cells=3000, *, status="finished", **more):
    """A line of the results as a run writes it."""
    settings = {"repeat": 0, "threads": 1, "accelerator": "cpu", "precision": None, "batch_size": None}
    result = {"method": method, "n_cells": n_cells, "n_genes": 300, "n_slices": 1, **settings, "status": status}
    result |= {"process_seconds": 50.0, "process_gib": 1.5, "load": 0.1}
    if status == "finished" and method != _scaling_figure.LITERAL:
        result |= {
            "total_seconds": 40.0,
            "max_gib": 2.0,
            "ari": 0.5,
            "n_domains_found": 10,
            "seconds": {"training": 30.0},
        }
        result |= {"peak_gib": {"training": 2.0}, "versions": {"torch": "2.0"}}
    return result | more


# ---------------------------------------------------------------------------------------------------------- sizes


def test_sizes_are_read():
    assert _scaling_data.Size.parse("3000") == _scaling_data.Size(3000, 300, 1)
    assert _scaling_data.Size.parse("100000") == _scaling_data.Size(100_000, 300, 20)
    assert _scaling_data.Size.parse("500x70") == _scaling_data.Size(500, 70, 1)
    # 13 slices of 38,461 cells.
    assert _scaling_data.Size.parse("500000x5000x13") == _scaling_data.Size(499_993, 5000, 13)


@pytest.mark.parametrize("text", ["many", "3000x", "1x2x3x4"])
def test_no_size(text, tmp_path, capsys):
    with pytest.raises(SystemExit):
        scaling.main(["--out", str(tmp_path), "--sizes", text])
    assert "is no size" in capsys.readouterr().err


def test_tissues(tissue, tmp_path):
    few = anndata.read_h5ad(tissue)
    assert few.shape == (300, 60) and few.obs["slice"].nunique() == 2 and "counts" not in few.layers
    _scaling_data.write_tissue(_scaling_data.Size(100, 2000), tmp_path / "tissue.h5ad")
    many = anndata.read_h5ad(tmp_path / "tissue.h5ad")
    assert 0.02 < many.X.nnz / np.prod(many.shape) < 0.06
    assert few.X.nnz / np.prod(few.shape) > 0.3


# ------------------------------------------------------------------------------------------------------- measuring


@pytest.mark.parametrize("model", ["SPOTSCAPE", "SEDR"])
def test_measured_run(model, tissue, tmp_path, capsys, monkeypatch):
    path, model_class = tmp_path / "record.json", getattr(sps, model)
    monkeypatch.setattr(model_class, "train", partialmethod(model_class.train, 5))
    _scaling_run.main([model, str(tissue), str(path), "--profile", "--batch-size", "150"])
    record = json.loads(path.read_text())
    assert list(record["seconds"]) == STAGES
    assert record["total_seconds"] == pytest.approx(sum(record["seconds"].values()))
    peaks = list(record["peak_gib"].values())
    assert list(record["peak_gib"]) == ["start", *STAGES] and peaks == sorted(peaks) and record["max_gib"] == peaks[-1]
    assert 0.01 < record["current_gib"]["domains"] <= record["max_gib"]
    assert -1 <= record["ari"] <= 1 and 2 <= record["n_domains_found"] <= 10
    assert {"spotscape", "torch"} <= set(record["versions"])
    printed = capsys.readouterr().out
    assert record["n_steps"] > 2 and printed.count("step ") >= record["n_steps"]
    assert 0 < record["seconds_per_step"] < record["seconds"]["training"]


def test_another_model_has_lines_of_its_own(tmp_path):
    options = scaling._parse(["--out", str(tmp_path), "--model", "SEDR", "--sizes", "3000", "--literal-sizes"])
    (run,) = scaling.plan_runs(options)
    assert scaling.command(run, Path("tissue"), Path("record"), options)[2:] == ["SEDR", "tissue", "record", *CPU]
    assert not scaling.is_there(run, [line()]) and scaling.is_there(run, [line("SEDR", threads=run.threads)])
    _scaling_figure.write_tables([line(), line("SEDR", total_seconds=20.0)], tmp_path / "scaling.md")
    table = (tmp_path / "scaling.md").read_text()
    assert "| 3,000 × 300 | SEDR | – | – | – | 30 | – | – | 20 |" in table
    assert "| cells × genes | spotscape | SEDR |" in table


def test_memory_is_that_of_the_process_alone(tmp_path):
    # What a process had before it started another is not the other's.
    ballast = np.ones(50 * 2**20, dtype=np.uint8)
    code = f"import sys; sys.path.insert(0, {str(scaling._HERE)!r}); from _scaling_stages import peak_gib; "
    code += (
        "before = peak_gib(); a = bytearray(200 * 2**20); a[::4096] = b'1' * len(a[::4096]); print(peak_gib() - before)"
    )
    log = tmp_path / "log.txt"
    assert _scaling_limits.run_limited([sys.executable, "-c", code], log=log).status == "finished"
    assert float(log.read_text()) == pytest.approx(200 / 1024, abs=0.02)
    assert _scaling_stages.peak_gib() > ballast.nbytes / 2**30


def test_literal_step_has_the_same_loss(tissue):
    adata = anndata.read_h5ad(tissue)
    result = step_cost.compare_steps(adata[adata.obs["slice"] == "slice_1"].copy(), n_steps=1, n_literal_steps=1)
    assert result["spots"] == 150 and result["genes"] == 60
    assert result["relative_difference_of_the_telescope_loss"] < 1e-4
    assert result["ratio"] == result["literal_seconds_per_step"] / result["spotscape_seconds_per_step"]
    assert 0 < result["spotscape_gib"] <= result["literal_gib"]


# ---------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("code", "limits", "status"),
    [
        ("print('well')", {}, _scaling_limits.FINISHED),
        ("import time; time.sleep(60)", {"max_seconds": 0.3}, _scaling_limits.OUT_OF_TIME),
        ("import time; a = b'1' * 2**28; time.sleep(60)", {"max_gib": 0.1}, _scaling_limits.OUT_OF_MEMORY),
        ("raise ValueError('this is wrong')", {}, "failed: ValueError: this is wrong"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", {}, "failed: ended by SIGKILL"),
    ],
)
def test_limits(code, limits, status, tmp_path):
    outcome = _scaling_limits.run_limited([sys.executable, "-c", code], log=tmp_path / "log.txt", **limits)
    assert outcome.status == status
    if status != _scaling_limits.FINISHED:
        assert outcome.seconds < 30
    if "max_gib" in limits:
        assert outcome.gib > limits["max_gib"]


def test_children_count_and_are_ended(tmp_path):
    child = "import os, time; print(os.getpid(), flush=True); a = b'1' * 2**28; time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    log = tmp_path / "log.txt"
    outcome = _scaling_limits.run_limited([sys.executable, "-c", code], log=log, max_gib=0.2)
    assert outcome.status == _scaling_limits.OUT_OF_MEMORY
    assert _scaling_limits.group_gib(os.getpgrp()) > 0
    deadline = time.monotonic() + 20
    while is_running(int(log.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(process):
    """Whether a process is neither gone nor ended and only not collected yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_peer_that_does_not_finish(tissue, tmp_path, monkeypatch, capsys):
    dummy = tmp_path / "dummy.py"
    dummy.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(scaling, "prepare", lambda *_: Path(sys.executable))
    monkeypatch.setattr(scaling, "script", lambda _: dummy)
    monkeypatch.setattr(scaling, "tissue_file", lambda *_: tissue)
    arguments = ["--sizes", "--literal-sizes", "--peers", "banksy", "--peer-sizes", "500", "300", "--peer-limit", "0.2"]
    out = tmp_path / "out"
    assert scaling.main([*arguments, "--out", str(out)]) == 0
    lines = _scaling_figure.read_results(out / "results.jsonl")
    # The larger one is not tried, and neither is again when the program goes on.
    assert [(one["n_cells"], one["status"]) for one in lines] == [(300, _scaling_limits.OUT_OF_TIME)]
    before = (out / "results.jsonl").read_text()
    assert scaling.main([*arguments, "--out", str(out)]) == 0
    assert (out / "results.jsonl").read_text() == before
    assert "did not finish: time" in (out / "scaling.md").read_text()


def test_failed_runs_are_measured_again():
    run = scaling.Run("spotscape", _scaling_data.Size(3000))
    assert scaling.is_there(run, [line()])
    assert not scaling.is_there(run, [line(status="failed: ValueError")])
    assert not scaling.is_there(run, [line(threads=2)])
    assert not scaling.is_there(run, [line(n_cells=1000)])
    assert scaling.is_there(run, [line(n_cells=1000, repeat=1, status=_scaling_limits.OUT_OF_MEMORY)])
    assert not scaling.is_there(run, [line(n_cells=9000, status=_scaling_limits.OUT_OF_MEMORY)])


# ----------------------------------------------------------------------------------------------- tables and picture


def test_tables_and_picture(tmp_path, capsys):
    literal = {"literal_seconds_per_step": 2.0, "spotscape_seconds_per_step": 0.5, "ratio": 4.0, "literal_gib": 3.0}
    literal |= {"spotscape_gib": 1.0, "relative_difference_of_the_telescope_loss": 2e-8}
    lines = [
        line(),
        line(n_cells=100_000, total_seconds=123.4),
        line(n_cells=5000, n_genes=5000, accelerator="gpu", max_gpu_gib=7.5),
        line("graphst"),
        line("graphst", 10_000, status=_scaling_limits.OUT_OF_MEMORY),
        line("cellcharter", status="failed: ValueError"),
        line("literal step", **literal),
    ]
    # The first failed before, and the last was cut off.
    text = "\n".join(json.dumps(one) for one in [line(status="failed: KeyError"), *lines]) + '\n{"method": "spot'
    (tmp_path / "results.jsonl").write_text(text)
    results = _scaling_figure.read_results(tmp_path / "results.jsonl")
    assert results == lines
    assert scaling.main(["--out", str(tmp_path), "--tables-only"]) == 0
    table = (tmp_path / "scaling.md").read_text()
    assert "| 100,000 × 300 | spotscape | – | – | – | 30 | – | – | 123 |" in table
    assert "| 10,000 × 300 | – | – | – | did not finish: memory (50, 1.5) |" in table
    assert "| 3,000 × 300 | 40, 2, 0.5 (10) | – | failed | 40, 2, 0.5 (10) |" in table
    assert "| 3,000 × 300 | 2 | 0.5 | 4 | 3 | 1 | 2.0e-08 | finished |" in table
    height, width, _ = matplotlib.image.imread(tmp_path / "scaling.png").shape
    assert width == 9 * 150 and height > 300
    assert _scaling_figure.seconds_and_gib(lines[-1]) == (600.0, 3.0)
    # The picture shows the memory of what ran out of it, not its time.
    assert [[point.finished for point in _scaling_figure._points(lines[3:5], which)] for which in (0, 1)] == [
        [True],
        [True, False],
    ]


def test_no_results(tmp_path):
    with pytest.raises(SystemExit, match="no results"):
        scaling.main(["--out", str(tmp_path), "--tables-only"])


# ----------------------------------------------------------------------------------------------------------- peers


def test_every_peer_has_a_program_and_a_colour():
    for name, peer in _peers.PEERS.items():
        compile(_peers.script(name).read_text(), name, "exec")
        assert peer.title in _scaling_figure.COLORS
    assert _peers.torch_version().count(".") == 2


def test_slices_are_laid_side_by_side(tissue):
    adata = anndata.read_h5ad(tissue)
    positions = _peer_positions.lay_side_by_side(adata)
    first, second = (positions[(adata.obs["slice"] == name).to_numpy()] for name in ("slice_1", "slice_2"))
    assert second[:, 0].min() - first[:, 0].max() >= np.ptp(first[:, 0])
    assert np.array_equal(positions[:, 1], adata.obsm["spatial"][:, 1])
    assert np.allclose(np.ptp(second, axis=0), np.ptp(adata[adata.obs["slice"] == "slice_2"].obsm["spatial"], axis=0))
