"""The scaling benchmark, on a few hundred cells and on made-up results."""

import ast
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

import benchmarks.scaling.__main__ as scaling
import spotscape as sps
from benchmarks.common import processes, stages
from benchmarks.common.registry import DOMAIN_PEERS, PEERS
from benchmarks.peers import environments, positions
from benchmarks.scaling import data, figure, limits, results, run, step_cost, tables

CPU = ["--accelerator", "cpu"]
STAGES = ["read", "set-up", "model", "training", "embedding", "domains"]


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    path = tmp_path_factory.mktemp("tissues") / "300x60x2.h5ad"
    data.write_tissue(data.Size(300, 60, 2), path)
    return path


def line(method="SPOTSCAPE", n_cells=3000, *, status="finished", **more):
    """A row of the results, without what is missing in it."""
    settings = {"repeat": 0, "threads": 1, "accelerator": "cpu"}
    result = {"method": method, "n_cells": n_cells, "n_genes": 300, "n_slices": 1, **settings, "status": status}
    result |= {"process_seconds": 50.0, "process_gib": 1.5, "load": 0.1}
    if status == "finished" and method != results.LITERAL:
        result |= {
            "total_seconds": 40.0,
            "max_gib": 2.0,
            "ari": 0.5,
            "n_domains_found": 10,
            "seconds, training": 30.0,
            "peak_gib, training": 2.0,
            "versions": "torch 2.0",
        }
    return result | more


# ---------------------------------------------------------------------------------------------------------- sizes


def test_sizes_are_read():
    assert data.Size.parse("3000") == data.Size(3000, 300, 1)
    assert data.Size.parse("100000") == data.Size(100_000, 300, 20)
    assert data.Size.parse("500x70") == data.Size(500, 70, 1)
    # 13 slices of 38,461 cells.
    assert data.Size.parse("500000x5000x13") == data.Size(499_993, 5000, 13)


@pytest.mark.parametrize("text", ["many", "3000x", "1x2x3x4"])
def test_no_size(text, tmp_path, capsys):
    with pytest.raises(SystemExit):
        scaling.main(["--out", str(tmp_path), "--sizes", text])
    assert "is no size" in capsys.readouterr().err


def test_tissues(tissue, tmp_path):
    few = anndata.read_h5ad(tissue)
    assert few.shape == (300, 60) and few.obs["slice"].nunique() == 2 and "counts" not in few.layers
    data.write_tissue(data.Size(100, 2000), tmp_path / "tissue.h5ad")
    many = anndata.read_h5ad(tmp_path / "tissue.h5ad")
    assert 0.02 < many.X.nnz / np.prod(many.shape) < 0.06
    assert few.X.nnz / np.prod(few.shape) > 0.3


# ------------------------------------------------------------------------------------------------------- measuring


@pytest.mark.parametrize("model", ["SPOTSCAPE", "SEDR"])
def test_measured_run(model, tissue, tmp_path, capsys, monkeypatch):
    path, model_class = tmp_path / "record.json", getattr(sps, model)
    monkeypatch.setattr(model_class, "train", partialmethod(model_class.train, 5))
    run.main([model, str(tissue), str(path), "--profile", "--batch-size", "150"])
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
    (planned,) = scaling.plan_runs(options)
    command = scaling.command(planned, Path("tissue"), Path("record"), options)
    assert command[1:] == ["-m", "benchmarks.scaling.run", "SEDR", "tissue", "record", *CPU]
    assert not scaling.is_there(planned, [line()])
    assert scaling.is_there(planned, [line("SEDR", threads=planned.threads)])
    tables.write_tables([line(), line("SEDR", total_seconds=20.0)], tmp_path / "scaling.md")
    table = (tmp_path / "scaling.md").read_text()
    assert "| 3,000 × 300 | SEDR | – | – | – | 30 | – | – | 20 |" in table
    assert "| cells × genes | SPOTSCAPE | SEDR |" in table


