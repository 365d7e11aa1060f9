"""The cross-sample benchmark, on made-up samples."""

import sys
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("scib_metrics", reason="needs the extra spotscape[scib]")

import spotscape as sps
from benchmarks.common import aestetik, transfer
from benchmarks.common.reading import Keys
from benchmarks.common.registry import COMMON, CROSS_SAMPLE, CROSS_SAMPLE_IMAGE_PRESETS, IMAGE_MODEL
from benchmarks.common.representations import scvi_latent
from benchmarks.common.transfer_runs import results_of
from benchmarks.common.transfer_tables import on_front
from benchmarks.cross_sample import authors, cases
from benchmarks.cross_sample.__main__ import main


def sections(n_slices, *, image=False):
    adata = sps.datasets.synthetic_modalities(
        n_slices=n_slices, n_spots=100, n_kinds=4, n_genes=40, n_image_features=10, seed=0
    )
    adata.obs["domain"] = adata.obs["kind"].astype(object)
    adata.obs.loc[adata.obs_names[:5], "domain"] = "undetermined"
    adata.obs["domain"] = pd.Categorical(adata.obs["domain"])
    features = adata.obsm.pop("X_image")
    if image:
        adata.obsm["image_features"] = features
    return adata


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sections")
    sections(3).write_h5ad(folder / "tissue.h5ad")
    sections(1, image=True).write_h5ad(folder / "seen.h5ad")
    return str(folder / "tissue.h5ad"), str(folder / "seen.h5ad")


