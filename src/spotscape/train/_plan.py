"""Training plan shared by the models: scvi-tools' own, with a schedule for the learning rate."""

from typing import Any, Literal

import torch
from scvi.module.base import BaseModuleClass
from scvi.train import TrainingPlan

from spotscape._constants import BATCH_KEYS


class ScheduledTrainingPlan(TrainingPlan):
    """scvi-tools' training plan with a learning rate that follows the length of the training.

    Parameters
    ----------
    module
        Module to train.
    lr
        Largest learning rate.
    weight_decay
        Weight decay.
    eps
        Adam's epsilon; PyTorch's default, as in the published methods, not scvi-tools'.
    schedule
        ``"one-cycle"`` rises to ``lr`` over the first tenth of the steps and falls to zero along a cosine, so that a
        run ends at rest instead of wherever the last step threw it. ``"constant"`` keeps ``lr``, as published.
    **kwargs
        As :class:`scvi.train.TrainingPlan`.
    """

    def __init__(
        self,
        module: BaseModuleClass,
        *,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        eps: float = 1e-8,
        schedule: Literal["one-cycle", "constant"] = "one-cycle",
        **kwargs: Any,
    ):
        super().__init__(module, lr=lr, weight_decay=weight_decay, eps=eps, **kwargs)
        self.schedule = schedule
        self._n_seeds = 1

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Log, weighting batches by their seeds, which Lightning cannot tell from the nodes around them.

        Losses are those of all processes already, and the same in each.
        """
        super().log(*args, **{"batch_size": self._n_seeds} | kwargs | {"sync_dist": False})

    def on_train_batch_start(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:
        """Note the number of seeds."""
        self._n_seeds = int(batch[BATCH_KEYS.NODES_WITHIN_HOP][0])

    def on_validation_batch_start(self, batch: dict[str, torch.Tensor], *args: Any) -> None:
        """Note the number of seeds."""
        self._n_seeds = int(batch[BATCH_KEYS.NODES_WITHIN_HOP][0])

    def configure_optimizers(self) -> dict[str, Any]:
        """Optimiser, and its schedule if there is one."""
        configuration = super().configure_optimizers()
        if self.schedule == "one-cycle":
            n_steps = max(2, int(self.trainer.estimated_stepping_batches))
            scheduler = torch.optim.lr_scheduler.OneCycleLR(
                configuration["optimizer"],
                max_lr=self.lr,
                total_steps=n_steps,
                # The rise must end after the first step, which PyTorch would divide by zero on.
                pct_start=max(0.1, 1.5 / n_steps),
                cycle_momentum=False,
            )
            configuration["lr_scheduler"] = {"scheduler": scheduler, "interval": "step"}
        return configuration
