"""Checkpoints of training, from which an interrupted training continues as if it had not been interrupted."""

import math
import os
import random
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import Callback, LightningModule, Trainer

from spotscape._write import explained, whole_file
from spotscape.model._save_load import add_checksum, read_checkpoint_file
from spotscape.model._training_identity import difference
from spotscape.module._base import SeededModule

#: Version of the format of checkpoints.
_FORMAT_VERSION = 1
_FILE = "training.ckpt"
_KEY = "spotscape"
#: A checkpoint is written after each twentieth of the epochs.
_N_CHECKPOINTS = 20


class Checkpoints(Callback):
    """Writes checkpoints at the start of epochs, and continues from the one that is there.

    Lightning stores and restores the weights, the optimiser, its schedule, its own counters and the callbacks. This
    callback adds the state of the module, the history and the global random numbers.

    Parameters
    ----------
    folder
        Folder of the checkpoint.
    identity
        What the training depends on, see :func:`~spotscape.model._training_identity.identity_of`.
    max_epochs
        Number of epochs.

    Attributes
    ----------
    contents
        Checkpoint to continue from; ``None``: there is none.

    Raises
    ------
    ValueError
        If the checkpoint is damaged, or of another training.
    OSError
        If the folder cannot be written to.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], max_epochs: int):
        super().__init__()
        self.path = folder / _FILE
        self.interval = max(1, math.ceil(max_epochs / _N_CHECKPOINTS))
        self.identity = identity
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError("the folder is read-only")
        self.contents = self._read() if self.path.exists() else None
        self.first_epoch = 0 if self.contents is None else self.contents["epoch"]
        self._is_writing = False

    def trainer_arguments(self, plugins: Any) -> dict[str, Any]:
        """Arguments of the trainer with which Lightning reads and writes checkpoints by this module.

        Parameters
        ----------
        plugins
            Plugins of the user: one, a list, or ``None``.
        """
        given = [] if plugins is None else plugins if isinstance(plugins, list) else [plugins]
        path = None if self.contents is None else str(self.path)
        return {"plugins": [*given, _CheckpointFiles(self.contents)], "ckpt_path": path}

    def remove(self) -> None:
        """Remove the checkpoint of a training that has ended."""
        self.path.unlink(missing_ok=True)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Tell the loader of the batches with which epoch it starts."""
        trainer.datamodule.first_epoch = self.first_epoch  # type: ignore[attr-defined]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore what Lightning does not."""
        if self.contents is None:
            return
        own, module = self.contents[_KEY], pl_module.module
        if isinstance(module, SeededModule):
            module.set_training_state(own["module"])
        _history(trainer).update(_restored(own["history"]))
        _set_random_state(own["random"])

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a checkpoint if it is due. At the start of an epoch, the history of the last one is complete."""
        epoch = trainer.current_epoch
        if epoch <= self.first_epoch or epoch % self.interval:
            return
        self._is_writing = True
        try:
            trainer.save_checkpoint(self.path, weights_only=False)
        finally:
            self._is_writing = False

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not store."""
        # Users may have Lightning write others.
        if not self._is_writing:
            return
        # Lightning has counted the epoch that is about to start, and would take it for one that was broken off.
        for progress in checkpoint["loops"]["fit_loop"]["epoch_progress"].values():
            progress["ready"] -= 1
        module = pl_module.module
        checkpoint[_KEY] = {
            "format_version": _FORMAT_VERSION,
            "identity": self.identity,
            "module": module.get_training_state() if isinstance(module, SeededModule) else None,
            "history": _plain(_history(trainer)),
            "random": _random_state(),
        }

    def _read(self) -> dict[str, Any]:
        contents = read_checkpoint_file(self.path)
        own = contents.get(_KEY)
        if not isinstance(own, dict) or "format_version" not in own:
            raise ValueError(f"{self.path} is no checkpoint of this package; pass another `checkpoint_dir`.")
        if own["format_version"] != _FORMAT_VERSION:
            raise ValueError(
                f"{self.path} has format {own['format_version']}, but this release reads {_FORMAT_VERSION}; continue "
                "with the release that wrote it, or remove the file to train from the start."
            )
        different = difference(own["identity"], self.identity)
        if different:
            raise ValueError(
                f"{self.path} is of another training: {different}. Continue that training with the same data, "
                "arguments and releases, or pass another `checkpoint_dir`, or remove the file to train from the start."
            )
        return contents


class _CheckpointFiles(CheckpointIO):
    """Writes whole files with a checksum; gives back contents that were read and checked before."""

    def __init__(self, contents: dict[str, Any] | None):
        self.contents = contents
        self._is_checked = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        try:
            with whole_file(path) as unfinished:
                torch.save(checkpoint, unfinished)
                add_checksum(unfinished)
                if not self._is_checked and _KEY in checkpoint:
                    _check_readable(unfinished)
                    self._is_checked = True
        except OSError as error:
            # A long training is worth more than its checkpoint.
            warnings.warn(f"The checkpoint was not written, and training continues: {error}", UserWarning, stacklevel=2)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        return dict(self.contents or {})

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def _check_readable(path: Path) -> None:
    """Raise at the first checkpoint, not when it is needed, if it could not be read."""
    try:
        read_checkpoint_file(path)
    except ValueError as error:
        raise ValueError(
            "A callback or plugin of yours has a state with Python objects, which a checkpoint must not hold; leave "
            "out `checkpoint_dir`, or make its `state_dict` one of numbers, strings and tensors."
        ) from error


def _history(trainer: Trainer) -> dict[str, pd.DataFrame]:
    """History in the memory of the logger of scvi-tools, which only the first process has; empty for other loggers."""
    history = getattr(trainer.logger, "history", None)
    return history if isinstance(history, dict) else {}


def _plain(history: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    return {
        name: {
            "index": frame.index.to_numpy(dtype=float),
            "value": frame.iloc[:, 0].to_numpy(dtype=float),
            "types": [frame.index.name, str(frame.index.dtype), str(frame.iloc[:, 0].dtype)],
        }
        for name, frame in history.items()
    }


def _restored(history: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    frames = {}
    for name, entry in history.items():
        index_name, index_type, value_type = entry["types"]
        index = pd.Index(entry["index"].astype(index_type), name=index_name)
        frames[name] = pd.DataFrame({name: entry["value"].astype(value_type)}, index=index)
    return frames


def _random_state() -> dict[str, Any]:
    """State of the global generators, from which only modules and callbacks of the user draw."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (it is the state of the global generator that is stored)
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
