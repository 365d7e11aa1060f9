"""Data loader of spots, and the split into training, validation and test spots."""

from collections.abc import Sequence
from typing import Any, cast

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
    """Loads spots in batches, one by one or in compact patches.

    Parameters
    ----------
    dataset
        Data set that makes the batches.
    indices
        Row numbers, which may repeat, or boolean mask of the seed spots. ``None``: all spots.
    batch_size
        Maximum number of seeds in a batch. ``None``, or a number of at least that of the seeds: one batch.
    patch_size
        Number of spots per patch, see :func:`~spotscape.graph.cut_into_patches`. The spots of a patch share neighbours,
        which makes a batch several times cheaper. ``None``: draw spots one by one. With ``shuffle``, patches are
        smaller if a batch would otherwise have fewer than 64 of them. Without ``shuffle``, a batch contains adjacent
        patches.
    shuffle
        Whether to draw a new random order in each epoch. It has no effect if there is only one batch.
    drop_last
        Whether to leave out a last batch that is smaller. It has no effect on shuffled patches, whose batches all have
        about the same size.
    share
        Whether a batch is divided among the processes that train together.
    seed
        Random seed of the order.
    **kwargs
        Further arguments of :class:`torch.utils.data.DataLoader`.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> values = np.zeros((60, 5), dtype=np.float32)
    >>> features = {"rna": sps.preprocessing.Features(values, values, present=np.ones(60, dtype=bool))}
    >>> windows = sps.graph.build_windows(adata.obsm["spatial"], radius=1)
    >>> dataset = sps.data.WindowDataset(features, windows, np.zeros(60, dtype=int), adata.obsm["spatial"])
    >>> [len(batch["node_index"]) for batch in sps.data.SpotDataLoader(dataset, indices=range(50), batch_size=20)]
    [17, 17, 16]
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
        seeds = checked_indices(indices, len(dataset), distinct=False)
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
    """Splits spots into training, validation and test seeds. Batches always include the neighbours of the seeds.

    By default all spots are used for training. Neighbours share features, so random validation spots are not
    independent; to hold out whole slices, use ``external_indexing``. Patches consist of training seeds only.

    Parameters
    ----------
    adata_manager
        Manager of the data.
    train_size
        Fraction of the spots for training. ``None``: all, unless ``validation_size`` is given.
    dataset
        Data set that makes the batches.
    patch_size
        As in :class:`SpotDataLoader`. ``drop_last`` requires ``None``, because no patches are left out.
    **kwargs
        Further arguments of :class:`scvi.dataloaders.DataSplitter` and :class:`SpotDataLoader`.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> sps.SPOTSCAPE.setup_anndata(adata, layer="counts")
    >>> model = sps.SPOTSCAPE(adata)
    >>> dataset = model._dataset(model.adata_manager)
    >>> splitter = sps.data.SpotDataSplitter(model.adata_manager, train_size=0.8, dataset=dataset)
    >>> splitter.setup()
    >>> len(splitter.train_idx), len(splitter.val_idx)
    (48, 12)
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
        #: Epoch at which the training starts, if it is resumed.
        self.first_epoch = 0
        train_size = 1.0 if train_size is None and kwargs.get("validation_size") is None else train_size
        super().__init__(adata_manager, train_size=train_size, **{"seed": 0} | kwargs)

    def setup(self, stage: str | None = None) -> None:
        """Split the spots with the seed of the loaders. The seeds of each set are in the order of the data."""
        super().setup(stage)
        if self.external_indexing is None and self.shuffle_set_split:
            sizes = np.cumsum([len(self.val_idx), len(self.train_idx)])
            order = np.random.default_rng(self.data_loader_kwargs["seed"]).permutation(len(self.dataset))
            self.val_idx, self.train_idx, self.test_idx = np.split(order, sizes)
        self.train_idx, self.val_idx, self.test_idx = (
            np.sort(np.asarray(part, dtype=np.int64)) for part in (self.train_idx, self.val_idx, self.test_idx)
        )

    def train_dataloader(self) -> SpotDataLoader:
        """Loader of the training seeds, shuffled."""
        loader = self._loader(
            self.train_idx, shuffle=True, share=True, drop_last=self.drop_last, patch_size=self.patch_size
        )
        cast(SpotBatches | PatchBatches, loader.sampler).set_epoch(self.first_epoch)
        return loader

    def val_dataloader(self) -> SpotDataLoader | list:
        """Loader of the validation seeds; an empty list if there are none."""
        # Lightning takes an empty list, but not None, for "no validation".
        return self._loader(self.val_idx) if len(self.val_idx) else []

    def test_dataloader(self) -> SpotDataLoader | list:
        """Loader of the test seeds; an empty list if there are none."""
        return self._loader(self.test_idx) if len(self.test_idx) else []

    def predict_dataloader(self) -> SpotDataLoader:
        """Loader of the training seeds in order, for computations between epochs."""
        return self._loader(self.train_idx, patch_size=self.patch_size)

    def _loader(self, indices: np.ndarray, **kwargs: Any) -> SpotDataLoader:
        return SpotDataLoader(
            self.dataset, indices=indices, pin_memory=self.pin_memory, **kwargs, **self.data_loader_kwargs
        )
