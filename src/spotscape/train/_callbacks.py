"""What happens between the epochs."""

from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from scvi.train import TrainingPlan

from spotscape._constants import BATCH_KEYS, MODULE_KEYS


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


class ClusterPhase(Callback):
    """Start deep embedded clustering once the latent space has taken shape, and sharpen its targets from time to time.

    Parameters
    ----------
    start_epoch
        Epoch at which k-means finds the first centres.
    interval
        Number of epochs for which targets are kept.
    tolerance
        Training stops when less than this share of the spots have changed their cluster since the last targets.
    """

    def __init__(self, *, start_epoch: int, interval: int = 20, tolerance: float = 0.0):
        super().__init__()
        self.start_epoch = start_epoch
        self.interval = interval
        self.tolerance = tolerance
        self.clusters: torch.Tensor | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the argument of the module's loss, and the targets where they are due."""
        plan, since = cast(TrainingPlan, pl_module), trainer.current_epoch - self.start_epoch
        plan.loss_kwargs["use_clusters"] = since >= 0
        if since < 0 or since % self.interval:
            return
        module = cast(Any, plan.module)
        encoded, nodes = _encode_all(module, trainer)
        if since == 0:
            module.start_clusters(encoded)
        clusters = module.update_targets(encoded, nodes)
        changed = 1.0 if self.clusters is None else float((clusters != self.clusters).double().mean())
        self.clusters = clusters
        if changed < self.tolerance:
            trainer.should_stop = True


@torch.no_grad()
def _encode_all(module: Any, trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor]:
    """What the encoders give of all training spots, and the numbers of these spots."""
    module.eval()
    encoded, nodes = [], []
    for batch in cast(Any, trainer).datamodule.predict_dataloader():
        part = module.inference(**module._get_inference_input(batch))[MODULE_KEYS.ENCODED]
        encoded.append(part)
        nodes.append(batch[BATCH_KEYS.NODE_INDEX][: len(part)].to(part.device))
    module.train()
    every = torch.cat(nodes)
    order = every.argsort()
    return torch.cat(encoded)[order], every[order]


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
