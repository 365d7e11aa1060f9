"""Sums and collections over the processes of distributed training; the identity if there is only one process."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import pad

from spotscape._distributed import n_processes


def sum_over_processes(values: Tensor) -> Tensor:
    """Sum a tensor over all processes, with gradient.

    Parameters
    ----------
    values
        Tensor of the same shape in every process.

    Returns
    -------
    The sum, which is the same in every process.

    Examples
    --------
    A single process has nothing to add:

    >>> import torch
    >>> from spotscape import nn
    >>> nn.sum_over_processes(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return _AllReduceSum.apply(values) if n_processes() > 1 else values


def mean_over_processes(values: Tensor) -> Tensor:
    """Average a value of each spot over the spots of all processes, with gradient.

    Parameters
    ----------
    values
        One value for each spot of this process. ``(n_own_spots,)``.

    Returns
    -------
    Scalar, the same in every process; 0 if no process has a spot, as where no spot of a small batch is masked. Its
    gradient is multiplied by the number of processes, which cancels when Lightning averages the gradients over the
    processes.

    Examples
    --------
    >>> import torch
    >>> from spotscape import nn
    >>> nn.mean_over_processes(torch.tensor([1.0, 2.0, 6.0]))
    tensor(3.)
    """
    if n_processes() == 1:
        # The sum over no spots is 0 and has a gradient.
        return values.mean() if len(values) else values.sum()
    return sum_over_processes(values.sum()) / sum_over_processes(values.new_tensor(float(len(values)))).clamp(min=1)


def gather_spots(values: Tensor) -> Tensor:
    """Concatenate the rows of all processes, with gradient.

    Parameters
    ----------
    values
        Rows of this process; their number may differ between processes. ``(n_own_spots, ...)``.

    Returns
    -------
    Rows of all processes, in the order of the processes. ``(n_spots, ...)``.

    Examples
    --------
    With a single process these are its own rows:

    >>> import torch
    >>> from spotscape import nn
    >>> nn.gather_spots(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [3., 4.]])
    """
    if n_processes() == 1:
        return values
    if not values.is_floating_point():
        return gather_spots(values.double()).to(values.dtype)
    n_own = torch.tensor([len(values)], device=values.device)
    sizes = [torch.empty_like(n_own) for _ in range(n_processes())]
    dist.all_gather(sizes, n_own)
    n_spots = [int(size) for size in sizes]
    # All processes must send tensors of the same shape.
    padded = pad(values, (0, 0) * (values.dim() - 1) + (0, max(n_spots) - len(values)))
    gathered = _AllGather.apply(padded)
    return torch.cat([part[:n] for part, n in zip(gathered, n_spots, strict=True)])


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # The values of one process affect the losses of all processes.
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class _AllGather(torch.autograd.Function):
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