def test_memory_is_that_of_the_process_alone(tmp_path):
    # What a process had before it started another is not the other's.
    ballast = np.ones(50 * 2**20, dtype=np.uint8)
    code = (
        "from benchmarks.common.stages import peak_gib; "
        "before = peak_gib(); a = bytearray(200 * 2**20); a[::4096] = b'1' * len(a[::4096]); print(peak_gib() - before)"
    )
    log, environment = tmp_path / "log.txt", processes.module_environment()
    assert limits.run_limited([sys.executable, "-c", code], log=log, environment=environment).status == "finished"
    assert float(log.read_text()) == pytest.approx(200 / 1024, abs=0.02)
    assert stages.peak_gib() > ballast.nbytes / 2**30


def test_literal_step_has_the_same_loss(tissue):
    adata = anndata.read_h5ad(tissue)
    result = step_cost.compare_steps(adata[adata.obs["slice"] == "slice_1"].copy(), n_steps=1, n_literal_steps=1)
    assert result["spots"] == 150 and result["genes"] == 60
    assert result["relative_difference_of_the_telescope_loss"] < 1e-4
    assert result["ratio"] == result["literal_seconds_per_step"] / result["spotscape_seconds_per_step"]
    assert 0 < result["spotscape_gib"] <= result["literal_gib"]


# ---------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("code", "bounds", "status"),
    [
        ("print('well')", {}, limits.FINISHED),
        ("import time; time.sleep(60)", {"max_seconds": 0.3}, limits.OUT_OF_TIME),
        ("import time; a = b'1' * 2**28; time.sleep(60)", {"max_gib": 0.1}, limits.OUT_OF_MEMORY),
        ("raise ValueError('this is wrong')", {}, "failed: ValueError: this is wrong"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", {}, "failed: ended by SIGKILL"),
    ],
)
def test_limits(code, bounds, status, tmp_path):
    outcome = limits.run_limited([sys.executable, "-c", code], log=tmp_path / "log.txt", **bounds)
    assert outcome.status == status
    if status != limits.FINISHED:
        assert outcome.seconds < 30
    if "max_gib" in bounds:
        assert outcome.gib > bounds["max_gib"]


def test_children_count_and_are_ended(tmp_path):
    child = "import os, time; print(os.getpid(), flush=True); a = b'1' * 2**28; time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    log = tmp_path / "log.txt"
    outcome = limits.run_limited([sys.executable, "-c", code], log=log, max_gib=0.2)
    assert outcome.status == limits.OUT_OF_MEMORY
    assert limits.group_gib(os.getpgrp()) > 0
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
    monkeypatch.setattr(scaling, "module_command", lambda *_, **__: [sys.executable, str(dummy)])
    monkeypatch.setattr(scaling, "tissue_file", lambda *_: tissue)
    arguments = ["--sizes", "--literal-sizes", "--peers", "banksy", "--peer-sizes", "500", "300", "--peer-limit", "0.2"]
    out = tmp_path / "out"
    assert scaling.main([*arguments, "--out", str(out)]) == 0
    lines = results.read_lines(results.results_of(out))
    # The larger one is not tried, and neither is again when the program goes on.
    assert [(one["n_cells"], one["status"]) for one in lines] == [(300, limits.OUT_OF_TIME)]
    before = (out / "results.csv").read_text()
    assert scaling.main([*arguments, "--out", str(out)]) == 0
    assert (out / "results.csv").read_text() == before
    assert "did not finish: time" in (out / "scaling.md").read_text()


def test_failed_runs_are_measured_again():
    run = scaling.Run("SPOTSCAPE", data.Size(3000))
    assert scaling.is_there(run, [line()])
    assert not scaling.is_there(run, [line(status="failed: ValueError")])
    assert not scaling.is_there(run, [line(threads=2)])
    assert not scaling.is_there(run, [line(n_cells=1000)])
    assert scaling.is_there(run, [line(n_cells=1000, repeat=1, status=limits.OUT_OF_MEMORY)])
    assert not scaling.is_there(run, [line(n_cells=9000, status=limits.OUT_OF_MEMORY)])


