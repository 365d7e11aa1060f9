"""Models: every argument of set-up, construction, training, answers and files with every bad value of its kind."""

from pathlib import Path
from typing import Any

import pytest
from anndata import AnnData

import spotscape as sps

from .checks import difference, problem_of, stop_work
from .kinds import Call, shown_id
from .models import ANSWERS, CONSTRUCTORS, SETUPS, TRAININGS

CLASSES = {"SPOTSCAPE": sps.SPOTSCAPE, "SEDR": sps.SEDR, "AESTETIK": sps.AESTETIK}
SMALL: dict[str, dict[str, Any]] = {
    "SPOTSCAPE": {"n_prototypes": (3,)},
    "SEDR": {},
    "AESTETIK": {"n_clusters": 4, "image_weight": 0.5},
}
show = pytest.mark.parametrize


@pytest.fixture(scope="module")
def data(raw_tissue: AnnData) -> dict[str, AnnData]:
    """Data of each class that its cases are given, set up, and copies that no case is given."""
    found = {"": raw_tissue.copy()}
    for name, call in SETUPS.items():
        adata = raw_tissue.copy()
        call.function(adata, **call.good)
        found[name.partition(".")[0]] = adata
    return found | {f"{name} before": adata.copy() for name, adata in found.items()}


@pytest.fixture(scope="module")
def models(data: dict[str, AnnData]) -> dict[str, Any]:
    """A small model of each class that is not trained."""
    return {name: one(data[name], n_hidden=8, n_latent=4, **SMALL[name]) for name, one in CLASSES.items()}


@pytest.fixture(scope="module")
def trained(data: dict[str, AnnData], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small trained model, and the folder in which its folder is."""
    model, folder = (
        sps.SPOTSCAPE(data["SPOTSCAPE"], n_hidden=8, n_latent=4, n_prototypes=(3,)),
        tmp_path_factory.mktemp("m"),
    )
    model.train(2, enable_progress_bar=False)
    model.save(folder / "model")
    return model, folder


def cases(calls: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [(name, argument, value) for name, call in calls.items() for argument, value in call.cases()]


def check(data: dict[str, AnnData], key: str, call: Call, given: dict[str, Any], argument: str, value: Any) -> None:
    adata, before = data[key], data[f"{key} before"]
    arguments = given | dict(call.good) | dict(call.context.get(argument, {})) | {argument: value}
    problem = problem_of(lambda: call.function(**arguments), argument, value, adata, before)
    if problem is not None and difference(adata, before):
        data[key] = before.copy()
    assert problem is None


@show(("name", "argument", "value"), cases(SETUPS), ids=shown_id)
def test_bad_setup(data: Any, name: str, argument: str, value: Any) -> None:
    check(data, "", SETUPS[name], {"adata": data[""]}, argument, value)


@show(("name", "argument", "value"), cases(CONSTRUCTORS), ids=shown_id)
def test_bad_model(monkeypatch: pytest.MonkeyPatch, data: Any, name: str, argument: str, value: Any) -> None:
    stop_work(monkeypatch)
    check(data, name, CONSTRUCTORS[name], {"adata": data[name]}, argument, value)


@show(
    ("name", "argument", "value"),
    cases({k: make(CLASSES[k]) for k, make in TRAININGS.items()}),
    ids=shown_id,
)
def test_bad_training(
    monkeypatch: pytest.MonkeyPatch, data: Any, models: Any, name: str, argument: str, value: Any
) -> None:
    stop_work(monkeypatch)
    check(data, name, TRAININGS[name](models[name]), {}, argument, value)
    assert not models[name].is_trained


@show(
    ("name", "argument", "value"),
    cases({k: make(sps.SPOTSCAPE) for k, make in ANSWERS.items()}),
    ids=shown_id,
)
def test_bad_answer(
    monkeypatch: pytest.MonkeyPatch, data: Any, trained: Any, name: str, argument: str, value: Any
) -> None:
    model, folder = trained
    monkeypatch.chdir(folder)
    stop_work(monkeypatch)
    call = ANSWERS[name](model)
    given = {"adata": data["SPOTSCAPE"]} if "adata" in call.parameters() and name != "load" else {}
    check(data, "SPOTSCAPE", call, given, argument, value)
    assert sorted(path.name for path in folder.iterdir()) == ["model"]
