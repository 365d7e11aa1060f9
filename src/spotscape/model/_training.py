"""Training of all models: batches, learning rate schedule and early stopping."""

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from scvi.model.base import UnsupervisedTrainingMixin
from scvi.train import Trainer as ScviTrainer

from spotscape._validate import (
    Rule,
    check_arguments,
    check_flag,
    check_mapping,
    check_number,
    check_positive,
    check_present,
    choice,
    integer,
    number,
    optional,
    share_above_zero,
    shown,
    unknown_argument,
)
from spotscape.model._autotune import AutotuneOutputs
from spotscape.model._checkpoints import Checkpoints
from spotscape.model._devices import check_accelerator, check_devices
from spotscape.model._files import checked_place
from spotscape.model._quiet import quiet_libraries
from spotscape.model._training_identity import identity_of
from spotscape.model._unchanged import unchanged_on_error
from spotscape.train import StopAtPlateau
from spotscape.train._defaults import batch_size_of_settings, default_batch_size, default_n_steps
from spotscape.train._epoch_bar import EpochBar
from spotscape.train._plan import NonFiniteLossError

if TYPE_CHECKING:
    from spotscape.data import SpotDataset
    from spotscape.model._base import LatentModel

_MIN_EPOCHS = 20
# What scvi-tools takes besides the arguments of Lightning.
_RUNNER_ARGUMENTS = inspect.signature(ScviTrainer).parameters.keys()


_RULES: dict[str, Rule] = {
    "max_epochs": optional(integer(1)),
    "batch_size": optional(integer(2)),
    "patch_size": optional(integer(1)),
    "lr": check_positive,
    "weight_decay early_stopping_min_change": number(0),
    "train_size": optional(share_above_zero),
    "validation_size": optional(number(0, 1)),
    "schedule": choice(("one-cycle", "constant")),
    "early_stopping": check_flag,
    "accelerator": check_accelerator,
    "plan_kwargs datasplitter_kwargs": optional(check_mapping),
    "early_stopping_patience": integer(1),
}
# What gloo and NCCL report when the other side of a connection is gone.
_SIGNS_OF_A_LOST_PROCESS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "ncclRemoteError")


