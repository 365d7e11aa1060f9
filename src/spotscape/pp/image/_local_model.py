"""Features of a pathology model in a local folder; nothing is downloaded."""

import importlib
import json
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spotscape.pp.image._extraction import Extractor
from spotscape.pp.image._self_supervised import as_tensor, default_device

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Defaults of both libraries: normalisation and input size of ImageNet.
_DEFAULT_MEAN, _DEFAULT_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_DEFAULT_N_PIXELS = 224


def read_config(folder: Path) -> dict[str, Any]:
    """Read and check ``config.json`` of a model of timm or transformers.

    Raises
    ------
    ValueError
        If there is no such file, or it does not belong to a model of either library.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`method` is the folder {str(folder)!r}, which has no readable config.json; pass the folder of a timm or "
            "transformers model."
        ) from error
    if not isinstance(config, dict) or not ("architecture" in config or "model_type" in config):
        raise ValueError(
            f"The config.json of {str(folder)!r} has neither `architecture` (timm) nor `model_type` (transformers); "
            "pass the folder of a timm or transformers model."
        )
    return config


def input_size(folder: Path) -> int:
    """Side of the input tiles of a model, in pixels."""
    config = read_config(folder)
    if "architecture" in config:
        return int(config.get("pretrained_cfg", config).get("input_size", [_DEFAULT_N_PIXELS])[-1])
    size = config.get("image_size", _DEFAULT_N_PIXELS)
    return int(size if isinstance(size, int) else size[-1])


def load_local_model(folder: Path) -> Extractor:
    """Load a model saved by timm or transformers, without its classification head.

    Parameters
    ----------
    folder
        Folder with ``config.json`` and ``model.safetensors`` (or ``pytorch_model.bin``, which is read without executing
        code).

    Returns
    -------
    Function from tiles to features, ``(n_tiles, n_features)``.

    Raises
    ------
    ImportError
        If the library of the model is not installed.
    ValueError
        If the weights are missing, damaged or of another architecture.
    """
    config = read_config(folder)
    if "architecture" in config:
        network = _timm_network(folder, config)
        colors = config.get("pretrained_cfg", config)
        mean, sd = colors.get("mean", _DEFAULT_MEAN), colors.get("std", _DEFAULT_SD)
    else:
        network = _transformers_network(folder)
        path = folder / "preprocessor_config.json"
        colors = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        mean, sd = colors.get("image_mean", _DEFAULT_MEAN), colors.get("image_std", _DEFAULT_SD)
    device = default_device()
    network = network.eval().to(device)
    mean, sd = (torch.tensor(values, device=device)[:, None, None] for values in (mean, sd))

    @torch.inference_mode()
    def features(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        output = network((as_tensor(tiles).to(device) - mean) / sd)
        if not isinstance(output, torch.Tensor):
            # transformers: the pooled output, or the class token of a model without pooling
            pooled = getattr(output, "pooler_output", None)
            output = output.last_hidden_state[:, 0] if pooled is None else pooled
        return output.reshape(len(tiles), -1).float().cpu().numpy()

    return features


def model_digest(folder: Path) -> str:
    """SHA-256 of the files of a model."""
    sha = sha256()
    for path in sorted(folder.glob("*")):
        if path.is_file():
            sha.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(2**20):
                    sha.update(block)
    return sha.hexdigest()


def _timm_network(folder: Path, config: dict[str, Any]) -> nn.Module:
    timm = _imported("timm", folder)
    arguments = config.get("model_args", {})
    network = timm.create_model(config["architecture"], pretrained=False, **{**arguments, "num_classes": 0})
    weights = _read_weights(folder)
    try:
        missing, _ = network.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ValueError(
            f"The weights in {str(folder)!r} do not match its config.json; use files of one model."
        ) from error
    if missing:
        raise ValueError(
            f"The weights in {str(folder)!r} do not match its config.json ({len(missing)} missing, such as "
            f"{missing[0]!r}); use files of one model."
        )
    return network


def _transformers_network(folder: Path) -> nn.Module:
    transformers = _imported("transformers", folder)
    try:
        return transformers.AutoModel.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:150]
        raise ValueError(f"transformers cannot load {str(folder)!r} ({reason}); check its files.") from error


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    path = next((folder / name for name in _WEIGHTS if (folder / name).exists()), None)
    if path is None:
        raise ValueError(f"{str(folder)!r} has no {' or '.join(_WEIGHTS)}; copy the weights of the model there.")
    read_errors: tuple[type[Exception], ...] = (OSError, ValueError, RuntimeError, EOFError, UnpicklingError)
    if path.suffix == ".safetensors":
        read_errors = (*read_errors, _imported("safetensors", folder).SafetensorError)
        from safetensors.torch import load_file
    try:
        return torch.load(path, map_location="cpu", weights_only=True) if path.suffix == ".bin" else load_file(path)
    except read_errors as error:
        raise ValueError(
            f"The weights {str(path)!r} are damaged or contain objects other than tensors; replace them."
        ) from error


def _imported(package: str, folder: Path) -> Any:
    """A package of the extra ``foundation``."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f'The model in {str(folder)!r} needs {package}; run: pip install "spotscape[foundation]"'
        ) from error
