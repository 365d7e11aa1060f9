"""The integration benchmark, on made-up tissues."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

pytest.importorskip("scib_metrics", reason="needs the extra spotscape[scib]")

import benchmarks.integration.__main__ as integration
import spotscape as sps
from benchmarks.common import representations, transfer
from benchmarks.common.registry import INTEGRATION, Method
from benchmarks.common.transfer_runs import results_of
from benchmarks.common.transfer_tables import on_front
from benchmarks.integration import cases
from benchmarks.integration.tables import COMPARED


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Three annotated slices; some spots are not."""
    adata = sps.datasets.synthetic_tissue(n_slices=3, n_spots=120, n_genes=60, n_domains=3)
    domain = adata.obs["domain"].astype(object)
    domain.iloc[:10] = "undetermined"
    adata.obs["domain"] = pd.Categorical(domain)
    path = tmp_path_factory.mktemp("sections") / "tissue.h5ad"
    adata.write_h5ad(path)
    return str(path)


@pytest.mark.slow
def test_run_and_resume(file, tmp_path, monkeypatch):
    def quick(section, seed):
        adata = section.adata.copy()
        sps.SPOTSCAPE.setup_anndata(adata, slice_key="slice")
        model = sps.SPOTSCAPE(adata, seed=seed)
        model.train(max_epochs=3, enable_progress_bar=False)
        return model.get_latent_representation()

    monkeypatch.setattr(transfer, "N_BOOTSTRAP", 20)
    monkeypatch.setitem(integration.METHODS, "SPOTSCAPE", Method(quick))
    monkeypatch.setattr(cases, "N_SPOTS", 60)
    methods = ["PCA", "PCA, 1 hop", "Harmony", "ComBat", "SPOTSCAPE"]
    arguments = ["--case", f"tissue={file}", "--synthetic", "--drop-label", "undetermined", "--out", str(tmp_path)]
    arguments += ["--methods", *methods]
    assert integration.main([*arguments, "--seeds", "1"]) == 0
    results = results_of(tmp_path).read()
    assert set(results["case"]) == {"tissue", *cases.SYNTHETIC}
    assert set(results["method"]) == set(methods)
    assert not results.duplicated(["case", "method", "seed", "metric"]).any()
    assert results["value"].between(-1, 1).all()
    tissue = results[results["case"] == "tissue"].pivot(index="method", columns="metric", values="value")
    assert {"bio", "batch", "batch: kBET", "tl.domains ARI", "k-means CA", "macro-F1"} <= set(tissue.columns)
    assert tissue.loc["PCA", "batch: PCR comparison"] == 0
    lacked = results[results["metric"].str.startswith("lacked")]
    assert set(lacked["metric"]) == {"lacked, slice_1", "lacked, slice_2"}
    assert set(lacked["case"]) == {"synthetic, strong, domains missing"}
    compared = pd.read_csv(tmp_path / "transfer.csv")
    assert set(compared["case"]) == {"tissue"} and set(compared["method"]) == set(methods) - {"SPOTSCAPE"}
    assert (compared["low"] <= compared["high"]).all()

    before = (tmp_path / "results.csv").read_text()
    assert integration.main([*arguments, "--seeds", "2"]) == 0
    after = (tmp_path / "results.csv").read_text()
    assert after.startswith(before)
    added = results_of(tmp_path).read().query("seed == 1")
    assert set(added["method"]) == {"Harmony", "SPOTSCAPE"}
    summary = (tmp_path / "summary.md").read_text()
    assert "On the Pareto front of PCA, Harmony, ComBat, SPOTSCAPE" in summary and "## Transfer" in summary
    assert (tmp_path / "integration.png").stat().st_size > 10_000


def test_every_model_is_trained_as_itself(monkeypatch):
    names = []

    def trained(section, seed, *, name):
        names.append((section, seed, name))
        return np.eye(2)

    monkeypatch.setattr(representations, "trained", trained)
    monkeypatch.setattr(representations, "run_harmony", lambda values, *_: 2 * values)
    for name in ("SPOTSCAPE", "SEDR"):
        for method, factor in ((name, 1), (f"{name} + Harmony", 2)):
            np.testing.assert_array_equal(INTEGRATION[method].represent("a section", 7), factor * np.eye(2))
    # Harmony takes the representation that is there.
    assert names == [("a section", 7, "SPOTSCAPE"), ("a section", 7, "SEDR")]


