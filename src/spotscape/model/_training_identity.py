"""What a training depends on, so that a checkpoint continues no other training."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse

from spotscape.module._base import SeededModule

if TYPE_CHECKING:
    from spotscape.data import SpotDataset
    from spotscape.model._base import LatentModel

_RELEASES = ("spotscape", "scvi-tools", "lightning", "torch", "numpy")
#: Arguments that do not change what is learnt.
_IMMATERIAL = {
    *("self", "checkpoint_dir", "trainer_kwargs", "callbacks", "logger", "profiler", "plugins", "default_root_dir"),
    *("enable_progress_bar", "progress_bar_refresh_rate", "simple_progress_bar", "enable_model_summary"),
    *("log_every_n_steps", "log_save_dir", "preprocessing"),
}


def identity_of(model: "LatentModel", dataset: "SpotDataset", arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a training by plain values.

    Parameters
    ----------
    model
        Model that is about to be trained.
    dataset
        Its spots.
    arguments
        Arguments of ``train``, with the defaults that depend on the data.

    Returns
    -------
    Dictionary with the class of the model, releases of packages, arguments, and digests of the data and the weights.
    """
    given = model.init_params_
    made_with = given["non_kwargs"] | {name: value for one in given["kwargs"].values() for name, value in one.items()}
    module = model.module
    start = [module.state_dict(), module.get_training_state() if isinstance(module, SeededModule) else None]
    return {
        "model": type(model).__name__,
        "releases": {name: version(name) for name in _RELEASES},
        "set-up argument": _described(model.registry_["setup_args"]),
        "model argument": _described(made_with),
        "training argument": _described(arguments),
        "data": digest_of([dataset, model.adata.obs_names.to_numpy(str), model.adata.var_names.to_numpy(str)]),
        "start": digest_of(start),
    }


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two trainings, as part of a sentence; empty if nothing does."""
    if before["model"] != now["model"]:
        return f"it is of a {before['model']} model, and this is a {now['model']} model"
    for kind in ("releases", "set-up argument", "model argument", "training argument"):
        for name in sorted(before[kind].keys() | now[kind].keys()):
            old, new = (one[kind].get(name, "not given") for one in (before, now))
            if old != new and kind == "releases":
                return f"it was written with {name} {old}, and {new} is installed"
            if old != new:
                return f"its {kind} `{name}` is {old}, and here it is {new}"
    if before["data"] != now["data"]:
        return (
            "its data differ, or the features that were computed from them, as with another number of threads or "
            "another computer"
        )
    if before["start"] != now["start"]:
        return "it started from other weights, such as those of a model that was not trained before"
    return ""


def digest_of(value: Any) -> str:
    """SHA-256 of arrays, tensors, containers and objects with such attributes."""
    digest = sha256()
    _add(digest, value)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    elif sparse.issparse(value):
        rows = value.tocsr()
        _add(digest, [rows.shape, rows.data, rows.indices, rows.indptr])
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            _add(digest, [key, value[key]])
    elif isinstance(value, (list, tuple, np.ndarray)):
        digest.update(f"{len(value)}[".encode())
        for entry in value:
            _add(digest, entry)
    elif value is None or isinstance(value, (bool, int, float, str, bytes, np.generic)):
        digest.update(f"{value!r};".encode())
    else:
        digest.update(type(value).__qualname__.encode())
        state = value.__getstate__() if hasattr(value, "__getstate__") else None
        if state is not None:
            _add(digest, state)


def _described(values: Mapping[str, Any]) -> dict[str, str]:
    """Arguments by name, as text."""
    return {name: _text(value) for name, value in values.items() if name not in _IMMATERIAL}


def _text(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, (list, tuple)) and len(value) <= 10:
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(value[key])}" for key in sorted(value, key=str)) + "}"
    if isinstance(value, (Sequence, np.ndarray)):
        return f"{len(value)} values ({digest_of(value)[:8]})"
    return type(value).__qualname__
