"""The integration benchmark, on made-up tissues."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

pytest.importorskip("scib_metrics", reason="needs the extra spotscape[scib]")

# The benchmarks are programs that lie beside each other, not a package.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import _integration_cases
import _integration_methods
import _integration_tables
import _integration_transfer
import integration

import spotscape as sps


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
    def quick(case, keys, seed):
        adata = integration.load_case(case, keys).adata.copy()
        sps.SPOTSCAPE.setup_anndata(adata, slice_key="slice")
        model = sps.SPOTSCAPE(adata, seed=seed)
        model.train(max_epochs=3, enable_progress_bar=False)
        return model.get_latent_representation()

    monkeypatch.setattr(_integration_transfer, "N_BOOTSTRAP", 20)
    monkeypatch.setitem(_integration_methods.METHODS, "SPOTSCAPE", quick)
    monkeypatch.setattr(_integration_cases, "N_SPOTS", 60)
    methods = ["PCA", "PCA, 1 hop", "Harmony", "ComBat", "SPOTSCAPE"]
    arguments = ["--case", f"tissue={file}", "--synthetic", "--drop-label", "undetermined", "--out", str(tmp_path)]
    arguments += ["--methods", *methods]
    assert integration.main([*arguments, "--seeds", "1"]) == 0
    results = integration.read_results(tmp_path)
    assert set(results["case"]) == {"tissue", *_integration_cases.SYNTHETIC}
    assert set(results["method"]) == set(methods)
    assert not results.duplicated(["case", "method", "seed", "metric"]).any()
    assert results["value"].between(-1, 1).all()
    tissue = results[results["case"] == "tissue"].pivot(index="method", columns="metric", values="value")
    assert {"bio", "batch", "batch: kBET", "tl.domains ARI", "k-means CA", "macro-F1"} <= set(tissue.columns)
    assert tissue.loc["PCA", "batch: PCR comparison"] == 0
    lacked = results[results["metric"].str.startswith("lacked")]
    assert set(lacked["metric"]) == {"lacked, slice_1", "lacked, slice_2"}
    assert set(lacked["case"]) == {"synthetic, strong, domains missing"}
    transfer = pd.read_csv(tmp_path / "transfer.csv")
    assert set(transfer["case"]) == {"tissue"} and set(transfer["method"]) == set(methods) - {"SPOTSCAPE"}
    assert (transfer["low"] <= transfer["high"]).all()

    before = (tmp_path / "results.csv").read_text()
    assert integration.main([*arguments, "--seeds", "2"]) == 0
    after = (tmp_path / "results.csv").read_text()
    assert after.startswith(before)
    added = integration.read_results(tmp_path).query("seed == 1")
    assert set(added["method"]) == {"Harmony", "SPOTSCAPE"}
    summary = (tmp_path / "summary.md").read_text()
    assert "On the Pareto front of PCA, Harmony, ComBat, SPOTSCAPE" in summary and "## Transfer" in summary
    assert (tmp_path / "integration.png").stat().st_size > 10_000


def test_every_model_is_trained_as_itself(monkeypatch):
    trained = []
    monkeypatch.setattr(_integration_methods, "ours", lambda *arguments: trained.append(arguments) or np.eye(2))
    monkeypatch.setattr(_integration_methods, "load_case", lambda *_: None)
    monkeypatch.setattr(_integration_methods, "_run_harmony", lambda values, *_: 2 * values)
    for name in ("SPOTSCAPE", "SEDR"):
        for method, factor in ((name, 1), (f"{name} + Harmony", 2)):
            found = _integration_methods.METHODS[method]("a case", "its keys", 7)
            np.testing.assert_array_equal(found, factor * np.eye(2))
    # Harmony takes the representation that is there.
    assert trained == [("a case", "its keys", 7, "SPOTSCAPE"), ("a case", "its keys", 7, "SEDR")]


def test_share_of_spots_in_a_lacked_domain():
    labels = np.repeat(["a", "b", "c"], 10)
    found = np.repeat(["1", "2", "3"], 10)
    found[10:13] = "1"
    here = np.arange(30) >= 10
    assert integration.share_of(labels, found, here, ["a"]) == pytest.approx(3 / 20)
    assert integration.share_of(labels, found, here, ["a", "c"]) == pytest.approx(13 / 20)


def test_lacked_domains_are_lacking():
    case = _integration_cases.Case("synthetic, strong, domains missing")
    section = _integration_cases.load_case(case, None)
    lacked = _integration_cases.lacked_domains(case)
    assert len(lacked) == 2
    for name, domains in lacked.items():
        assert not np.isin(section.labels[section.slices == name], domains).any()
        assert np.isin(domains, section.labels).all()
    assert _integration_cases.lacked_domains(_integration_cases.Case("synthetic, none")) == {}


def test_labels_come_from_other_slices_only():
    rng = np.random.default_rng(0)
    labels, slices = np.repeat(["a", "b"], 60), np.tile(["x", "y", "z"], 40)
    values = rng.normal(size=(120, 2)) + np.where(labels == "a", 0, 2)[:, None]
    found = _integration_transfer.leave_one_slice_out(values, labels, slices)
    for spot in range(0, 120, 7):
        others = np.flatnonzero(slices != slices[spot])
        nearest = others[np.argsort(np.linalg.norm(values[others] - values[spot], axis=1))[:15]]
        assert found[spot] == ("a" if (labels[nearest] == "a").sum() > 7 else "b")


def test_shared_classes_have_enough_spots_in_two_slices():
    labels = np.array(["a"] * 45 + ["b"] * 45 + ["c"] * 30)
    slices = np.array(["x"] * 25 + ["y"] * 20 + ["x"] * 26 + ["y"] * 19 + ["x"] * 30)
    kept = _integration_transfer.shared_classes(labels, slices)
    np.testing.assert_array_equal(kept, labels == "a")


def test_macro_f1_and_its_bootstrap():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 90)
    found = np.where(rng.random(90) < 0.7, true, rng.integers(0, 3, 90))
    weights = rng.integers(0, 4, 90)
    expected = f1_score(np.repeat(true, weights), np.repeat(found, weights), average="macro")
    assert _integration_transfer.macro_f1(true, found, 3, weights.astype(float)) == pytest.approx(expected)
    labels, slices = np.array(["a", "b", "c"])[true], np.tile(["x", "y", "z"], 30)
    guesses = np.array(["a", "b", "c"])[found]
    table = _integration_transfer.bootstrap(
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
    assert _integration_tables.on_front(table).to_dict() == {"PCA": True, "ComBat": False, "SPOTSCAPE": True}


def test_bad_requests(tmp_path):
    with pytest.raises(ValueError, match="write NAME="):
        _integration_cases.find_cases(["file.h5ad"], None, synthetic=False)
    with pytest.raises(SystemExit):
        integration.main(["--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="no results"):
        integration.main(["--tables-only", "--out", str(tmp_path)])
