import json
import os
import signal
import subprocess
import sys
import time
import tomllib

import anndata
import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.callbacks import Callback

from spotscape import SPOTSCAPE, _commands
from spotscape._cli import main
from spotscape._results import _NAMES
from spotscape.datasets import synthetic_tissue

TABLES = {"domains.csv", "composition.csv", "markers.csv"}
WRITTEN = {
    *("report.html", "README.txt", "domains.png", "annotation.png", "embedding.png", "history.png", "result.json"),
    *("sections.h5ad", "model", "config.toml"),
    *TABLES,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sections")
    adata = synthetic_tissue(n_slices=2, n_spots=150, n_genes=60, n_domains=3, seed=0)
    paths = []
    for name in adata.obs["slice"].cat.categories:
        paths.append(str(folder / f"{name}.h5ad"))
        adata[adata.obs["slice"] == name].write_h5ad(paths[-1])
    return paths


@pytest.fixture(scope="module")
def done(files, tmp_path_factory):
    """Folder with the results of a run."""
    out = tmp_path_factory.mktemp("done") / "out"
    arguments = ["run", *files, "--n-domains", "3", "--out", str(out), "--label-key", "domain", "--max-epochs", "40"]
    assert main([*arguments, "--genes", "gene_03,gene_01", "--quiet"]) == 0
    return out


def test_run_writes_everything(done):
    assert {path.name for path in done.iterdir()} == WRITTEN | {"denoised.csv"}
    assert {path.name for path in done.iterdir()} <= _NAMES
    result = json.loads((done / "result.json").read_text())
    assert set(result["scores"]) == {"all", "slice_1", "slice_2"} and result["n_domains"] == 3
    assert 0 < result["scores"]["all"]["ARI"] <= 1
    assert result["versions"]["spotscape"] and {"training", "domains"} <= set(result["seconds"])
    adata = anndata.read_h5ad(done / "sections.h5ad")
    assert adata.obsm["X_spotscape"].shape == (300, 64) and adata.obs["spatial_domain"].nunique() == 3
    # Denoised expression of all genes would be dense.
    assert "denoised" not in adata.layers
    denoised = pd.read_csv(done / "denoised.csv", index_col="barcode")
    assert list(denoised) == ["gene_03", "gene_01"] and list(denoised.index) == list(adata.obs_names)
    text = (done / "README.txt").read_text()
    assert all(name in text for name in WRITTEN)


def test_slices_are_corrected_as_asked(files, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["run", *files, "--n-domains", "3", "--out", str(out), "--max-epochs", "1", "--quiet"]
    assert main([*arguments, "--slice-correction", "none"]) == 0
    model = SPOTSCAPE.load(out / "model", adata=False)
    assert model.init_params_["non_kwargs"]["slice_correction"] == "none"
    assert tomllib.loads((out / "config.toml").read_text())["slice-correction"] == "none"
    # The model alone gives new sections its domains.
    assert model.domains_["names"][""] == ["1", "2", "3"]
    assert main([*arguments, "--slice-correction", "magic"]) == 2
    assert "invalid choice: 'magic'" in capsys.readouterr().err


def test_tables_say_what_the_data_say(done):
    adata = anndata.read_h5ad(done / "sections.h5ad")
    table = pd.read_csv(done / "domains.csv", dtype={"domain": str})
    assert list(table) == ["barcode", "slice", "domain", "confidence"]
    assert list(table["barcode"]) == list(adata.obs_names)
    assert list(table["domain"]) == adata.obs["spatial_domain"].astype(str).tolist()
    np.testing.assert_allclose(table["confidence"], adata.obs["spatial_domain_confidence"], atol=1e-4)
    composition = pd.read_csv(done / "composition.csv", dtype={"domain": str}).set_index(["slice", "domain"])
    expected = table.groupby(["slice", "domain"]).size()
    assert (composition["n_spots"][expected.index] == expected).all()
    np.testing.assert_allclose(composition.groupby("slice")["share"].sum(), 1, atol=1e-3)


def test_the_report_can_be_written_again(done, tmp_path, capsys):
    assert main(["report", str(done), "--out", str(tmp_path / "again.html"), "--title", "Ours <b>"]) == 0
    again, first = ((tmp_path / "again.html").read_text(), (done / "report.html").read_text())
    assert "<h1>Ours &lt;b&gt;</h1>" in again and str(tmp_path / "again.html") in capsys.readouterr().out
    for section in ("alerts", "mixing", "training", "composition", "confidence"):
        assert f'<section id="{section}">' in again and f'<section id="{section}">' in first
    # The map is the same: the same domains at the same places.
    map_of = [text.partition('id="data-0"')[2].partition("</script>")[0].count("ndarray") for text in (again, first)]
    assert map_of[0] == map_of[1] > 3


def test_settings_are_written_and_read(done, files, tmp_path, monkeypatch):
    config = tomllib.loads((done / "config.toml").read_text())
    assert config["n-domains"] == 3 and config["genes"] == ["gene_03", "gene_01"] and config["paths"] == files
    given: dict[str, object] = {}
    monkeypatch.setattr(_commands, "run", lambda paths, **options: given.update(options, paths=paths))
    again = ["run", "--config", str(done / "config.toml"), "--out", str(tmp_path / "out")]
    assert main(again) == 0
    assert given["n_domains"] == 3 and given["paths"] == files and given["label_key"] == "domain"
    assert given["max_epochs"] == 40 and given["genes"] == ["gene_03", "gene_01"] and not given["lazy"]
    # The command line wins.
    assert main([*again, "--n-domains", "auto", "--seed", "7", files[0]]) == 0
    assert given["n_domains"] == "auto" and given["seed"] == 7 and given["paths"] == files[:1]
    for text, message in (
        ("n-domains = 'many'", "neither a whole number nor auto"),
        ("colour = 1", "there is no setting 'colour'"),
        ("n-domains =", "is no TOML file"),
        ("seed = 2020-01-01", "write a text, a number"),
    ):
        (tmp_path / "wrong.toml").write_text(text)
        assert_usage(["run", "--config", str(tmp_path / "wrong.toml"), *files, "--out", "x"], message, "wrong.toml")


def assert_usage(arguments, *messages):
    found = subprocess.run([sys.executable, "-m", "spotscape", *arguments], capture_output=True, text=True)
    assert found.returncode == 2 and all(message in found.stderr for message in messages), found.stderr
    assert "Traceback" not in found.stderr


def test_help_and_mistakes_need_no_heavy_library(done):
    for name, arguments, code in (
        ("help", ["--help"], 0),
        ("version", ["--version"], 0),
        ("absent file", ["run", "nowhere.h5ad", "--out", "x"], 1),
        ("old results", ["run", str(done / "sections.h5ad"), "--out", str(done)], 1),
        ("no run", ["report", str(done.parent)], 1),
        ("usage", ["run", "x"], 2),
    ):
        command = [sys.executable, "-X", "importtime", "-m", "spotscape", *arguments]
        found = subprocess.run(command, capture_output=True, text=True)
        assert found.returncode == code, found.stderr
        imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines() if "|" in line}
        heavy = {"anndata", "bokeh", "lightning", "matplotlib", "pandas", "scanpy", "scipy", "scvi", "sklearn", "torch"}
        assert not imported & heavy, name


def test_errors_are_one_line(files, tmp_path, capsys):
    for further, message in (
        (["--layer", "raw"], "`layer` is 'raw', which is not in `adata.layers`"),
        (["--label-key", "truth"], "'truth' is not in `adata.obs`"),
        (["--genes", "gene_01,nothing"], "'nothing' is not a gene"),
        (["--n-domains", "1"], "`n_domains` is 1"),
        (["--n-domains", "300"], "`n_domains` is 300"),
    ):
        out = tmp_path / "out"
        assert main(["run", *files, "--n-domains", "3", "--out", str(out), "--quiet", *further]) == 1
        error = capsys.readouterr().err
        assert error.startswith("spotscape: ") and message in error and error.count("\n") == 1
        assert not out.exists()
    assert main(["run", "none.h5ad", "--n-domains", "3", "--out", "x"]) == 1
    assert "There is no file none.h5ad" in capsys.readouterr().err
    assert main(["run", *files]) == 2
    assert "--out FOLDER" in capsys.readouterr().err


def test_damaged_files_are_named(files, tmp_path, capsys):
    damaged = tmp_path / "damaged.h5ad"
    with open(files[0], "rb") as file:
        damaged.write_bytes(file.read()[:30_000])
    assert main(["run", files[1], str(damaged), "--out", str(tmp_path / "out"), "--quiet"]) == 1
    error = capsys.readouterr().err
    assert "damaged.h5ad" in error and error.count("\n") == 1


def _without_coordinates(adata):
    del adata.obsm["spatial"]


def _without_a_position(adata):
    adata.obsm["spatial"][3, 0] = np.nan


def _without_values(adata):
    adata.X = None


@pytest.mark.parametrize(
    ("change", "further", "message"),
    [
        (_without_coordinates, [], "`spatial_key` is 'spatial', which is not in `adata.obsm`"),
        (_without_coordinates, ["--lazy"], "`spatial_key` is 'spatial', which is not in `adata.obsm`"),
        (_without_a_position, [], "coordinates of 1 spots are NaN"),
        (_without_values, [], "`adata.X` is empty"),
        (lambda adata: None, ["--slice-key", "section"], "`slice_key` is 'section'"),
        (lambda adata: None, ["--layer", "raw"], "`layer` is 'raw', which is not in `adata.layers`"),
        (lambda adata: None, ["--label-key", "truth"], "'truth' is not in `adata.obs`"),
        (None, [], "is no HDF5 file"),
        (b"", [], "is empty"),
    ],
)
def test_errors_about_one_file_name_it(files, tmp_path, capsys, change, further, message):
    path = tmp_path / "only.h5ad"
    if callable(change):
        adata = anndata.read_h5ad(files[0])
        change(adata)
        adata.write_h5ad(path)
    else:
        path.write_bytes(b"text" if change is None else change)
    assert main(["run", str(path), "--n-domains", "3", "--out", str(tmp_path / "out"), "--quiet", *further]) == 1
    error = capsys.readouterr().err
    assert "only.h5ad" in error and message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_section_is_named(tmp_path, capsys):
    (tmp_path / "notes").mkdir()
    for content in ("an empty folder", "readme.txt"):
        assert main(["run", str(tmp_path / "notes"), "--out", str(tmp_path / "out"), "--quiet"]) == 1
        error = capsys.readouterr().err
        assert str(tmp_path / "notes") in error and content in error and error.count("\n") == 1
        (tmp_path / "notes" / "readme.txt").write_text("nothing")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "spotscape: interrupted\n"),
        (ZeroDivisionError("by zero"), 1, "unexpected ZeroDivisionError: by zero; --traceback"),
        (MemoryError(), 1, "not enough memory"),
        (ValueError("two\nlines"), 1, "spotscape: two lines\n"),
    ],
)
def test_whatever_happens_is_told_in_a_line(files, monkeypatch, capsys, error, code, message):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(_commands, "run", fail)
    assert main(["run", *files, "--out", "x"]) == code
    found = capsys.readouterr().err
    assert message in found and found.count("\n") == 1
    if code == 1:
        with pytest.raises(type(error)):
            main(["run", *files, "--out", "x", "--traceback"])


