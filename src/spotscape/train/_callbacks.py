"""Callbacks that change the losses or stop the training at the start or end of an epoch."""

from typing import Any, cast

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from scvi.train import TrainingPlan

from spotscape._constants import BATCH_KEYS, MODULE_KEYS


class PrototypeWarmup(Callback):
    """Switch on the prototypical contrastive loss after a number of epochs.

    Prototypes are informative only once the latent space separates the domains.

    Parameters
    ----------
    n_epochs
        Number of epochs without the loss.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from spotscape.train import PrototypeWarmup
    >>> warmup, plan = PrototypeWarmup(n_epochs=100), SimpleNamespace(loss_kwargs={})
    >>> for epoch in (99, 100):
    ...     warmup.on_train_epoch_start(SimpleNamespace(current_epoch=epoch), plan)
    ...     print(plan.loss_kwargs)
    {'use_prototypes': False}
    {'use_prototypes': True}
    """

    def __init__(self, n_epochs: int):
        super().__init__()
        self.n_epochs = n_epochs

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the argument ``use_prototypes`` of the loss of the module."""
        cast(TrainingPlan, pl_module).loss_kwargs["use_prototypes"] = trainer.current_epoch >= self.n_epochs


class ClusterPhase(Callback):
    """Switch on deep embedded clustering after a number of epochs, and update its targets at regular intervals.

    Parameters
    ----------
    start_epoch
        Epoch at which the cluster centres are initialised with k-means.
    interval
        Number of epochs between two updates of the targets.
    tolerance
        Training stops if the share of spots that changed their cluster between two updates is smaller than this.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from spotscape.train import ClusterPhase
    >>> phase, plan = ClusterPhase(start_epoch=200, interval=20), SimpleNamespace(loss_kwargs={})
    >>> phase.on_train_epoch_start(SimpleNamespace(current_epoch=0), plan)
    >>> plan.loss_kwargs
    {'use_clusters': False}
    """

    def __init__(self, *, start_epoch: int, interval: int = 20, tolerance: float = 0.0):
        super().__init__()
        self.start_epoch = start_epoch
        self.interval = interval
        self.tolerance = tolerance
        self.clusters: torch.Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        """Clusters of the last update, for a checkpoint."""
        return {"clusters": self.clusters}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the clusters of a checkpoint."""
        self.clusters = state_dict["clusters"]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the argument ``use_clusters`` of the loss of the module, and update the targets if they are due."""
        plan, n_epochs_since_start = cast(TrainingPlan, pl_module), trainer.current_epoch - self.start_epoch
        plan.loss_kwargs["use_clusters"] = n_epochs_since_start >= 0
        if n_epochs_since_start < 0 or n_epochs_since_start % self.interval:
            return
        module = cast(Any, plan.module)
        encoded, nodes = _encode_all(module, trainer)
        if n_epochs_since_start == 0:
            module.start_clusters(encoded)
        clusters = module.update_targets(encoded, nodes)
        last = None if self.clusters is None else self.clusters.to(clusters.device)
        changed = 1.0 if last is None else float((clusters != last).double().mean())
        self.clusters = clusters
        if changed < self.tolerance:
            trainer.should_stop = True


@torch.no_grad()
def _encode_all(module: Any, trainer: Trainer) -> tuple[torch.Tensor, torch.Tensor]:
    """Output of the encoders for all training spots, and the rows of these spots in the AnnData."""
    module.eval()
    encoded, nodes = [], []
    for batch in cast(Any, trainer).datamodule.predict_dataloader():
        part = module.inference(**module._get_inference_input(batch))[MODULE_KEYS.ENCODED]
        encoded.append(part)
        nodes.append(batch[BATCH_KEYS.NODE_INDEX][: len(part)].to(part.device))
    module.train()
    all_nodes = torch.cat(nodes)
    order = all_nodes.argsort()
    return torch.cat(encoded)[order], all_nodes[order]


class StopAtPlateau(Callback):
    """Stop the training when the smoothed training loss no longer decreases. Needs no validation spots.

    The smoothed loss is an exponential moving average over the epochs.

    Parameters
    ----------
    patience
        Number of epochs without improvement after which training stops.
    min_change
        Minimum relative decrease of the smoothed loss that counts as an improvement.
    start_epoch
        First epoch that is compared. The loss jumps when the prototypes are switched on, so comparisons should start
        afterwards.
    smoothing
        Weight of the previous epochs in the moving average, in ``[0, 1)``.

    Examples
    --------
    A loss that stays at 1 ends the training after the patience of three epochs:

    >>> from types import SimpleNamespace
    >>> from spotscape.train import StopAtPlateau
    >>> stop = StopAtPlateau(patience=3)
    >>> trainer = SimpleNamespace(should_stop=False, callback_metrics={"train_loss": 1.0})
    >>> for trainer.current_epoch in range(4):
    ...     stop.on_train_epoch_end(trainer, pl_module=None)
    >>> trainer.should_stop
    True
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

    def state_dict(self) -> dict[str, Any]:
        """Losses so far, for a checkpoint."""
        return {"smoothed": self.smoothed, "best": float(self.best), "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the losses of a checkpoint."""
        self.smoothed, self.best = state_dict["smoothed"], state_dict["best"]
        self.best_epoch = state_dict["best_epoch"]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Update the smoothed loss, and stop if it has not decreased for ``patience`` epochs."""
        epoch = trainer.current_epoch
        if epoch < self.start_epoch:
            return
        loss = float(trainer.callback_metrics["train_loss"])
        self.smoothed = loss if self.smoothed is None else self.smoothing * self.smoothed + (1 - self.smoothing) * loss
        if self.smoothed < self.best * (1 - self.min_change):
            self.best, self.best_epoch = self.smoothed, epoch
        elif epoch - self.best_epoch >= self.patience:
            trainer.should_stop = True