class TrainingRun:
    """One call of ``train``: checks the arguments, sets defaults and runs the training.

    Parameters
    ----------
    model
        Model to train.
    arguments
        Local variables of ``train``, that is its arguments by name. Without ``patch_size``, spots are drawn one by one.
    n_steps
        Number of training steps. ``None``: chosen by :func:`~spotscape.train.default_n_steps`.

    Attributes
    ----------
    max_epochs
        Number of epochs.
    batch_size
        Number of spots per training step.
    """

    def __init__(self, model: "LatentModel", arguments: Mapping[str, Any], n_steps: int | None = None):
        if model.adata is None:
            raise ValueError("The model was loaded without data; load it with `adata=` to train it.")
        self.model = model
        self.arguments = {"patch_size": None} | dict(arguments)
        self.trainer_kwargs = dict(arguments["trainer_kwargs"])
        self.checkpoint_folder = _checked_folder(arguments["checkpoint_dir"])
        check_arguments(self.arguments, _RULES)
        _check_further_arguments(
            model.train, self.arguments["plan_kwargs"] or {}, self.arguments["schedule"], self.trainer_kwargs
        )
        for name, taker in (
            ("plan_kwargs", model._training_plan_cls),
            ("datasplitter_kwargs", model._data_splitter_cls),
        ):
            _check_keys(self.arguments[name] or {}, name, taker)
        _check_effect(model, self.arguments, model.adata.n_obs)
        check_devices(self.arguments["devices"], self.arguments["accelerator"])
        n_spots = model._validate_anndata(model.adata).n_obs
        wanted = self.arguments["batch_size"] or batch_size_of_settings()
        self.batch_size = wanted or default_batch_size(n_spots)
        self.max_epochs = self.arguments["max_epochs"]
        if self.max_epochs is None:
            n_batches = math.ceil(n_spots / self.batch_size)
            n_steps = default_n_steps(n_spots) if n_steps is None else n_steps
            self.max_epochs = max(_MIN_EPOCHS, math.ceil(n_steps / n_batches))
            if wanted is None and self.max_epochs * n_batches > n_steps:
                self.trainer_kwargs.setdefault("limit_train_batches", math.ceil(n_steps / self.max_epochs))

    def start(self, dataset: "SpotDataset", phase: Callback | None = None, phase_start: int = 0) -> None:
        """Train the model.

        Parameters
        ----------
        dataset
            Spots of the data of the model.
        phase
            Callback of the model that adds the last terms to the loss. It is called after those of the user.
        phase_start
            First epoch with all terms of the loss. Training does not stop before it.
        """
        given, checkpoints = self.arguments, None
        # Those of the user come first: autotune of scvi-tools reads the first.
        callbacks = list(self.trainer_kwargs.pop("callbacks", None) or [])
        if self.checkpoint_folder is not None:
            checkpoints = Checkpoints(self.checkpoint_folder, self._identity(dataset), self.max_epochs)
            # Before the phase, which changes the module at the start of an epoch.
            callbacks.append(checkpoints)
            self.trainer_kwargs |= checkpoints.trainer_arguments(self.trainer_kwargs.get("plugins"))
        callbacks += [] if phase is None else [phase]
        callbacks += [AutotuneOutputs(self.model, dataset)] if self.model.extra_payload_autotune else []
        if given["early_stopping"]:
            callbacks.append(
                StopAtPlateau(
                    patience=given["early_stopping_patience"],
                    min_change=given["early_stopping_min_change"],
                    start_epoch=phase_start,
                )
            )
        plan_kwargs = {name: given[name] for name in ("lr", "weight_decay", "schedule")} | (given["plan_kwargs"] or {})
        splitter_kwargs = {"dataset": dataset, "patch_size": given["patch_size"], "seed": self.model.seed}
        epochs = _CountedEpochs()
        try:
            with unchanged_on_error(self.model):
                self._fit(plan_kwargs, splitter_kwargs | (given["datasplitter_kwargs"] or {}), [*callbacks, epochs])
                _check_weights(self.model.module, given["lr"])
                self.model._after_training(dataset)
                forgotten, self.model.domains_ = self.model.domains_, None
        except KeyboardInterrupt:
            self.model._interruption = f"interrupted in epoch {epochs.last + 1} of {self.max_epochs}"
            raise KeyboardInterrupt(self._said(checkpoints)) from None
        except Exception as error:
            self.model._interruption = f"ended by an error in epoch {epochs.last + 1} of {self.max_epochs}"
            if isinstance(error, NonFiniteLossError) and checkpoints is not None:
                # It would end in the same way again.
                checkpoints.remove()
            raise
        self.model._interruption = None
        if checkpoints is not None and self.model.trainer.is_global_zero:
            checkpoints.remove()
        if forgotten is not None:
            # After everything else, so that training is complete where warnings are errors.
            warnings.warn(
                "The model has been trained further, so it no longer keeps the domains of its earlier representation; "
                "call `spotscape.tl.domains` on the new one, and `keep_domains` again.",
                UserWarning,
                stacklevel=3,
            )

    def _identity(self, dataset: "SpotDataset") -> dict[str, Any]:
        settled = {"max_epochs": self.max_epochs, "batch_size": self.batch_size}
        return identity_of(self.model, dataset, self.arguments | self.trainer_kwargs | settled)

    def _said(self, checkpoints: Checkpoints | None) -> str:
        """Sentence for whoever interrupted the training."""
        state = "is as it was before this training" if self.model.is_trained else "is not trained"
        further = ""
        if checkpoints is not None and checkpoints.path.exists():
            further = f"; `train` with the same arguments continues from {checkpoints.path}"
        return f"Training was {self.model._interruption}: the model {state}{further}."

    def _fit(self, plan_kwargs: dict[str, Any], splitter_kwargs: dict[str, Any], callbacks: list[Callback]) -> None:
        given = self.arguments
        settings = {"use_distributed_sampler": False} | self.trainer_kwargs
        if settings.get("enable_progress_bar", True) and settings.get("simple_progress_bar", True):
            # In place of the bar of scvi-tools, which is written to standard output, also in log files.
            settings["simple_progress_bar"] = False
            if not any(isinstance(callback, ProgressBar) for callback in callbacks):
                callbacks = [*callbacks, EpochBar(settings.pop("progress_bar_refresh_rate", 1))]
        # Lightning keeps the mode, which is that of evaluation if the model was trained or loaded before.
        self.model.module.train()
        with warnings.catch_warnings(), quiet_libraries():
            # Worker processes would only copy the batch, and one step an epoch is what full-graph training means.
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message=".*logging interval")
            warnings.filterwarnings("ignore", message=".*treespec, LeafSpec")
            # The loader makes batches of one size.
            warnings.filterwarnings("ignore", message="Last batch will have a small size")
            try:
                UnsupervisedTrainingMixin.train(
                    self.model,
                    max_epochs=self.max_epochs,
                    batch_size=self.batch_size,
                    **{name: given[name] for name in ("train_size", "validation_size", "accelerator", "devices")},
                    plan_kwargs=plan_kwargs,
                    datasplitter_kwargs=splitter_kwargs,
                    callbacks=callbacks,
                    # The loader itself shares a batch between the processes.
                    **settings,
                )
            except RuntimeError as error:
                if not any(sign in str(error) for sign in _SIGNS_OF_A_LOST_PROCESS):
                    raise
                raise RuntimeError(
                    "Another process of this training ended early, so this one stopped too and the model is as "
                    "it was before; the message of the process that failed first is printed above, or in its log."
                ) from error


