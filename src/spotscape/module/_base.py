"""What the modules share: reproducible random numbers, and the inputs of modules that read a spatial graph."""

from copy import copy
from typing import Any

import torch
from scvi.module.base import BaseModuleClass
from torch import Tensor

from spotscape import nn
from spotscape._constants import BATCH_KEYS


class SeededModule(BaseModuleClass):
    """Module whose random numbers depend only on the seed and on the number of the training step.

    Parameters
    ----------
    seed
        Seed of all random numbers.
    """

    #: Attributes that training steps depend on besides the weights: numbers, tensors, or lists of them.
    STATE: tuple[str, ...] = ("_n_steps",)

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed
        self._n_steps = 0

    def get_training_state(self) -> dict[str, Any]:
        """Whatever training steps depend on besides the weights, for a checkpoint."""
        return {name: copy(getattr(self, name)) for name in self.STATE}

    def set_training_state(self, state: dict[str, Any]) -> None:
        """Set what :meth:`get_training_state` returned, on the device of the weights."""
        device = next(self.parameters()).device
        for name in self.STATE:
            setattr(self, name, _on_device(state[name], device))

    def _key(self, stream: int) -> int:
        return nn.random_key(self.seed, self._n_steps if self.training else -1, stream)

    def _generator(self, stream: int, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed(self._key(stream))


def _on_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, list):
        return [_on_device(entry, device) for entry in value]
    return value.to(device) if isinstance(value, Tensor) else value


class GraphModule(SeededModule):
    """Module that reads features and a spatial graph, and augments them when the loss is computed."""

    def forward(self, tensors: dict[str, Tensor], *, compute_loss: bool = True, **kwargs: Any):
        """Run the module, with augmentation if the loss is computed and without it otherwise."""
        inference_kwargs = {"augment": compute_loss} | kwargs.pop("inference_kwargs", {})
        return super().forward(tensors, compute_loss=compute_loss, inference_kwargs=inference_kwargs, **kwargs)

    def _get_inference_input(self, tensors: dict[str, Tensor], **kwargs: Any) -> dict[str, Any]:
        return {
            "x": tensors[BATCH_KEYS.FEATURES],
            "adjacency": tensors[BATCH_KEYS.ADJACENCY],
            "nodes_within_hop": tensors[BATCH_KEYS.NODES_WITHIN_HOP],
            "nodes": tensors[BATCH_KEYS.NODE_INDEX],
        }

    @staticmethod
    def _patch_sample(tensors: dict[str, Tensor]) -> nn.PatchSample | None:
        """Describe the patches of a batch; ``None`` if the batch does not consist of patches."""
        if BATCH_KEYS.SAMPLE not in tensors:
            return None
        return nn.PatchSample(tensors[BATCH_KEYS.PATCH_SIZES].tolist(), *tensors[BATCH_KEYS.SAMPLE].tolist())
