"""The accuracy benchmark, on a synthetic tissue."""

import numpy as np
import pandas as pd
import pytest

import spotscape as sps
from benchmarks.accuracy import tables, tasks
from benchmarks.accuracy.__main__ import main
from benchmarks.common import reading
from benchmarks.common.readouts import READOUTS
from benchmarks.common.registry import FLOORS
from benchmarks.common.variants import BETWEEN_SLICES, VARIANTS, expand_variants


@pytest.fixture(autouse=True)
def few_epochs(monkeypatch):
    monkeypatch.setattr(tasks, "READOUT_SEEDS", range(2))
    monkeypatch.setitem(VARIANTS["SPOTSCAPE"], "default", {"train": {"max_epochs": 5}})
    monkeypatch.setitem(VARIANTS["SPOTSCAPE"], "diverging", {"train": {"max_epochs": 20, "lr": 1e30}})


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Two annotated slices, one of them in part, and one without annotation."""
    adata = sps.datasets.synthetic_tissue(n_slices=3, n_spots=150, n_genes=60, n_domains=4)
    domain = adata.obs["domain"].astype(object)
    domain[adata.obs["slice"] == "slice_3"] = np.nan
    domain.iloc[:20] = np.nan
    domain.iloc[20:25] = "undetermined"
    adata.obs["domain"] = pd.Categorical(domain)
    adata.obs["total"] = 2.0 * np.asarray(adata.X.sum(axis=1)).ravel()
    path = tmp_path_factory.mktemp("sections") / "tissue.h5ad"
    adata.write_h5ad(path)
    return str(path)


@pytest.fixture
def keys():
    return reading.Keys(size_factor="total", dropped=("undetermined",))


def run(*arguments):
    return main(["--jobs", "1", "--drop-label", "undetermined", *map(str, arguments)])


def test_run_resume_and_summary(file, tmp_path):
    pytest.importorskip("scib_metrics", reason="joint sections are scored by the extra spotscape[scib]")
    out = tmp_path / "out"
    assert run(file, "--seeds", 1, "--size-factor-key", "total", "--out", out) == 0
    results = tables.results_of(out).read()
    assert list(results.columns) == list(tables.COLUMNS)
    assert set(results["section"]) == {"tissue slice_1", "tissue slice_2", "tissue joint"}
    ours = results[results["method"] == "SPOTSCAPE"]
    assert len(ours) == 3 * 3
    # Two seeds of k-means and of the mixture, and the default read-out once.
    assert len(results) == len(ours) + 3 * len(FLOORS) * (2 * 2 + 1)
    assert len(FLOORS) == 5 and results[results["method"] != "SPOTSCAPE"]["ari"].notna().all()
    n_spots = results.groupby("section")["n_spots"].unique().map(list)
    assert n_spots.to_dict() == {"tissue slice_1": [125], "tissue slice_2": [150], "tissue joint": [275]}
    assert (results["n_domains"] == 4).all()
    assert results["ari"].between(-1, 1).all() and (results["ari"] != 0).any()
    joint = results[(results["section"] == "tissue joint") & (results["seed"] == 0)]
    assert joint[["graph_connectivity", "silhouette_batch"]].notna().all(axis=None)
    assert results[results["section"] == "tissue slice_1"]["graph_connectivity"].isna().all()

    # A row was cut off, and one seed more is wanted: what is there stays as it is.
    text = (out / "results.csv").read_text()
    whole = text.splitlines(keepends=True)
    (out / "results.csv").write_text("".join(whole[:-1]) + whole[-1][:30])
    again = ("--size-factor-key", "total", "--no-floors", "--out", out)
    assert run(file, "--seeds", 2, *again) == 0
    resumed = (out / "results.csv").read_text()
    assert resumed.startswith("".join(whole[:-1]))
    after = tables.results_of(out).read()
    assert len(after) == len(results) + 3 * 3
    assert not after.duplicated(["section", "method", "variant", "seed", "readout"]).any()
    run(file, "--seeds", 2, *again)
    assert (out / "results.csv").read_text() == resumed

    summary = (out / "summary.md").read_text()
    mean = after[(after["method"] == "PCA") & (after["readout"] == "k-means")].groupby("section")["ari"].mean()
    assert f"{mean['tissue joint']:.3f} ±" in summary and f"| {mean.mean():.3f} |" in summary
    assert "graph connectivity" in summary
    assert (out / "accuracy.png").stat().st_size > 10_000
    with pytest.raises(SystemExit, match="other settings"):
        run(file, "--out", out)


def test_the_same_seed_gives_the_same_row(file, keys):
    source = reading.find_sections([file], [], keys)[0]
    task = tasks.Task(source, "SPOTSCAPE", "default", ((0, "k-means"),))
    first, second = (pd.DataFrame(tasks.run_task(task)).drop(columns="seconds") for _ in range(2))
    pd.testing.assert_frame_equal(first, second)


def test_the_other_model_is_compared_in_its_own_tables(file, tmp_path, monkeypatch):
    monkeypatch.setitem(VARIANTS["SEDR"], "default", {"train": {"max_epochs": 2}})
    read = ("--readout", "k-means", "--seeds", 1, "--out", tmp_path)
    monkeypatch.setattr(reading, "annotated_slices", lambda *_: (["slice_2"], 3))
    assert run(file, "--model", "SEDR", *read) == 0
    summary = (tmp_path / "summary.md").read_text()
    assert "| SEDR, default |" in summary and "SPOTSCAPE" not in summary


def test_a_diverging_variant_is_recorded(file, keys):
    source = reading.find_sections([file], [], keys)[0]
    wanted = tuple((0, readout) for readout in READOUTS)
    rows = tasks.run_task(tasks.Task(source, "SPOTSCAPE", "diverging", wanted))
    largest = pd.Series(reading.load_section(source).labels).value_counts(normalize=True).max()
    for row in rows:
        assert row["ari"] == 0
        assert row["ca"] == pytest.approx(largest)


def test_a_failing_run_stops_no_other_and_time_can_run_out(file, keys, monkeypatch, capsys):
    sources = reading.find_sections([file], [], keys)[:2]
    wanted = [tasks.Task(source, "PCA", "", ((0, "k-means"),)) for source in sources]
    arguments = {"jobs": 1, "max_seconds": None}
    written: list[list[dict]] = []
    monkeypatch.setattr(tasks, "find_domains", lambda *_, **__: 1 / 0)
    assert tasks.run_tasks(wanted[:1], write=written.append, **arguments) == wanted[:1]
    assert not written and "ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.undo()
    assert tasks.run_tasks(wanted, write=written.append, **arguments) == []
    assert [rows[0]["section"] for rows in written] == [source.name for source in sources]
    assert tasks.run_tasks(wanted, write=written.append, jobs=1, max_seconds=0) == []
    assert len(written) == 2 and "2 runs left" in capsys.readouterr().out


def test_variants_between_slices_are_not_run_on_one(file, keys):
    sources = reading.find_sections([file], [], keys)
    names = expand_variants(["all-ablation", "without telescope"])
    planned = tasks.plan_tasks(sources, names, n_seeds=2, floors=False, done=set())
    single = {task.variant for task in planned if not reading.is_joint(task.source.name)}
    joint = {task.variant for task in planned if reading.is_joint(task.source.name)}
    assert joint == set(names) and single == set(names) - BETWEEN_SLICES
    assert len(single) == len(joint) - 2
    assert len(planned) == 2 * (2 * len(single) + len(joint))


def test_variants_name_arguments_that_exist():
    adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    for model, variants in VARIANTS.items():
        model_class = getattr(sps, model)
        for name, settings in variants.items():
            if name != "diverging":
                model_class.setup_anndata(adata, **settings.get("setup", {}))
                model_class(adata, **settings.get("model", {}))
    with pytest.raises(ValueError, match="no variant 'faster'"):
        expand_variants(["faster"])
    with pytest.raises(ValueError, match="no variant 'without telescope'"):
        expand_variants(["without telescope"], "SEDR")
    assert "preset paper" not in expand_variants(["all-sensitivity"], "SEDR")


def test_paired_tests_are_over_means_of_sections():
    rows = [
        {"section": f"s{index}", "method": method, "variant": variant, "readout": "k-means", "seed": seed, "ari": ari}
        for index, (ours, floor) in enumerate([(0.5, 0.4), (0.6, 0.4), (0.3, 0.4), (0.9, 0.5)])
        for seed in range(2)
        for method, variant, ari in (("SPOTSCAPE", "default", ours + 0.1 * seed), ("PCA", "", floor))
    ]
    tests = tables.paired_tests(pd.DataFrame(rows)).set_index("floor")
    test = tests.loc["PCA, k-means"]
    assert test["mean difference"] == pytest.approx(0.2)
    assert test["ours above"] == "3 of 4"
    assert test["worst difference"] == pytest.approx(-0.05)
    assert test["where"] == "s2"
    assert test["P"] == pytest.approx(0.25)


def test_bad_requests(file, tmp_path, keys):
    with pytest.raises(ValueError, match="no obs\\['layer'\\]"):
        reading.find_sections([file], [], reading.Keys(label="layer"))
    with pytest.raises(ValueError, match="would be called 'tissue joint'|would be called 'tissue slice_1'"):
        reading.find_sections([file, file], [], keys)
    with pytest.raises(SystemExit):
        run("--out", tmp_path)
    with pytest.raises(SystemExit, match="no obs\\['layer'\\]"):
        run(file, "--label-key", "layer", "--out", tmp_path)
    with pytest.raises(SystemExit, match="no results"):
        run("--tables-only", "--out", tmp_path)
