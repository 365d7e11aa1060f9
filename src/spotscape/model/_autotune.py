"""What the tuning of scvi-tools by scib metrics reads from a training."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from spotscape._validate import check_present
from spotscape.data._fields import registered_slices
from spotscape.model._setup import table_of

if TYPE_CHECKING:
    from spotscape.data import SpotDataset
    from spotscape.model._base import LatentModel

_KEYS = ("z", "batch", "labels")


class AutotuneOutputs(Callback):
    """Offer latent representation, slices and annotations of the annotated spots, where scvi-tools looks for them.

    They are computed when they are read, so training is as fast as without.

    Parameters
    ----------
    model
        Model that is trained. Its data were set up with ``labels_key``.
    dataset
        Spots of its data.

    Raises
    ------
    KeyError, ValueError
        If the data lack the annotations, or were set up without them.
    """

    def __init__(self, model: "LatentModel", dataset: "SpotDataset"):
        labels_key = model.registry_["setup_args"].get("labels_key")
        if labels_key is None:
            raise ValueError(
                "`extra_payload_autotune` is True, but scib metrics need annotations; name their column in "
                "`labels_key` of the set-up, which nothing else uses."
            )
        self.outputs = _Outputs(model, dataset, labels_key)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the outputs to the training plan."""
        for stage in ("training", "validation"):
            setattr(pl_module, f"_{stage}_epoch_outputs", self.outputs)


class _Outputs(Mapping[str, torch.Tensor]):
    def __init__(self, model: "LatentModel", dataset: "SpotDataset", labels_key: str):
        self.model, self.dataset = model, dataset
        obs = table_of(model.adata, model.registry_["setup_args"]).obs
        check_present(labels_key, "labels_key", obs.columns, "adata.obs")
        codes = pd.factorize(obs[labels_key])[0]
        self.rows = np.flatnonzero(codes >= 0)
        self.labels = codes[self.rows]

    def __getitem__(self, key: str) -> torch.Tensor:
        if key == "z":
            was_training = self.model.module.training
            with torch.inference_mode():
                latent = self.model._encode(self.dataset, self.rows)
            self.model.module.train(was_training)
            return torch.from_numpy(latent)
        if key == "batch":
            return torch.from_numpy(registered_slices(self.model.adata_manager)[0][self.rows])
        return torch.from_numpy(self.labels)

    def __iter__(self) -> Iterator[str]:
        return iter(_KEYS)

    def __len__(self) -> int:
        return len(_KEYS)
