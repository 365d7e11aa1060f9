"""How many processes train together."""

import torch.distributed as dist


def n_processes() -> int:
    """Count the processes that train together; 1 where a single one trains."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