def test_small_slices_and_absent_slice_keys_are_refused_before_training(files, tmp_path, capsys):
    small = str(tmp_path / "small.h5ad")
    anndata.read_h5ad(files[1])[:20].copy().write_h5ad(small)
    out = tmp_path / "out"
    for further, message in (
        ([], "Slice 'slice_2' has 20 spots, too few for domains"),
        (["--slice-key", "section"], "`slice_key` is 'section', which is in no file"),
        (["--bin-size", "8"], "`bin_size` is 8, but no path"),
    ):
        assert main(["run", files[0], small, "--n-domains", "3", "--out", str(out), "--quiet", *further]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
        assert not out.exists()


def test_progress_has_dates_and_notes_are_sentences(files, tmp_path):
    adata = anndata.read_h5ad(files[0])
    # Spots without counts are kept, with a warning.
    counts = adata.layers["counts"].tolil()
    counts[:3] = 0
    adata.X = counts.tocsr()
    adata.obs_names = [f"{'ACGT' * 4}-{number}" for number in range(adata.n_obs)]
    adata.write_h5ad(tmp_path / "s.h5ad")
    command = [sys.executable, "-m", "spotscape", "run", str(tmp_path / "s.h5ad"), "--n-domains", "3"]
    command += ["--max-epochs", "20", "--model", "SEDR", "--out", str(tmp_path / "out")]
    found = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"MPLBACKEND": "Agg"})
    assert found.returncode == 0, found.stderr
    lines = found.stderr.splitlines()
    notes = [line for line in lines if line.startswith("spotscape: note: ")]
    assert any("no expression at all" in note for note in notes) and ".py" not in found.stderr
    dated = [line for line in lines if line not in notes]
    assert all(time.strptime(line[:19], "%Y-%m-%d %H:%M:%S") for line in dated)
    assert any(line.endswith("training: epoch 20 of 20") for line in dated)
    assert "Wrote" in found.stdout and "\r" not in found.stderr + found.stdout
    assert anndata.read_h5ad(tmp_path / "out" / "sections.h5ad").obsm["X_sedr"].shape[1] == 32
    assert json.loads((tmp_path / "out" / "result.json").read_text())["notes"]
    assert "no expression at all" in (tmp_path / "out" / "report.html").read_text()
    # Names of Visium get a file that Loupe Browser reads.
    (loupe,) = (tmp_path / "out" / "loupe").iterdir()
    assert list(pd.read_csv(loupe)) == ["Barcode", "domain"] and len(pd.read_csv(loupe)) == adata.n_obs


