"""Model files that run code when they are unpickled, and every function that is given one."""

import contextlib
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.faults.models import small_tissue

#: Ways to hide code in a model file.
KINDS = ("attribute", "object array", "old format", "pickle", "TorchScript")


class Payload:
    """Object that writes a file when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = str(flag)

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.flag),)


class _Identity(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input."""
        return x


def write_payload(kind: str, good: Path, bad: Path, flag: Path) -> None:
    """Write a model file with code in it.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    good
        Model file without code.
    bad
        File to write.
    flag
        File that the code writes.
    """
    bad.parent.mkdir(parents=True, exist_ok=True)
    payload = Payload(flag)
    contents = torch.load(good, weights_only=False)
    if kind == "attribute":
        contents["attr_dict"]["payload_"] = payload
        torch.save(contents, bad)
    elif kind == "object array":
        array = np.empty(1, dtype=object)
        array[0] = payload
        contents["attr_dict"]["payload_"] = array
        torch.save(contents, bad)
    elif kind == "old format":
        contents["attr_dict"]["payload_"] = payload
        torch.save(contents, bad, _use_new_zipfile_serialization=False)
    elif kind == "pickle":
        bad.write_bytes(pickle.dumps(payload))
    else:
        torch.jit.save(torch.jit.trace(_Identity(), torch.ones(1)), str(bad))


def doors(model_class: Any, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every function of a model class that reads a model file, with the call that reads the one in a folder."""
    url = (folder / "model.pt").as_uri()
    yield "load", lambda: model_class.load(folder, adata=False)
    yield "load with data", lambda: model_class.load(folder, adata=small_tissue())
    yield "load_registry", lambda: model_class.load_registry(folder)
    yield "view_setup_args", lambda: model_class.view_setup_args(folder)
    yield "prepare_query_anndata", lambda: model_class.prepare_query_anndata(small_tissue(), folder)
    yield "convert_legacy_save", lambda: model_class.convert_legacy_save(folder, folder / "converted")
    yield "backup_url", lambda: model_class.load(folder / "none", adata=False, backup_url=url)


def outcome_of_door(call: Callable[[], object], flag: Path) -> str:
    """``"refused"``, ``"code ran"`` or ``"read"``."""
    flag.unlink(missing_ok=True)
    refused = False
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            call()
        except ValueError:
            refused = True
    return "code ran" if flag.exists() else "refused" if refused else "read"
