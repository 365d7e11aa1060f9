"""Number of processes that train together."""

import torch.distributed as dist


def n_processes() -> int:
    """Return the number of processes that train together, 1 without distributed training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