def test_share_of_spots_in_a_lacked_domain():
    labels = np.repeat(["a", "b", "c"], 10)
    found = np.repeat(["1", "2", "3"], 10)
    found[10:13] = "1"
    here = np.arange(30) >= 10
    assert integration.share_of(labels, found, here, ["a"]) == pytest.approx(3 / 20)
    assert integration.share_of(labels, found, here, ["a", "c"]) == pytest.approx(13 / 20)


def test_lacked_domains_are_lacking():
    case = cases.Case("synthetic, strong, domains missing")
    section, lacked = cases.load_case(case), cases.lacked_domains(case)
    assert len(lacked) == 2
    for name, domains in lacked.items():
        assert not np.isin(section.labels[section.slices == name], domains).any()
        assert np.isin(domains, section.labels).all()
    assert cases.lacked_domains(cases.Case("synthetic, none")) == {}


def test_labels_come_from_other_slices_only():
    rng = np.random.default_rng(0)
    labels, slices = np.repeat(["a", "b"], 60), np.tile(["x", "y", "z"], 40)
    values = rng.normal(size=(120, 2)) + np.where(labels == "a", 0, 2)[:, None]
    found = transfer.leave_one_slice_out(values, labels, slices)
    for spot in range(0, 120, 7):
        others = np.flatnonzero(slices != slices[spot])
        nearest = others[np.argsort(np.linalg.norm(values[others] - values[spot], axis=1))[:15]]
        assert found[spot] == ("a" if (labels[nearest] == "a").sum() > 7 else "b")


def test_shared_classes_have_enough_spots_in_two_slices():
    labels = np.array(["a"] * 45 + ["b"] * 45 + ["c"] * 30)
    slices = np.array(["x"] * 25 + ["y"] * 20 + ["x"] * 26 + ["y"] * 19 + ["x"] * 30)
    kept = transfer.shared_classes(labels, slices)
    np.testing.assert_array_equal(kept, labels == "a")


def test_macro_f1_and_its_bootstrap():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 90)
    found = np.where(rng.random(90) < 0.7, true, rng.integers(0, 3, 90))
    weights = rng.integers(0, 4, 90)
    expected = f1_score(np.repeat(true, weights), np.repeat(found, weights), average="macro")
    assert transfer.macro_f1(true, found, 3, weights.astype(float)) == pytest.approx(expected)
    labels, slices = np.array(["a", "b", "c"])[true], np.tile(["x", "y", "z"], 30)
    guesses = np.array(["a", "b", "c"])[found]
    table = transfer.bootstrap(
        labels, slices, {"ours": [labels, labels], "same": [labels], "guess": [guesses]}, ours="ours"
    ).set_index(["method", "drawn"])
    assert (table.loc["same", ["difference", "low", "high"]] == 0).all(axis=None)
    difference = 1 - f1_score(true, found, average="macro")
    for drawn in ("spots", "slices and spots"):
        row = table.loc[("guess", drawn)]
        assert row["difference"] == pytest.approx(difference)
        assert 0 < row["low"] < difference < row["high"]


def test_front_is_among_the_compared_methods():
    rows = [("PCA", 0.9, 0.1), ("ComBat", 0.8, 0.1), ("SPOTSCAPE", 0.7, 0.6), ("SPOTSCAPE + Harmony", 0.9, 0.9)]
    table = pd.DataFrame(
        [
            {"method": method, "seed": 0, "metric": metric, "value": value}
            for method, bio, batch in rows
            for metric, value in (("bio", bio), ("batch", batch))
        ]
    )
    assert on_front(table, COMPARED).to_dict() == {"PCA": True, "ComBat": False, "SPOTSCAPE": True}


def test_bad_requests(tmp_path, capsys):
    for wrong, message in ((["--case", "file.h5ad"], "write NAME="), ([], "give at least one --case")):
        with pytest.raises(SystemExit):
            integration.main([*wrong, "--out", str(tmp_path)])
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no results"):
        integration.main(["--tables-only", "--out", str(tmp_path)])
