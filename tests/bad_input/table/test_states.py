"""Data that cannot be used: one clear sentence from every function that reads them, and nothing has changed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from anndata import AnnData

from .checks import ADVICE, difference, is_ours, stop_work
from .kinds import shown_id
from .states import CASES


@pytest.mark.filterwarnings("ignore:(Observation|Variable) names are not unique")
@pytest.mark.parametrize(("function", "kind", "call", "change", "message"), CASES, ids=shown_id)
def test_bad_data(
    monkeypatch: pytest.MonkeyPatch,
    raw_tissue: AnnData,
    tmp_path: Path,
    function: str,
    kind: str,
    call: Callable[[AnnData], Any],
    change: Callable[[AnnData], AnnData | None],
    message: str,
) -> None:
    adata = raw_tissue.copy()
    changed = change(adata)
    adata = changed if isinstance(changed, AnnData) else adata
    before = adata.copy()
    stop_work(monkeypatch)
    with pytest.raises(Exception, match=message) as caught:
        call(adata)
    text = str(caught.value.args[0])
    assert is_ours(caught.value), f"raised elsewhere: {text}"
    assert re.search(ADVICE, text), f"does not say what to do: {text}"
    assert "\n" not in text and len(text) < 450
    assert difference(adata, before) is None
