"""Functions of arrays, tables, paths and numbers: every argument with every bad value."""

from pathlib import Path
from typing import Any

import pytest
from anndata import AnnData

from .arrays import CALLS
from .checks import problem_of, stop_work
from .kinds import shown_id

CASES = [(name, argument, value) for name, call in CALLS.items() for argument, value in call.cases()]


@pytest.mark.parametrize(("name", "argument", "value"), CASES, ids=shown_id)
def test_bad_argument(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, argument: str, value: Any) -> None:
    call = CALLS[name]
    stop_work(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("good.h5ad").touch()
    arguments = dict(call.good) | dict(call.context.get(argument, {})) | {argument: value}
    assert problem_of(lambda: call.function(**arguments), argument, value, AnnData(), AnnData()) is None