@pytest.mark.slow
def test_run_and_resume(files, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "N_BOOTSTRAP", 10)
    monkeypatch.setattr(cases, "N_SPOTS", 60)
    arguments = ["--expression", f"tissue={files[0]}", "--image", f"seen={files[1]}", "--simulation"]
    arguments += ["--drop-label", "undetermined", "--out", str(tmp_path), "--seeds", "1", "--methods"]
    methods = ["PCA", "AESTETIK", "AESTETIK, none", "AESTETIK, without space", "AESTETIK, both", "AESTETIK, image"]
    assert main([*arguments, *methods, "side by side, Harmony"]) == 0
    results = results_of(tmp_path).read()
    assert set(results["case"]) == {"tissue", "seen", *cases.SYNTHETIC}
    assert not results.duplicated(["case", "method", "seed", "metric"]).any()
    tissue = results[results["case"] == "tissue"].pivot(index="method", columns="metric", values="value")
    assert set(tissue.index) == set(methods[:4])
    assert tissue["macro-F1"].between(0, 1).all() and tissue["mixing"].gt(0).all()
    # The integration scores take long, and are of the default and the common methods only.
    assert tissue["bio"].notna().to_dict() == {name: name in ("PCA", "AESTETIK") for name in methods[:4]}
    seen = results[results["case"] == "seen"]
    assert set(seen["metric"]) == {"ARI", "ARI of its clusters"}
    assert set(seen["method"]) == {*methods[4:], "side by side, Harmony"}
    transfers = pd.read_csv(tmp_path / "transfer.csv")
    assert set(transfers["method"]) == set(methods[:4]) - {"AESTETIK"} and set(transfers["case"]) == {"tissue"}
    assert (transfers["low"] <= transfers["high"]).all()

    text = (tmp_path / "results.csv").read_text()
    (tmp_path / "summary.md").unlink()
    assert main([*arguments, *methods, "side by side, Harmony"]) == 0
    assert (tmp_path / "results.csv").read_text() == text
    assert "On the Pareto front of PCA, AESTETIK" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "cross_sample.png").stat().st_size > 0
    (tmp_path / "cross_sample.png").unlink()
    assert main(["--tables-only", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "cross_sample.png").exists()


def test_presets_are_measured_when_they_are_asked_for(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("benchmarks.cross_sample.__main__.Benchmark.measure", lambda self, runs: asked.extend(runs))
    monkeypatch.setattr("benchmarks.cross_sample.__main__.write_tables", lambda *_: None)
    arguments = ["--simulation", "--seeds", "1", "--out"]
    for preset, n_presets in (([], 0), (["--preset", "paper"], 4), (["--preset", "paper", "released"], 8)):
        asked.clear()
        assert main([*arguments, str(tmp_path), *preset]) == 0
        assert sum("preset" in method for _, method, _ in asked) == n_presets
    represent: Any = CROSS_SAMPLE_IMAGE_PRESETS["AESTETIK, both, preset released"].represent
    assert represent.keywords == {"image_key": aestetik.IMAGE, "preset": "released"}


def test_variants_reach_the_model(files, monkeypatch):
    asked = []

    def record(section, seed, **settings):
        asked.append(settings)
        return np.zeros((len(section.slices), 2))

    monkeypatch.setattr(aestetik, "aestetik", record)
    section = cases.load_case(cases.Case("tissue", (files[0],), keys=Keys(dropped=("undetermined",))), 0)
    names = [name for name in CROSS_SAMPLE if name.startswith("AESTETIK")]
    assert len(names) == 16
    for name in names:
        represent: Any = CROSS_SAMPLE[name].represent
        if represent.func is aestetik.on_representation:
            assert represent.keywords["made_by"] is scvi_latent
            represent = partial(represent, made_by=lambda *_: np.zeros((300, 2)))
        represent(section, 0)
    assert len({tuple(sorted(settings.items())) for settings in asked}) == 16
    assert asked[names.index("AESTETIK")] == {"rna_correction": "harmony"}
    assert asked[names.index("AESTETIK, scVI, without space")] == {
        "rna_key": "X_given",
        "rna_correction": "precomputed",
        "window": 0,
    }


def test_image_features_follow_the_spots(files):
    case = cases.Case("seen", (files[1],), has_image=True, keys=Keys(dropped=("undetermined",)))
    section = cases.load_case(case, 0)
    expected = pd.DataFrame(sections(1, image=True).obsm["image_features"], index=sections(1).obs_names)
    np.testing.assert_array_equal(section.adata.obsm["X_image"], expected.loc[section.adata.obs_names])
    assert section.n_domains == 4 and section.is_annotated.sum() == 95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give at least one --expression"),
        (["--simulation", "--seeds", "0"], "--seeds is 0"),
        (["--simulation", "--methods", "nothing"], "invalid choice"),
        (["--image", "a.h5ad"], "write NAME="),
        (["--image", "a=nothing.h5ad"], "no file nothing.h5ad"),
    ],
)
def test_wrong_arguments(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([*arguments, "--out", str(tmp_path)])
    assert message in capsys.readouterr().err


def test_wrong_cases():
    with pytest.raises(ValueError, match="would be called 'a'"):
        cases.find_cases([("a", ("a.h5ad",))], [("a", ("b.h5ad",))], Keys(), simulation=True)


def test_nothing_is_on_the_front_without_scores():
    results = pd.DataFrame({"case": ["a"], "method": ["AESTETIK"], "seed": [0], "metric": ["ARI"], "value": [0.5]})
    assert on_front(results, (*COMMON, IMAGE_MODEL)).empty


def test_lattice_sites_survive_jitter_gaps_and_scale():
    rng = np.random.default_rng(0)
    sites = np.stack(np.meshgrid(np.arange(25), np.arange(18)), axis=-1).reshape(-1, 2)
    sites = np.concatenate([sites[:1], sites[1:][rng.uniform(size=len(sites) - 1) < 0.8]])
    slices = np.repeat(["a", "b"], len(sites))
    places = np.concatenate([277.0 * sites + 1900, 101.3 * sites - 40])
    places += np.repeat([277.0, 101.3], len(sites))[:, None] * rng.normal(scale=0.04, size=places.shape)
    found = authors.lattice_sites(places, slices)
    for name in ("a", "b"):
        there = found[slices == name]
        np.testing.assert_array_equal(there - there[0], sites - sites[0])


def test_the_package_of_the_authors_gets_features_sites_and_seed(files, tmp_path):
    # In place of its Python: a program that shows what it was given.
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys, anndata, numpy as np\n"
        "_, flag, module, given, out, n_clusters, seed = sys.argv\n"
        "a = anndata.read_h5ad(given)\n"
        "assert (flag, module, n_clusters, seed) == ('-m', 'benchmarks.peers.aestetik', '4', '3')\n"
        "import benchmarks.peers\n"
        "np.save(out, np.hstack([a.obsm['X_pca_transcriptomics'], a.obsm['X_pca_morphology'], a.obs[['x_array']]]))\n"
    )
    program.chmod(0o755)
    keys = Keys(dropped=("undetermined",))
    (case,) = cases.find_cases([], [("seen", (files[1],))], keys, simulation=False)
    found = authors.authors(cases.load_case(case, 3), 3, python=str(program))
    assert found.shape == (100, authors.N_FEATURES + 10 + 1)
    assert np.abs(found[:, :-1]).max(axis=0).min() > 0 and len(np.unique(found[:, -1])) > 5
