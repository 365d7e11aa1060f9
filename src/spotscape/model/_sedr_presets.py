"""Settings of SEDR: the defaults, those of the paper and those of the released code."""

from collections.abc import Mapping
from typing import Any

#: What `__init__` and `train` take where the user gives nothing.
DEFAULT: dict[str, Any] = {
    "representation": "decoder",
    "masking": "replace",
    "mask_at_inference": False,
    "masked_loss": "cosine",
    "dropout_rate": 0.0,
    "batch_norm_momentum": 0.1,
    "adjacency_weight": 0.1,
    "kl_weight": 1e-3,
    "redraw_pairs": True,
    "n_top_genes": 3000,
    "n_components": None,
    "scale_power": None,
    "n_steps": 300,
    "lr": 1e-2,
    "weight_decay": 1e-4,
    "schedule": "one-cycle",
}

#: Width of the released code's principal components, as far as the data has so many.
PUBLISHED_N_COMPONENTS = 200
_PAPER = DEFAULT | {
    "representation": "encoder",
    "masked_loss": "squared",
    "dropout_rate": 0.2,
    "batch_norm_momentum": 0.01,
    "n_top_genes": 2000,
    "n_components": PUBLISHED_N_COMPONENTS,
    "scale_power": 0.0,
    "n_steps": 200,
    "weight_decay": 1e-2,
    "schedule": "constant",
}
# The released code averages over edges and non-edges together and halves that, and divides the divergence by the
# number of spots once more; the latter is done where the number is known.
_RELEASED = _PAPER | {
    "masking": "add",
    "mask_at_inference": True,
    "masked_loss": "cosine",
    "adjacency_weight": 0.05,
    "kl_weight": 0.1,
    "redraw_pairs": False,
}
PRESETS: dict[str | None, dict[str, Any]] = {None: DEFAULT, "paper": _PAPER, "released": _RELEASED}


def resolve(preset: str | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that the presets set, with ``None`` replaced by the value of the preset."""
    given = {name: arguments[name] for name in PRESETS[preset].keys() & arguments.keys()}
    return {name: PRESETS[preset][name] if value is None else value for name, value in given.items()}
