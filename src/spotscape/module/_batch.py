"""What the modules read from a batch in the same way."""

from torch import Tensor

from spotscape import nn
from spotscape._constants import BATCH_KEYS


def patch_sample(tensors: dict[str, Tensor]) -> nn.PatchSample | None:
    """Tell which patches of the tissue a batch is made of; ``None`` where it is not made of patches."""
    if BATCH_KEYS.SAMPLE not in tensors:
        return None
    return nn.PatchSample(tensors[BATCH_KEYS.PATCH_SIZES].tolist(), *tensors[BATCH_KEYS.SAMPLE].tolist())