def test_new_sections_get_the_domains_of_the_run(done, files, tmp_path):
    out = tmp_path / "mapped"
    assert main(["map", str(done), files[0], "--out", str(out), "--quiet"]) == 0
    new, old = (anndata.read_h5ad(folder / "sections.h5ad") for folder in (out, done))
    own = old.obs["slice"] == "slice_1"
    # One slice of the run, mapped alone, has nearly the domains that it had in the run.
    same = new.obs["spatial_domain"].astype(str).to_numpy() == old.obs["spatial_domain"][own].astype(str).to_numpy()
    assert same.mean() > 0.9
    assert {path.name for path in out.iterdir()} <= _NAMES and (out / "report.html").is_file()
    assert main(["report", str(out), "--quiet"]) == 0


def test_slices_are_aligned(done, tmp_path, capsys):
    out = tmp_path / "aligned"
    assert main(["align", str(done), "--reference", "slice_1", "--out", str(out)]) == 0
    table = pd.read_csv(out / "alignment.csv", index_col="barcode")
    assert list(table) == ["slice", "x", "y", "x_aligned", "y_aligned", "similarity"] and len(table) == 300
    assert {path.name for path in out.iterdir()} <= _NAMES
    assert main(["align", str(done), "--reference", "slice_9", "--out", str(tmp_path / "other")]) == 1
    assert "slice_9" in capsys.readouterr().err and not (tmp_path / "other").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the signal is sent otherwise on this system")
