"""Sums and collections over the processes of a training that runs on several; the identity where there is one."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import pad

from spotscape._distributed import n_processes


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up what the processes hold, with gradient.

    Parameters
    ----------
    values
        A tensor, of the same shape in every process.

    Returns
    -------
    The sum, the same in every process.
    """
    return _Sum.apply(values) if n_processes() > 1 else values


def mean_over_processes(values: Tensor) -> Tensor:
    """Average over the spots of all processes, with gradient.

    Parameters
    ----------
    values
        A value for each spot of this process. ``(n_own_spots,)``.

    Returns
    -------
    Scalar, the same in every process. Its gradient counts once in each process, since Lightning averages the gradients
    of all.
    """
    if n_processes() == 1:
        return values.mean()
    return sum_over_processes(values.sum()) / sum_over_processes(values.new_tensor(float(len(values))))


def gather_spots(values: Tensor) -> Tensor:
    """Collect the rows of all processes, with gradient.

    Parameters
    ----------
    values
        Rows of this process, of whatever number. ``(n_own_spots, ...)``.

    Returns
    -------
    Rows of all, in the order of the processes. ``(n_spots, ...)``.
    """
    if n_processes() == 1:
        return values
    if not values.is_floating_point():
        return gather_spots(values.double()).to(values.dtype)
    own = torch.tensor([len(values)], device=values.device)
    sizes = [torch.empty_like(own) for _ in range(n_processes())]
    dist.all_gather(sizes, own)
    n_spots = [int(size) for size in sizes]
    padded = pad(values, (0, 0) * (values.dim() - 1) + (0, max(n_spots) - len(values)))
    gathered = _Gather.apply(padded)
    return torch.cat([part[:n] for part, n in zip(gathered, n_spots, strict=True)])


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # What a process adds to the sum moves the loss of all of them.
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(n_processes())]
        dist.all_gather(parts, values.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total[dist.get_rank()]
