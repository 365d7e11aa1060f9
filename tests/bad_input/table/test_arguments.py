"""Functions of an AnnData: every argument with every bad value of its kind."""

from typing import Any

import pytest
from anndata import AnnData

from .calls import CALLS
from .checks import difference, problem_of, stop_work
from .kinds import shown_id

CASES = [(name, argument, value) for name, call in CALLS.items() for argument, value in call.cases()]


@pytest.fixture(scope="module")
def data(tissue: AnnData) -> dict[str, AnnData]:
    """Data that all cases are given, and a copy of them that no case is given."""
    return {"given": tissue.copy(), "before": tissue.copy()}


@pytest.mark.parametrize(("name", "argument", "value"), CASES, ids=shown_id)
def test_bad_argument(
    monkeypatch: pytest.MonkeyPatch, data: dict[str, AnnData], name: str, argument: str, value: Any
) -> None:
    call, adata, before = CALLS[name], data["given"], data["before"]
    stop_work(monkeypatch)
    arguments = {"adata": adata} | dict(call.good) | dict(call.context.get(argument, {})) | {argument: value}
    arguments = {key: adata if given is ... else given for key, given in arguments.items()}
    problem = problem_of(lambda: call.function(**arguments), argument, value, adata, before)
    if problem is not None and difference(adata, before):
        # the next case is given data that are as they were
        data["given"] = before.copy()
    assert problem is None
