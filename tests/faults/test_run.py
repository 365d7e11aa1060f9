"""Results of the command line: refused where there are some, replaced as a whole, by one run at a time."""

import json
import os

import anndata
import pytest

from benchmarks.faults.models import small_tissue
from spotscape import _results, _workflow
from spotscape._cli import main
from spotscape._write import locked

from .test_write import run


@pytest.fixture
def tissue(tmp_path):
    path = tmp_path / "tissue.h5ad"
    small_tissue().write_h5ad(path)
    return path


@pytest.fixture
def quick(monkeypatch):
    """A run that writes a few small files, and counts how often it was started."""
    started = []

    @_results.into_whole_folder
    def analyse(adata, out, **arguments):
        started.append(arguments)
        (out / "model").mkdir()
        for name in ("model/model.pt", "sections.h5ad", "result.json", *(arguments["label_key"] or "").split()):
            (out / name).write_text(str(len(started)))
        return {"seconds": {}}

    monkeypatch.setattr(_workflow, "analyse", analyse)
    return started


def start(tissue, out, *further):
    return main(["run", str(tissue), "--layer", "counts", "--n-domains", "3", "--out", str(out), "--quiet", *further])


def contents(out):
    return {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*") if path.is_file()}


def test_results_are_refused_before_training_and_replaced_by_force(tissue, tmp_path, quick, capsys):
    out = tmp_path / "out"
    assert start(tissue, out, "--label-key", "stale.csv") == 0
    (out / "notes.txt").write_text("mine")
    (out / "model" / "card.md").write_text("mine")
    before = contents(out)
    assert start(tissue, out) == 1
    error = capsys.readouterr().err
    assert "has the results of an earlier run; pass --force to replace them" in error and error.count("\n") == 1
    assert contents(out) == before and len(quick) == 1
    assert start(tissue, out, "--force") == 0
    after = contents(out)
    # Files of the user stay; a file that only the earlier run wrote is gone.
    assert after["notes.txt"] == after["model/card.md"] == "mine"
    assert after["sections.h5ad"] == after["model/model.pt"] == "2" and "stale.csv" not in after
    assert json.loads(after["result.json"])["files"] == ["model/model.pt", "result.json", "sections.h5ad"]


def test_results_of_older_releases_are_recognised(tissue, tmp_path, quick):
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text('{"seconds": {}}')
    (out / "annotation.png").write_text("stale")
    assert start(tissue, out) == 1
    assert start(tissue, out, "--force") == 0
    assert "annotation.png" not in contents(out)


def test_a_failed_run_leaves_the_earlier_results(tissue, tmp_path, quick, monkeypatch, capsys):
    out = tmp_path / "out"
    assert start(tissue, out) == 0
    before = contents(out)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert start(tissue, out, "--force") == 1
    assert "out could not be written (the disk is full); what was there is unchanged" in capsys.readouterr().err
    assert contents(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "tissue.h5ad"]


def test_files_of_the_user_are_not_replaced(tissue, tmp_path, quick, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "sections.h5ad").write_text("mine")
    assert start(tissue, out, "--force") == 1
    assert "has 'sections.h5ad' but no result.json" in capsys.readouterr().err
    assert contents(out) == {"sections.h5ad": "mine"}
    assert start(tissue, tissue) == 1
    assert "tissue.h5ad is a file; choose a folder" in capsys.readouterr().err


def test_what_is_read_is_not_replaced(tissue, tmp_path, quick, capsys):
    assert start(tissue, tmp_path / "out") == 0
    before = contents(tmp_path / "out")
    assert start(tmp_path / "out" / "sections.h5ad", tmp_path / "out", "--force") == 1
    assert "is one of the results that the run would replace" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


def test_two_runs_into_one_folder_exclude_each_other(tissue, tmp_path, quick, capsys):
    with locked(tmp_path / "out"):
        assert start(tissue, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "out is being written by another process; wait for it to end" in error and error.count("\n") == 1
    assert not quick and not (tmp_path / "out").exists()
    assert start(tissue, tmp_path / "out") == 0


# Runs that are killed, one after another, over the results of an earlier run.
KILLS = """
    import json, sys
    from pathlib import Path
    from benchmarks.faults.__main__ import _kills_of_run
    print(json.dumps(_kills_of_run(Path(sys.argv[1]), int(sys.argv[2]))))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be copied on this system")
def test_killed_runs_leave_the_old_or_the_new_results(tmp_path):
    found = json.loads(run(KILLS, tmp_path, 10).splitlines()[-1])
    assert set(found) <= {"old", "new"} and sum(found.values()) == 10


@pytest.mark.slow
def test_two_real_runs_at_once(tissue, tmp_path):
    script = """
        import subprocess, sys
        command = [sys.executable, "-m", "spotscape", "run", sys.argv[1], "--layer", "counts", "--n-domains", "3"]
        command += ["--max-epochs", "30", "--out", sys.argv[2]]
        runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        print(sorted((one.communicate()[1].splitlines()[-1:], one.returncode)[::-1] for one in runs)[-1])
    """
    found = run(script, tissue, tmp_path / "out").splitlines()[-1]
    assert "1" in found and ("being written by another process" in found or "earlier run" in found)
    assert anndata.read_h5ad(tmp_path / "out" / "sections.h5ad").obs["spatial_domain"].nunique() == 3
