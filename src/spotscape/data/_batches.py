"""Division of spots into batches, one by one or in patches, and of a batch among processes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch.utils.data import Sampler

from spotscape._distributed import n_processes


class SeedBatch(NamedTuple):
    """Seed spots of a batch.

    Attributes
    ----------
    seeds
        Row numbers of the spots, patch by patch. ``(n_seeds,)``.
    patch_sizes
        Number of spots of each patch; ``None`` if spots are drawn one by one. ``(n_patches,)``.
    sample
        Number of patches in the batch of all processes, number of all patches, and number of spots in all patches.
        ``(3,)``.
    """

    seeds: NDArray[np.int64]
    patch_sizes: NDArray[np.int64] | None = None
    sample: NDArray[np.int64] | None = None


class _Epochs(Sampler):
    """Random orders, one an epoch, which depend only on the seed and on the number of the epoch.

    Parameters
    ----------
    seed
        Random seed of the orders, the same in all processes.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self.epoch = 0
        self._n_drawn = 0
        self._generator = np.random.default_rng(seed)

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next epoch, from 0. Lightning calls this before each epoch."""
        self.epoch = epoch

    def _order(self, values: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """Order of the next epoch. Those of earlier epochs are drawn before it."""
        if self._n_drawn > self.epoch:
            self._n_drawn, self._generator = 0, np.random.default_rng(self.seed)
        while self._n_drawn <= self.epoch:
            order = self._generator.permutation(values)
            self._n_drawn += 1
        self.epoch += 1
        return order


class SpotBatches(_Epochs):
    """Batches of spots that are drawn one by one. Their sizes differ by at most one.

    Parameters
    ----------
    seeds
        Row numbers of the spots.
    batch_size
        Maximum number of spots in a batch.
    shuffle
        Whether to draw a new random order in each epoch. It has no effect if there is only one batch.
    drop_last
        Whether to leave out a last batch that is smaller.
    share
        Whether a batch is divided among the processes that train together.
    seed
        Random seed of the order, the same in all processes.
    """

    def __init__(
        self, seeds: NDArray[np.int64], batch_size: int, *, shuffle: bool, drop_last: bool, share: bool, seed: int
    ):
        super().__init__(seed)
        self.process, self.n_processes = _own_process(share)
        self.seeds = seeds
        self.batch_size = batch_size
        self.shuffle = shuffle and batch_size < len(seeds)
        self.drop_last = drop_last and batch_size < len(seeds)

    def __iter__(self) -> Iterator[SeedBatch]:
        order = self._order(self.seeds) if self.shuffle else self.seeds
        if self.drop_last:
            order = order[: len(self) * self.batch_size]
        # Batches of one size but for one spot: a last batch of a few spots would have no batch statistics.
        for batch in np.array_split(order, len(self)):
            yield SeedBatch(np.array_split(batch, self.n_processes)[self.process])

    def __len__(self) -> int:
        n_full, rest = divmod(len(self.seeds), self.batch_size)
        return n_full + (rest > 0 and not self.drop_last)


class PatchBatches(_Epochs):
    """Batches of patches from the whole tissue, in new combinations in each epoch.

    Parameters
    ----------
    patches
        Row numbers of the spots of each patch.
    batch_size
        Target number of spots in a batch, over all processes.
    share
        Whether a batch is divided among the processes that train together.
    seed
        Random seed of the order, the same in all processes.
    """

    def __init__(self, patches: list[NDArray[np.int64]], batch_size: int, *, share: bool, seed: int):
        super().__init__(seed)
        self.process, self.n_processes = _own_process(share)
        self.patches = patches
        self.n_spots = sum(map(len, patches))
        # Every process needs a patch.
        self.n_batches = max(1, min(-(-self.n_spots // batch_size), len(patches) // self.n_processes))

    def __iter__(self) -> Iterator[SeedBatch]:
        n_patches = len(self.patches)
        # In one batch their order is immaterial.
        order = self._order(n_patches) if self.n_batches > 1 else np.arange(n_patches)
        for drawn in np.array_split(order, self.n_batches):
            own = [self.patches[i] for i in np.array_split(drawn, self.n_processes)[self.process]]
            yield SeedBatch(
                np.concatenate(own),
                np.array([len(patch) for patch in own]),
                np.array([len(drawn), n_patches, self.n_spots]),
            )

    def __len__(self) -> int:
        return self.n_batches


def _own_process(share: bool) -> tuple[int, int]:
    """Number of this process, and number of processes that share a batch."""
    return (dist.get_rank(), n_processes()) if share and n_processes() > 1 else (0, 1)
