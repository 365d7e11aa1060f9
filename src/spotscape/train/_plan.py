"""Training plan of all models: that of scvi-tools with a learning rate schedule."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from scvi.module.base import BaseModuleClass, LossOutput
from scvi.train import TrainingPlan

from spotscape._constants import BATCH_KEYS


class NonFiniteLossError(RuntimeError):
    """The training loss became infinite or NaN."""


class ScheduledTrainingPlan(TrainingPlan):
    """Training plan of scvi-tools with a learning rate schedule that spans the whole training.

    Parameters
    ----------
    module
        Module to train.
    lr
        Maximum learning rate.
    weight_decay
        Weight decay of the optimiser.
    eps
        Epsilon of the Adam optimiser. The default is that of PyTorch and of the published methods, which is smaller
        than that of scvi-tools.
    schedule
        ``"one-cycle"`` increases the learning rate to ``lr`` over the first tenth of the steps and then decays it to
        zero along a cosine, so that training converges smoothly. ``"constant"`` keeps ``lr``, as published.
    amsgrad
        Whether Adam divides by the largest of the second moments so far, as in the training of AESTETIK as published.
    **kwargs
        Further arguments of :class:`scvi.train.TrainingPlan`.

    Examples
    --------
    >>> from spotscape.module import SpotscapeModule
    >>> from spotscape.train import ScheduledTrainingPlan
    >>> plan = ScheduledTrainingPlan(SpotscapeModule(n_input=20), lr=0.01, schedule="constant")
    >>> plan.configure_optimizers()["optimizer"].param_groups[0]["lr"]
    0.01
    """

    def __init__(
        self,
        module: BaseModuleClass,
        *,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        eps: float = 1e-8,
        schedule: Literal["one-cycle", "constant"] = "one-cycle",
        amsgrad: bool = False,
        **kwargs: Any,
    ):
        super().__init__(module, lr=lr, weight_decay=weight_decay, eps=eps, **kwargs)
        if amsgrad and self.optimizer_name != "Adam":
            raise ValueError(
                f"`amsgrad` is for Adam, but `optimizer` is {self.optimizer_name!r}; leave one of them out."
            )
        self.schedule = schedule
        self.amsgrad = amsgrad
        self._n_seeds = 1

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Log a value, with each batch weighted by its number of seed spots.

        Lightning would count all nodes of a batch. Values are not averaged over the processes, because they are already
        the same in each process.
        """
        super().log(*args, **{"batch_size": self._n_seeds} | kwargs | {"sync_dist": False})

    def compute_and_log_metrics(self, loss_output: LossOutput, metrics: dict[str, Any], mode: str) -> None:
        """Log the terms of the loss, and end the training if the loss is not finite."""
        if mode == "train":
            self._check_finite(loss_output)
        super().compute_and_log_metrics(loss_output, metrics, mode)

    def prepare_scib_autotune(self, loss_outputs: dict[str, Any], stage: str) -> None:
        """Store nothing for the tuning by scib metrics: the model offers it at the end, of all annotated spots."""

    def _check_finite(self, output: LossOutput) -> None:
        loss = float(output.loss.detach())
        if math.isfinite(loss):
            return
        terms = {**(output.reconstruction_loss or {}), **(output.extra_metrics or {})}
        wrong = [name.removesuffix("_loss") for name, term in terms.items() if not torch.isfinite(term).all()]
        # Each term may be finite, and a weight so large that the sum is not.
        what = f"not finite: {', '.join(wrong)}" if wrong else "not finite: their weighted sum"
        raise NonFiniteLossError(
            f"The training loss became {loss} in epoch {self.current_epoch + 1} of {self.trainer.max_epochs} (terms "
            f"that are {what}); lower `lr` from {self.lr}. The model is as it was before this training."
        )

    def on_train_batch_start(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        """Store the number of seed spots of the batch."""
        self._n_seeds = int(batch[BATCH_KEYS.NODES_WITHIN_HOP][0])

    def on_validation_batch_start(self, batch: dict[str, torch.Tensor], *args: Any) -> None:
        """Store the number of seed spots of the batch."""
        self._n_seeds = int(batch[BATCH_KEYS.NODES_WITHIN_HOP][0])

    def get_optimizer_creator(self) -> Callable[..., torch.optim.Optimizer]:
        """Return the function that makes the optimiser from the parameters."""
        if self.amsgrad:
            return self._optimizer_creator_fn(partial(torch.optim.Adam, amsgrad=True))
        return super().get_optimizer_creator()

    def configure_optimizers(self) -> dict[str, Any]:
        """Return the optimiser, and the learning rate schedule if there is one."""
        configuration = super().configure_optimizers()
        if self.schedule == "one-cycle":
            n_steps = max(2, int(self.trainer.estimated_stepping_batches))
            scheduler = torch.optim.lr_scheduler.OneCycleLR(
                configuration["optimizer"],
                max_lr=self.lr,
                total_steps=n_steps,
                # The increase must take more than one step: PyTorch divides by the number of its steps minus one.
                pct_start=max(0.1, 1.5 / n_steps),
                cycle_momentum=False,
            )
            configuration["lr_scheduler"] = {"scheduler": scheduler, "interval": "step"}
        return configuration