# JAX, which other tests load, objects to any fork.
@pytest.mark.filterwarnings("ignore:.*os.fork", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_training_leaves_nothing(files, tmp_path):
    command = [sys.executable, "-m", "spotscape", "run", *files, "--n-domains", "3", "--max-epochs", "100000"]
    command += ["--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Processes that a shell starts in the background ignore the signal, and so do theirs.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stderr:
        if line.endswith("training\n"):
            break
    time.sleep(10)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 130 and error.endswith("spotscape: interrupted\n") and "Traceback" not in error
    assert out == "" and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_of_eight_runs_into_one_folder_one_writes_it(files, tmp_path):
    out = tmp_path / "out"
    # What a killed run has left is removed by the next.
    stale = tmp_path / ".out.0123abcd.unfinished"
    (stale / "model").mkdir(parents=True)
    (stale / "model" / "model.pt").write_text("half")
    (tmp_path / ".out.lock").touch()
    command = [sys.executable, "-m", "spotscape", "run", *files, "--n-domains", "3", "--max-epochs", "20"]
    command += ["--out", str(out), "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    processes = [
        subprocess.Popen([*command, "--seed", str(seed)], stderr=subprocess.PIPE, text=True, env=environment)
        for seed in range(8)
    ]
    errors = [process.communicate(timeout=600)[1] for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, *[1] * 7], errors
    told = [error for code, error in zip(codes, errors, strict=True) if code]
    assert all(error.startswith("spotscape: ") and error.count("\n") == 1 for error in told)
    assert all("is being written by another process" in error or "pass --force" in error for error in told), told
    # The result is that of the one run, and nothing else is there.
    assert tomllib.loads((out / "config.toml").read_text())["seed"] == codes.index(0)
    listed = json.loads((out / "result.json").read_text())["files"]
    assert listed == sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert anndata.read_h5ad(out / "sections.h5ad").n_obs == 300
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    # With --force, one replaces it, and the result is again whole.
    again = [subprocess.Popen([*command, "--force"], stderr=subprocess.PIPE, text=True, env=environment) for _ in "ab"]
    errors = [process.communicate(timeout=600)[1] for process in again]
    assert 0 in [process.returncode for process in again], errors
    assert tomllib.loads((out / "config.toml").read_text())["seed"] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_demo(tmp_path):
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert {path.name for path in (tmp_path / "demo").iterdir()} == WRITTEN - {"config.toml"}
    scores = json.loads((tmp_path / "demo" / "result.json").read_text())["scores"]
    # Principal components with k-means stay below 0.5 on this tissue.
    assert scores["all"]["ARI"] > 0.7


class Killed(BaseException):
    """What takes the place of a kill in a test."""


def test_a_killed_run_is_continued(files, tmp_path, monkeypatch):
    arguments = ["run", *map(str, files), "--n-domains", "3", "--max-epochs", "6", "--seed", "1", "--quiet"]
    assert main([*arguments, "--out", str(tmp_path / "unbroken")]) == 0
    seen = []

    class Kill(Callback):
        def on_train_epoch_end(self, trainer, module):
            seen.append(trainer.current_epoch)
            if len(seen) == 4:
                raise Killed

    monkeypatch.setattr("spotscape._progress.Progress.callback", lambda self: Kill())
    resumed = [*arguments, "--out", str(tmp_path / "broken"), "--resume"]
    with pytest.raises(Killed):
        main(resumed)
    assert not (tmp_path / "broken").exists()
    assert (tmp_path / ".broken.training").is_dir()
    assert main(resumed) == 0
    assert len(seen) < 10
    first, second = (anndata.read_h5ad(tmp_path / name / "sections.h5ad") for name in ("unbroken", "broken"))
    np.testing.assert_array_equal(first.obsm["X_spotscape"], second.obsm["X_spotscape"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "unbroken"]
