"""Batches of spots with their complete neighbourhood, as plain dicts of tensors."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix, issparse
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.dataloaders import DataSplitter
from torch.utils.data import DataLoader, Dataset

from spotscape._constants import BATCH_KEYS, FIELD_KEYS
from spotscape._distributed import n_processes
from spotscape.data._batches import PatchBatches, SeedBatch, SpotBatches
from spotscape.graph._build import normalize_adjacency
from spotscape.graph._checks import validate_graph
from spotscape.graph._neighbourhoods import NeighbourhoodSampler
from spotscape.graph._patches import cut_into_patches

#: Patches that a shuffled batch has at least. With fewer, the slices of a batch show different domains, and similarity
#: scaling brings together what does not belong together.
FEWEST_PATCHES = 64


class SpotDataLoader(DataLoader):
    """Loads spots in batches, drawn one by one or in compact patches.

    Parameters
    ----------
    dataset
        What makes a batch of a :class:`~spotscape.data._batches.SeedBatch`; it has the slices of all spots.
    coordinates
        Positions of all spots, for the patches. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    indices, batch_size, patch_size, shuffle, drop_last, share, seed, **kwargs
        As in :class:`GraphDataLoader`.
    """

    def __init__(
        self,
        dataset: "SpotDataset",
        coordinates: np.ndarray,
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
        seeds = np.arange(len(dataset)) if indices is None else np.asarray(indices)
        if seeds.dtype == bool:
            seeds = np.flatnonzero(seeds)
        batch_size = batch_size or len(seeds)
        patches: list[np.ndarray] = []
        if patch_size is not None and (batch_size < len(seeds) or (share and n_processes() > 1)):
            if shuffle:
                patch_size = max(1, min(patch_size, batch_size // FEWEST_PATCHES))
            cut = cut_into_patches(coordinates[seeds], dataset.slices[seeds], patch_size)
            patches = [seeds[patch] for patch in cut]
        batches: SpotBatches | PatchBatches
        if patches and shuffle:
            batches = PatchBatches(patches, batch_size, share=share, seed=seed)
        else:
            # Patches need not stay whole where nothing is drawn, so that a batch never has more spots than asked for.
            seeds = np.concatenate(patches) if patches else seeds
            batches = SpotBatches(seeds, batch_size, shuffle=shuffle, drop_last=drop_last, share=share, seed=seed)
        # A generator of its own, since a loader without one draws from the global one.
        generator = torch.Generator().manual_seed(seed)
        super().__init__(dataset, sampler=batches, batch_size=None, generator=generator, **kwargs)


class SpotDataset(Dataset):
    """What makes batches of spots, of which it knows the slices."""

    slices: np.ndarray

    def __len__(self) -> int:
        return len(self.slices)


class GraphDataLoader(SpotDataLoader):
    """Loads seeds with all spots within ``n_hops`` of them; seeds come first.

    A batch is a dict of tensors (see :data:`spotscape._constants.BATCH_KEYS`): the features of all nodes, the slice
    code of all nodes, the adjacency (sparse CSR, normalised on the full graph, a row for each node nearer than the
    outermost hop), the number of nodes within each hop, and the row number of each node in the AnnData. Shuffled
    batches of patches also say how large these are, and of how many.

    Parameters
    ----------
    adata_manager
        Manager with the fields of :func:`~spotscape.data.spatial_fields`.
    features
        Features of all spots of the manager's AnnData. ``(n_spots, n_features)``, dense or sparse CSR.
    n_hops
        Number of graph convolutions of the model.
    indices
        Spots to take as seeds; all if ``None``.
    batch_size
        Largest number of seeds in a batch; batches are of one size but for one spot, or one patch. ``None``, or a
        number not below that of the seeds, gives one batch.
    patch_size
        Number of spots of the patches that a batch is made of, see :func:`~spotscape.graph.cut_into_patches`. Spots of
        a patch share their neighbours, which makes a batch several times cheaper. ``None``: spots are drawn one by one.
        With ``shuffle``, smaller where a batch would have fewer than 64 patches; without, a batch is of patches that
        lie together.
    shuffle
        Whether seeds are drawn in a new random order each time; without effect on one batch, where order is immaterial.
    drop_last
        Whether to leave out a last batch that is smaller. Without effect on patches that are shuffled: their batches
        are all of about one size, and none is left out.
    share
        Whether each of the processes that train together takes a part of a batch.
    seed
        Seed of the order.
    **kwargs
        Passed to :class:`torch.utils.data.DataLoader`.
    """

    def __init__(
        self,
        adata_manager: AnnDataManager,
        *,
        features: np.ndarray | csr_matrix,
        n_hops: int,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
        patch_size: int | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
        share: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(
            _GraphDataset(adata_manager, features, n_hops),
            np.asarray(adata_manager.get_from_registry(FIELD_KEYS.COORDINATES)),
            indices=indices,
            batch_size=batch_size,
            patch_size=patch_size,
            shuffle=shuffle,
            drop_last=drop_last,
            share=share,
            seed=seed,
            **kwargs,
        )


class GraphDataSplitter(DataSplitter):
    """Splits spots into training, validation and test seeds; their neighbours are always seen.

    Parameters are those of :class:`scvi.dataloaders.DataSplitter`, whose further keyword arguments go to
    :class:`GraphDataLoader`; patches are made of training seeds only, and ``drop_last`` needs ``patch_size=None``,
    since batches of patches leave out no spot. By default all spots train: neighbours share features, so that spots
    held out at random are no independent check. For one, hold out whole slices with ``external_indexing``.
    """

    data_loader_cls: type[SpotDataLoader] = GraphDataLoader

    def __init__(
        self,
        adata_manager: AnnDataManager,
        train_size: float | None = None,
        *,
        patch_size: int | None = None,
        **kwargs: Any,
    ):
        # Named by scvi-tools for its own loaders; a batch here is sparse wherever it can be, and is one process's.
        kwargs.pop("load_sparse_tensor", None)
        kwargs.pop("distributed_sampler", None)
        self.patch_size = patch_size
        train_size = 1.0 if train_size is None and kwargs.get("validation_size") is None else train_size
        super().__init__(adata_manager, train_size=train_size, **{"seed": 0} | kwargs)

    def setup(self, stage: str | None = None) -> None:
        """Split by the seed of the loaders, keeping the seeds of each set in the order of the AnnData."""
        super().setup(stage)
        if self.external_indexing is None and self.shuffle_set_split:
            sizes = np.cumsum([len(self.val_idx), len(self.train_idx)])
            order = np.random.default_rng(self.data_loader_kwargs["seed"]).permutation(self.adata_manager.adata.n_obs)
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
        """Loader of the training seeds as they are, for what is computed between the epochs."""
        return self._loader(self.train_idx, patch_size=self.patch_size)

    def _loader(self, indices: np.ndarray, **kwargs: Any) -> SpotDataLoader:
        return self.data_loader_cls(
            self.adata_manager, indices=indices, pin_memory=self.pin_memory, **kwargs, **self.data_loader_kwargs
        )


class _GraphDataset(SpotDataset):
    def __init__(self, adata_manager: AnnDataManager, features: np.ndarray | csr_matrix, n_hops: int):
        self.features = features
        self.slices = np.asarray(adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY), dtype=np.int64).ravel()
        connectivities = validate_graph(adata_manager.get_from_registry(FIELD_KEYS.GRAPH), self.slices)
        self.neighbourhood_of = NeighbourhoodSampler(normalize_adjacency(connectivities), n_hops)
        self._whole: dict[str, torch.Tensor] | None = None

    def __getitem__(self, drawn: SeedBatch) -> dict[str, torch.Tensor]:
        seeds, patch_sizes, sample = drawn
        # Keeping the batch of the full graph spares its making in every epoch.
        whole = len(seeds) == len(self.slices) and np.array_equal(seeds, np.arange(len(seeds)))
        if whole and self._whole is not None:
            return self._whole
        nodes, nodes_within_hop, adjacency = self.neighbourhood_of(seeds)
        features = self.features if whole else self.features[nodes]
        batch = {
            BATCH_KEYS.FEATURES: _csr_tensor(features) if issparse(features) else torch.from_numpy(features),
            BATCH_KEYS.SLICE: torch.from_numpy(self.slices[nodes])[:, None],
            BATCH_KEYS.ADJACENCY: _csr_tensor(adjacency),
            BATCH_KEYS.NODES_WITHIN_HOP: torch.from_numpy(nodes_within_hop.astype(np.int64)),
            BATCH_KEYS.NODE_INDEX: torch.from_numpy(nodes.astype(np.int64)),
        }
        if patch_sizes is not None:
            batch |= {
                BATCH_KEYS.PATCH_SIZES: torch.from_numpy(patch_sizes),
                BATCH_KEYS.SAMPLE: torch.from_numpy(sample),
            }
        if whole:
            self._whole = batch
        return batch


def _csr_tensor(matrix: csr_matrix) -> torch.Tensor:
    index_type = np.int32 if max(matrix.nnz, *matrix.shape) < 2**31 else np.int64
    with warnings.catch_warnings():
        # What is used of it here has been stable for years.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(index_type)),
            torch.from_numpy(matrix.indices.astype(index_type)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=False,
        )
