"""Batch normalisation with the statistics of the seed spots of all processes."""

from typing import cast

import torch
from torch import Tensor, nn

from spotscape._distributed import n_processes
from spotscape.nn._distributed import sum_over_processes


class SeedBatchNorm(nn.BatchNorm1d):
    r"""Batch normalisation whose mean and variance are computed from the seed spots of a batch only.

    The neighbours of the seed spots are normalised with the same mean and variance but do not contribute to them,
    because spots at patch borders would be over-represented. In distributed training the statistics are computed over
    the seed spots of all processes. PyTorch's own synchronised layer does not support CPUs.

    Parameters are those of :class:`torch.nn.BatchNorm1d`.

    Examples
    --------
    The mean 2 and the variance 1 are those of the first two rows:

    >>> import torch
    >>> from spotscape import nn
    >>> x = torch.tensor([[1.0], [3.0], [10.0]])
    >>> nn.SeedBatchNorm(1, eps=0)(x, n_seeds=2).flatten().tolist()
    [-1.0, 1.0, 8.0]
    """

    def forward(self, x: Tensor, n_seeds: int | None = None) -> Tensor:
        """Normalise.

        Parameters
        ----------
        x
            Values, seed spots first. ``(n_nodes, n_features)``.
        n_seeds
            Number of seed spots. ``None``: all nodes are seed spots.

        Returns
        -------
        Normalised values. ``(n_nodes, n_features)``.
        """
        n_seeds = len(x) if n_seeds is None else n_seeds
        if not self.training or (n_seeds == len(x) and n_processes() == 1):
            return super().forward(x)
        variance, mean, n_spots = self._batch_statistics(x[:n_seeds])
        self._update_running_statistics(mean.detach(), variance.detach() * (n_spots / (n_spots - 1).clamp(min=1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias - mean * scale, x, scale)

    def _update_running_statistics(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running mean and variance as :class:`torch.nn.BatchNorm1d` does."""
        momentum = cast(float, self.momentum)
        cast(Tensor, self.running_mean).lerp_(mean, momentum)
        cast(Tensor, self.running_var).lerp_(variance, momentum)
        cast(Tensor, self.num_batches_tracked).add_(1)

    def _batch_statistics(self, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Variance and mean of each feature, and the number of spots they are computed from."""
        variance, mean = torch.var_mean(seeds.float(), dim=0, correction=0)
        n_own = mean.new_full((1,), len(seeds))
        if n_processes() == 1:
            return variance, mean, n_own
        # Each process centres on its own mean first: a difference of two large sums of squares loses precision.
        sums = sum_over_processes(torch.cat([n_own * mean, n_own]))
        n_spots = sums[-1:]
        overall_mean = sums[:-1] / n_spots
        overall_variance = sum_over_processes(n_own * (variance + (mean - overall_mean).square())) / n_spots
        return overall_variance, overall_mean, n_spots
