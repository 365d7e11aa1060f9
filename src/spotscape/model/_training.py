"""What training is for every model: full graph or mini-batches, a schedule, stopping at a plateau."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback
from scvi.model.base import BaseModelClass, UnsupervisedTrainingMixin

from spotscape._defaults import default_batch_size, default_n_steps
from spotscape._validate import check_choice, check_integer, check_number
from spotscape.train import ScheduledTrainingPlan, StopAtPlateau

_FEWEST_EPOCHS = 20
# What gloo and NCCL say when the other side of a connection is gone.
_SIGNS_OF_A_LOST_PROCESS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "ncclRemoteError")


class ScheduledTrainingMixin(UnsupervisedTrainingMixin, BaseModelClass):
    """The part of ``train`` that the models share; their own ``train`` names the arguments and their defaults."""

    _training_plan_cls = ScheduledTrainingPlan

    def _start_training(
        self,
        max_epochs: int | None,
        batch_size: int | None,
        trainer_kwargs: dict[str, Any],
        n_steps: int | None = None,
    ) -> tuple[int, int]:
        """Check the data and settle how long to train.

        Parameters
        ----------
        max_epochs
            Number of passes through the spots; ``None`` for as many as ``n_steps`` asks for, but at least 20. Where
            these would be too many steps, an epoch sees a part of the spots, drawn anew each time, unless
            ``batch_size`` is given.
        batch_size
            Number of spots a step; ``None``: see :func:`~spotscape.train.default_batch_size`.
        trainer_kwargs
            Further arguments of the trainer, to which the length of such epochs is added.
        n_steps
            Number of steps. ``None``: by the number of spots, see :func:`~spotscape.train.default_n_steps`.

        Returns
        -------
        Number of epochs and of spots a step.
        """
        if self.adata is None:
            raise ValueError("The model was loaded without data; load it with `adata=` to train it.")
        n_spots = self._validate_anndata(self.adata).n_obs
        given, batch_size = batch_size, default_batch_size(n_spots) if batch_size is None else batch_size
        check_integer(batch_size, "batch_size", minimum=2)
        if max_epochs is None:
            n_batches = math.ceil(n_spots / batch_size)
            n_steps = default_n_steps(n_spots) if n_steps is None else n_steps
            max_epochs = max(_FEWEST_EPOCHS, math.ceil(n_steps / n_batches))
            if given is None and max_epochs * n_batches > n_steps:
                trainer_kwargs.setdefault("limit_train_batches", math.ceil(n_steps / max_epochs))
        check_integer(max_epochs, "max_epochs", minimum=1)
        return max_epochs, batch_size

    def _run_training(
        self,
        *,
        max_epochs: int,
        batch_size: int,
        patch_size: int | None,
        lr: float,
        weight_decay: float,
        schedule: str,
        early_stopping: bool,
        early_stopping_patience: int,
        early_stopping_min_change: float,
        first_comparable_epoch: int,
        own_callbacks: Sequence[Callback],
        plan_kwargs: dict[str, Any] | None,
        datasplitter_kwargs: dict[str, Any] | None,
        callbacks: Sequence[Callback] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train; the arguments are those of the models' ``train``.

        Parameters
        ----------
        first_comparable_epoch
            Epoch from which the loss has all its terms, before which training is never stopped.
        own_callbacks
            Callbacks of the model, appended to those of the user.
        """
        if patch_size is not None:
            check_integer(patch_size, "patch_size", minimum=1)
        check_number(lr, "lr", minimum=0)
        check_number(weight_decay, "weight_decay", minimum=0)
        check_choice(schedule, ("one-cycle", "constant"), "schedule")
        check_integer(early_stopping_patience, "early_stopping_patience", minimum=1)
        check_number(early_stopping_min_change, "early_stopping_min_change", minimum=0)
        _check_further_arguments(plan_kwargs or {}, schedule, trainer_kwargs)
        all_callbacks = [*(callbacks or []), *own_callbacks]
        if early_stopping:
            all_callbacks.append(
                StopAtPlateau(
                    patience=early_stopping_patience,
                    min_change=early_stopping_min_change,
                    start_epoch=first_comparable_epoch,
                )
            )
        loader_arguments = self._loader_arguments(self.adata_manager)
        # Lightning keeps the mode, which is that of evaluation if the model was trained or loaded before.
        self.module.train()
        with warnings.catch_warnings():
            # Worker processes would only copy the batch, and one step an epoch is what full-graph training means.
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message=".*logging interval")
            warnings.filterwarnings("ignore", message=".*treespec, LeafSpec")
            # The loader makes batches of one size.
            warnings.filterwarnings("ignore", message="Last batch will have a small size")
            try:
                UnsupervisedTrainingMixin.train(
                    self,
                    max_epochs=max_epochs,
                    batch_size=batch_size,
                    plan_kwargs={"lr": lr, "weight_decay": weight_decay, "schedule": schedule} | (plan_kwargs or {}),
                    datasplitter_kwargs=loader_arguments | {"patch_size": patch_size} | (datasplitter_kwargs or {}),
                    callbacks=all_callbacks,
                    # The loader shares a batch between the processes itself.
                    **({"use_distributed_sampler": False} | trainer_kwargs),
                )
            except RuntimeError as error:
                if not any(sign in str(error) for sign in _SIGNS_OF_A_LOST_PROCESS):
                    raise
                raise RuntimeError(
                    "Another process of this training ended before its time, so this one stopped too and the model is "
                    "not trained; the message of the process that failed first is printed above, or in its log."
                ) from error
        # The history is kept by the first process only.
        last_loss = float(self.trainer.callback_metrics["train_loss"])
        if not math.isfinite(last_loss):
            self.is_trained_ = False
            raise RuntimeError(f"The training loss became {last_loss}; lower `lr` from {lr}.")
        self._after_training(loader_arguments)

    def _after_training(self, loader_arguments: dict[str, Any]) -> None:
        """Keep what the answers of the trained model need besides its weights."""
        raise NotImplementedError


def _check_further_arguments(plan_kwargs: dict[str, Any], schedule: str, trainer_kwargs: dict[str, Any]) -> None:
    for name in ("lr", "weight_decay", "schedule"):
        if name in plan_kwargs:
            raise ValueError(f"`plan_kwargs` has {name!r}; pass `{name}` to `train` itself.")
    if plan_kwargs.get("reduce_lr_on_plateau") and schedule != "constant":
        raise ValueError("`reduce_lr_on_plateau` needs `schedule='constant'`; the other schedule sets the rate itself.")
    for name in trainer_kwargs:
        if name.startswith("early_stopping_"):
            raise ValueError(
                f"`{name}` is for stopping by a validation set; here the smoothed training loss decides, with "
                "`early_stopping_patience` and `early_stopping_min_change`."
            )
