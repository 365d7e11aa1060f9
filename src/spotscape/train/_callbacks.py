"""What happens between the epochs."""

from typing import cast

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from scvi.train import TrainingPlan


class PrototypeWarmup(Callback):
    """Switch the prototypical contrastive loss on once the latent space has taken shape.

    Parameters
    ----------
    n_epochs
        Number of epochs before the loss is switched on.
    """

    def __init__(self, n_epochs: int):
        super().__init__()
        self.n_epochs = n_epochs

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the argument of the module's loss."""
        cast(TrainingPlan, pl_module).loss_kwargs["use_prototypes"] = trainer.current_epoch >= self.n_epochs


class StopAtPlateau(Callback):
    """Stop once the training loss, smoothed, no longer falls. Needs neither labels nor spots held out.

    Parameters
    ----------
    patience
        Number of epochs without improvement that are waited for.
    min_change
        Smallest relative fall of the smoothed loss that counts as an improvement.
    start_epoch
        Epoch from which losses are compared: when the prototypes are switched on the loss jumps, so comparisons begin
        after that.
    smoothing
        Weight of the past in the running mean of the loss.
    """

    def __init__(self, *, patience: int = 30, min_change: float = 1e-3, start_epoch: int = 0, smoothing: float = 0.9):
        super().__init__()
        self.patience = patience
        self.min_change = min_change
        self.start_epoch = start_epoch
        self.smoothing = smoothing
        self.smoothed: float | None = None
        self.best = np.inf
        self.best_epoch = 0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Update the running mean and stop if it has not fallen for long enough."""
        epoch = trainer.current_epoch
        if epoch < self.start_epoch:
            return
        loss = float(trainer.callback_metrics["train_loss"])
        self.smoothed = loss if self.smoothed is None else self.smoothing * self.smoothed + (1 - self.smoothing) * loss
        if self.smoothed < self.best * (1 - self.min_change):
            self.best, self.best_epoch = self.smoothed, epoch
        elif epoch - self.best_epoch >= self.patience:
            trainer.should_stop = True