class _CountedEpochs(Callback):
    """Knows which epoch was the last."""

    last = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.last = trainer.current_epoch


def _check_weights(module: torch.nn.Module, lr: float) -> None:
    """Raise if the last step, after which no loss is computed, has spoilt the weights."""
    if not all(torch.isfinite(weight).all() for weight in module.parameters()):
        raise NonFiniteLossError(
            f"The weights became infinite or NaN in the last training step; lower `lr` from {lr}. The model is as it "
            "was before this training."
        )


def _checked_folder(checkpoint_dir: Any) -> Path | None:
    if checkpoint_dir is None:
        return None
    folder, _ = checked_place(checkpoint_dir, None, "checkpoint_dir")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`checkpoint_dir` is {str(folder)!r}, which is a file; pass a folder.")
    return folder


def _check_effect(model: "LatentModel", arguments: Mapping[str, Any], n_spots: int) -> None:
    """Raise if an argument would have no effect, or leave nothing to train on."""
    parameters = inspect.signature(type(model).train).parameters  # type: ignore[attr-defined]
    for name in ("early_stopping_patience", "early_stopping_min_change"):
        if arguments[name] != parameters[name].default and not arguments["early_stopping"]:
            raise ValueError(f"`{name}` is {arguments[name]}, which only applies with `early_stopping=True`; set both.")
    train_size = arguments["train_size"]
    if train_size is not None and int(n_spots * train_size) < 2:
        raise ValueError(
            f"`train_size` is {train_size}, which leaves {int(n_spots * train_size)} of {n_spots} spots to train on; "
            "pass a larger fraction."
        )


def _check_keys(values: Mapping[str, Any], name: str, taker: type) -> None:
    """Raise if a dictionary of arguments has one that none of the classes takes."""
    known = {key for one in taker.__mro__ for key in inspect.signature(one).parameters}
    for key in values:
        check_present(key, name, known - {"args", "kwargs"}, f"the arguments of {taker.__name__}")


def _check_further_arguments(
    train: Callable[..., Any], plan_kwargs: dict[str, Any], schedule: str, trainer_kwargs: dict[str, Any]
) -> None:
    for name in ("lr", "weight_decay", "schedule"):
        if name in plan_kwargs:
            raise ValueError(f"`plan_kwargs` has {name!r}; pass `{name}` to `train` itself.")
    if plan_kwargs.get("reduce_lr_on_plateau") and schedule != "constant":
        raise ValueError("`reduce_lr_on_plateau` needs `schedule='constant'`; the other schedule sets the rate itself.")
    if trainer_kwargs.get("ckpt_path") is not None:
        raise ValueError(
            f"`ckpt_path` is {str(trainer_kwargs['ckpt_path'])!r}, and such a file could run code when it is read; "
            "pass `checkpoint_dir` to continue an interrupted training."
        )
    known = inspect.signature(Trainer).parameters.keys() | _RUNNER_ARGUMENTS
    for name in trainer_kwargs:
        if name not in known and not name.startswith("early_stopping_"):
            raise unknown_argument(train, name, known)
    if (limit := trainer_kwargs.get("limit_train_batches")) is not None:
        check_number(limit, "limit_train_batches")
        if limit <= 0:
            raise ValueError(f"`limit_train_batches` is {limit}, so nothing would be trained; leave it out.")
    callbacks = trainer_kwargs.get("callbacks")
    for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        if callback is not None and not isinstance(callback, Callback):
            raise TypeError(f"`callbacks` has {shown(callback)}; pass a list of callbacks of Lightning.")
    for name in trainer_kwargs:
        if name.startswith("early_stopping_"):
            raise ValueError(
                f"`{name}` is for stopping by a validation set; here the smoothed training loss decides, with "
                "`early_stopping_patience` and `early_stopping_min_change`."
            )
