"""Batch normalisation by the moments of the seeds, over all processes."""

from typing import cast

import torch
from torch import Tensor, nn

from spotscape._distributed import n_processes
from spotscape.nn._processes import sum_over_processes


class SeedBatchNorm(nn.BatchNorm1d):
    r"""Batch normalisation whose moments are those of the seeds of a batch.

    The spots around the seeds are normalised with them, but have no say: they are there as often as patches have
    borders, not as often as they are in the tissue. Moments are summed over all processes that train together, so that
    these see one batch (PyTorch's own synchronised layer refuses CPUs).
    """

    def forward(self, x: Tensor, n_seeds: int | None = None) -> Tensor:
        """Normalise.

        Parameters
        ----------
        x
            Values, seeds first. ``(n_nodes, n_features)``.
        n_seeds
            Number of seeds; all nodes if ``None``.

        Returns
        -------
        ``(n_nodes, n_features)``.
        """
        n_seeds = len(x) if n_seeds is None else n_seeds
        if not self.training or (n_seeds == len(x) and n_processes() == 1):
            return super().forward(x)
        variance, mean, n_spots = self._moments(x[:n_seeds])
        self._remember(mean.detach(), variance.detach() * (n_spots / (n_spots - 1).clamp(min=1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias - mean * scale, x, scale)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, as the parent does."""
        newest = cast(float, self.momentum)
        cast(Tensor, self.running_mean).lerp_(mean, newest)
        cast(Tensor, self.running_var).lerp_(variance, newest)
        cast(Tensor, self.num_batches_tracked).add_(1)

    def _moments(self, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Variance and mean of each feature, and the number of spots that they are of."""
        variance, mean = torch.var_mean(seeds.float(), dim=0, correction=0)
        n_own = mean.new_full((1,), len(seeds))
        if n_processes() == 1:
            return variance, mean, n_own
        # About each process's own mean first, since the difference of two large sums of squares loses digits.
        own = torch.cat([n_own * mean, n_own])
        total = sum_over_processes(own)
        n_spots = total[-1:]
        overall = total[:-1] / n_spots
        spread = sum_over_processes(n_own * (variance + (mean - overall).square())) / n_spots
        return spread, overall, n_spots
