"""Batches of spots, and the split into training, validation and test spots."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scvi.data import AnnDataManager
from scvi.dataloaders import DataSplitter
from torch.utils.data import DataLoader

from spotscape._distributed import n_processes
from spotscape._validate import checked_indices
from spotscape.data._batches import PatchBatches, SpotBatches
from spotscape.data._datasets import SpotDataset
from spotscape.graph._patches import cut_into_patches

#: Smallest number of patches in a shuffled batch. With fewer, the slices of a batch show different domains, and
#: similarity scaling brings together spots that do not correspond.
FEWEST_PATCHES = 64


class SpotDataLoader(DataLoader):
    """Loads spots in batches, drawn one by one or in compact patches.

    Parameters
    ----------
    dataset
        Spots of which batches are made.
    indices
        Spots to take as seeds; all if ``None``.
    batch_size
        Largest number of seeds in a batch; batches are of one size but for one spot, or one patch. ``None``, or a
        number not below that of the seeds, gives one batch.
    patch_size
        Number of spots of the patches that a batch is made of, see :func:`~spotscape.graph.cut_into_patches`. Spots of
        a patch share their neighbours, which makes a batch several times cheaper. ``None``: spots are drawn one by one.
        With ``shuffle``, smaller where a batch would have fewer than 64 patches; without, a batch consists of patches
        that are close to each other.
    shuffle
        Whether seeds are drawn in a new random order each time; without effect on one batch, where order is immaterial.
    drop_last
        Whether to leave out a last batch that is smaller. Without effect on patches that are shuffled: their batches
        all have about the same size, and none is left out.
    share
        Whether each of the processes that train together takes a part of a batch.
    seed
        Seed of the order.
    **kwargs
        Passed to :class:`torch.utils.data.DataLoader`.
    """

    def __init__(
        self,
        dataset: SpotDataset,
        *,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
        patch_size: int | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
        share: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ):
        seeds = checked_indices(indices, len(dataset))
        batch_size = batch_size or len(seeds)
        patches: list[np.ndarray] = []
        if patch_size is not None and (batch_size < len(seeds) or (share and n_processes() > 1)):
            if shuffle:
                patch_size = max(1, min(patch_size, batch_size // FEWEST_PATCHES))
            cut = cut_into_patches(dataset.coordinates[seeds], dataset.slices[seeds], patch_size)
            patches = [seeds[patch] for patch in cut]
        batches: SpotBatches | PatchBatches
        if patches and shuffle:
            batches = PatchBatches(patches, batch_size, share=share, seed=seed)
        else:
            # Patches may be split where nothing is drawn, so that a batch never has more spots than asked for.
            seeds = np.concatenate(patches) if patches else seeds
            batches = SpotBatches(seeds, batch_size, shuffle=shuffle, drop_last=drop_last, share=share, seed=seed)
        # A generator of its own, since a loader without one draws from the global one.
        generator = torch.Generator().manual_seed(seed)
        super().__init__(dataset, sampler=batches, batch_size=None, generator=generator, **kwargs)


class SpotDataSplitter(DataSplitter):
    """Splits spots into training, validation and test seeds; their neighbours are always included in batches.

    Parameters are those of :class:`scvi.dataloaders.DataSplitter`, whose further keyword arguments go to
    :class:`SpotDataLoader`; patches are made of training seeds only, and ``drop_last`` needs ``patch_size=None``,
    since batches of patches leave out no spot. By default all spots train: neighbours share features, so that spots
    held out at random are no independent check. For one, hold out whole slices with ``external_indexing``.

    Parameters
    ----------
    adata_manager
        Manager of the data.
    train_size
        Share of the spots that train; all, unless ``validation_size`` is given.
    dataset
        Spots of which batches are made.
    patch_size
        As :class:`SpotDataLoader`.
    **kwargs
        As :class:`scvi.dataloaders.DataSplitter` and :class:`SpotDataLoader`.
    """

    def __init__(
        self,
        adata_manager: AnnDataManager,
        train_size: float | None = None,
        *,
        dataset: SpotDataset,
        patch_size: int | None = None,
        **kwargs: Any,
    ):
        # scvi-tools passes these for its own loaders; batches here are sparse wherever possible, and of one process.
        kwargs.pop("load_sparse_tensor", None)
        kwargs.pop("distributed_sampler", None)
        self.dataset = dataset
        self.patch_size = patch_size
        train_size = 1.0 if train_size is None and kwargs.get("validation_size") is None else train_size
        super().__init__(adata_manager, train_size=train_size, **{"seed": 0} | kwargs)

    def setup(self, stage: str | None = None) -> None:
        """Split by the seed of the loaders, keeping the seeds of each set in the order of the AnnData."""
        super().setup(stage)
        if self.external_indexing is None and self.shuffle_set_split:
            sizes = np.cumsum([len(self.val_idx), len(self.train_idx)])
            order = np.random.default_rng(self.data_loader_kwargs["seed"]).permutation(len(self.dataset))
            self.val_idx, self.train_idx, self.test_idx = np.split(order, sizes)
        self.train_idx, self.val_idx, self.test_idx = (
            np.sort(np.asarray(part, dtype=np.int64)) for part in (self.train_idx, self.val_idx, self.test_idx)
        )

    def train_dataloader(self) -> SpotDataLoader:
        """Loader of the training seeds."""
        return self._loader(
            self.train_idx, shuffle=True, share=True, drop_last=self.drop_last, patch_size=self.patch_size
        )

    def val_dataloader(self) -> SpotDataLoader | list:
        """Loader of the validation seeds, if there are any."""
        # Lightning takes an empty list, but not None, for "no validation".
        return self._loader(self.val_idx) if len(self.val_idx) else []

    def test_dataloader(self) -> SpotDataLoader | list:
        """Loader of the test seeds, if there are any."""
        return self._loader(self.test_idx) if len(self.test_idx) else []

    def predict_dataloader(self) -> SpotDataLoader:
        """Loader of the training seeds in order, for computations between the epochs."""
        return self._loader(self.train_idx, patch_size=self.patch_size)

    def _loader(self, indices: np.ndarray, **kwargs: Any) -> SpotDataLoader:
        return SpotDataLoader(
            self.dataset, indices=indices, pin_memory=self.pin_memory, **kwargs, **self.data_loader_kwargs
        )