# ----------------------------------------------------------------------------------------------- tables and picture


def test_tables_and_picture(tmp_path, capsys):
    literal = {"literal_seconds_per_step": 2.0, "spotscape_seconds_per_step": 0.5, "ratio": 4.0, "literal_gib": 3.0}
    literal |= {"spotscape_gib": 1.0, "relative_difference_of_the_telescope_loss": 2e-8}
    lines = [
        line(),
        line(n_cells=100_000, total_seconds=123.4),
        line(n_cells=5000, n_genes=5000, accelerator="gpu", max_gpu_gib=7.5),
        line("graphst"),
        line("graphst", 10_000, status=limits.OUT_OF_MEMORY),
        line("cellcharter", status="failed: ValueError"),
        line("literal step", **literal),
    ]
    # The first failed before, and the last was cut off.
    written = results.results_of(tmp_path)
    written.write([line(status="failed: KeyError"), *lines])
    with written.path.open("a") as file:
        file.write("SPOTSC")
    assert results.read_lines(written) == lines
    assert scaling.main(["--out", str(tmp_path), "--tables-only"]) == 0
    table = (tmp_path / "scaling.md").read_text()
    assert "| 100,000 × 300 | SPOTSCAPE | – | – | – | 30 | – | – | 123 |" in table
    assert "| 10,000 × 300 | – | – | – | did not finish: memory (50, 1.5) |" in table
    assert "| 3,000 × 300 | 40, 2, 0.5 (10) | – | failed | 40, 2, 0.5 (10) |" in table
    assert "| 3,000 × 300 | 2 | 0.5 | 4 | 3 | 1 | 2.0e-08 | finished |" in table
    height, width, _ = matplotlib.image.imread(tmp_path / "scaling.png").shape
    assert width == 9 * 150 and height > 300
    assert results.seconds_and_gib(lines[-1]) == (600.0, 3.0)
    # The picture shows the memory of what ran out of it, not its time.
    assert [[point.finished for point in figure.points_of(lines[3:5], which)] for which in (0, 1)] == [
        [True],
        [True, False],
    ]


def test_no_results(tmp_path):
    with pytest.raises(SystemExit, match="no results"):
        scaling.main(["--out", str(tmp_path), "--tables-only"])


# ----------------------------------------------------------------------------------------------------------- peers


def test_every_peer_has_a_program_and_a_colour():
    folder = Path(environments.__file__).parent
    assert all((folder / f"{name}.py").exists() for name in PEERS)
    assert {peer.title for peer in DOMAIN_PEERS.values()} <= set(results.COLORS)
    assert environments.torch_version().count(".") == 2


def test_programs_of_peers_take_nothing_that_their_environments_lack():
    modules = ["common/__init__.py", "common/stages.py", "peers/__init__.py", "peers/positions.py"]
    modules += [f"peers/{name}.py" for name in PEERS]
    for module in ["__init__.py", *modules]:
        tree = ast.parse((processes.ROOT / "benchmarks" / module).read_text())
        of_modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names = of_modules | {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        ours = {name for name in names if name.split(".")[0] in ("benchmarks", "spotscape")}
        assert ours <= {"benchmarks.common.stages", "benchmarks.peers.positions"}, module


def test_slices_are_laid_side_by_side(tissue):
    adata = anndata.read_h5ad(tissue)
    places = positions.lay_side_by_side(adata)
    first, second = (places[(adata.obs["slice"] == name).to_numpy()] for name in ("slice_1", "slice_2"))
    assert second[:, 0].min() - first[:, 0].max() >= np.ptp(first[:, 0])
    assert np.array_equal(places[:, 1], adata.obsm["spatial"][:, 1])
    assert np.allclose(np.ptp(second, axis=0), np.ptp(adata[adata.obs["slice"] == "slice_2"].obsm["spatial"], axis=0))
