"""Features of a pathology model that lies in a folder of the user; nothing is ever downloaded."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spotscape.pp.image._network import default_device

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# What both libraries take where a model does not say: the colours of ImageNet.
_MEAN, _SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_N_PIXELS = 224


@dataclass(frozen=True)
class LocalModel:
    """A network and how it wants its tiles."""

    network: nn.Module
    mean: tuple[float, ...]
    sd: tuple[float, ...]

    @torch.inference_mode()
    def features(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of tiles, one vector each. ``(n_tiles, n_features)``."""
        device = default_device()
        colors = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).to(device).float() / 255
        mean, sd = (torch.tensor(values, device=device)[:, None, None] for values in (self.mean, self.sd))
        answer = self.network((colors - mean) / sd)
        if not isinstance(answer, torch.Tensor):
            # transformers: the pooled output, or the class token where a model has no pooling
            pooled = getattr(answer, "pooler_output", None)
            answer = answer.last_hidden_state[:, 0] if pooled is None else pooled
        return answer.reshape(len(tiles), -1).float().cpu().numpy()


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` of a model of timm or transformers, and check that the folder is complete.

    Raises
    ------
    ValueError
        If the folder has no such file, or it is not that of a model of either library.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`method` is the folder {str(folder)!r}, which has no readable config.json; pass the folder of a model of "
            "timm or transformers."
        ) from error
    if not isinstance(config, dict) or not ("architecture" in config or "model_type" in config):
        raise ValueError(
            f"The config.json of {str(folder)!r} names no `architecture` (timm) and no `model_type` (transformers); "
            "pass the folder of a model of one of them."
        )
    return config


def input_size(folder: Path) -> int:
    """Side of the tiles that a model was made for, in pixels."""
    config = read_config(folder)
    if "architecture" in config:
        return int(config.get("pretrained_cfg", config).get("input_size", (3, _N_PIXELS, _N_PIXELS))[-1])
    size = config.get("image_size", _N_PIXELS)
    return int(size if isinstance(size, int) else size[-1])


def load_local_model(folder: Path) -> LocalModel:
    """Load a model from a folder as timm or transformers save it, without its head.

    Parameters
    ----------
    folder
        Folder with ``config.json`` and ``model.safetensors`` (or ``pytorch_model.bin``, which is read without running
        code from it).

    Returns
    -------
    The model, ready to encode.

    Raises
    ------
    ImportError
        If the library of the model is not installed.
    ValueError
        If the weights are missing, damaged or those of another model.
    """
    config = read_config(folder)
    if "architecture" in config:
        network = _timm_network(folder, config)
        colors = config.get("pretrained_cfg", config)
        mean, sd = colors.get("mean", _MEAN), colors.get("std", _SD)
    else:
        network = _transformers_network(folder)
        path = folder / "preprocessor_config.json"
        colors = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        mean, sd = colors.get("image_mean", _MEAN), colors.get("image_std", _SD)
    return LocalModel(network.eval().to(default_device()), tuple(mean), tuple(sd))


def model_digest(folder: Path) -> str:
    """Fingerprint of the files of a model."""
    found = sha256()
    for path in sorted(folder.glob("*")):
        if path.is_file():
            found.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(2**20):
                    found.update(block)
    return found.hexdigest()


def _timm_network(folder: Path, config: dict[str, Any]) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise ImportError(_missing("timm", folder)) from error
    arguments = config.get("model_args", {})
    network = timm.create_model(config["architecture"], pretrained=False, **{**arguments, "num_classes": 0})
    weights = _read_weights(folder)
    try:
        missing, _ = network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ValueError(f"The weights in {str(folder)!r} do not fit its config.json; use matching files.") from error
    if missing:
        raise ValueError(
            f"The weights in {str(folder)!r} lack {len(missing)} of the model's (the first is {missing[0]!r}); use the "
            "files of one model."
        )
    return network


def _transformers_network(folder: Path) -> nn.Module:
    try:
        import transformers
    except ImportError as error:
        raise ImportError(_missing("transformers", folder)) from error
    try:
        return transformers.AutoModel.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:150]
        raise ValueError(f"transformers cannot load {str(folder)!r} ({reason}); check its files.") from error


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    path = next((folder / name for name in _WEIGHTS if (folder / name).exists()), None)
    if path is None:
        raise ValueError(f"{str(folder)!r} has no {' or '.join(_WEIGHTS)}; put the weights of the model there.")
    damage: tuple[type[Exception], ...] = (OSError, ValueError, RuntimeError, EOFError, UnpicklingError)
    if path.suffix == ".safetensors":
        try:
            from safetensors import SafetensorError
            from safetensors.torch import load_file
        except ImportError as error:
            raise ImportError(_missing("safetensors", folder)) from error
        damage = (*damage, SafetensorError)
    try:
        return torch.load(path, map_location="cpu", weights_only=True) if path.suffix == ".bin" else load_file(path)
    except damage as error:
        raise ValueError(f"The weights {str(path)!r} are damaged or hold more than weights; replace them.") from error


def _missing(package: str, folder: Path) -> str:
    return f'The model in {str(folder)!r} needs {package}; run: pip install "spotscape[foundation]"'
