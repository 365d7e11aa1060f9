"""Batches of spots with their complete neighbourhood, as plain dicts of tensors."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix, issparse
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.dataloaders import DataSplitter
from torch.utils.data import DataLoader, Dataset, Sampler

from spotscape._constants import BATCH_KEYS, FIELD_KEYS
from spotscape.data._graph import normalize_adjacency
from spotscape.data._graph_checks import validate_graph
from spotscape.data._neighbourhood import NeighbourhoodSampler


class GraphDataLoader(DataLoader):
    """Loads seeds with all spots within ``n_hops`` of them; seeds come first.

    A batch is a dict of tensors (see :data:`spotscape._constants.BATCH_KEYS`): the features of all nodes, the slice
    code of all nodes, the adjacency (sparse CSR, normalised on the full graph, a row for each node nearer than the
    outermost hop), the number of nodes within each hop, and the row number of each node in the AnnData.

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
        Largest number of seeds in a batch; batches are of one size but for one spot. ``None``, or a number not below
        that of the seeds, gives one batch.
    shuffle
        Whether seeds are drawn in a new random order each time; without effect on one batch, where order is immaterial.
    drop_last
        Whether to leave out a last batch that is smaller.
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
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        **kwargs: Any,
    ):
        seeds = np.arange(adata_manager.adata.n_obs) if indices is None else np.asarray(indices)
        if seeds.dtype == bool:
            seeds = np.flatnonzero(seeds)
        dataset = _GraphDataset(adata_manager, features, n_hops)
        batches = _SeedBatches(seeds, batch_size or len(seeds), shuffle=shuffle, drop_last=drop_last, seed=seed)
        # A generator of its own, since a loader without one draws from the global one.
        generator = torch.Generator().manual_seed(seed)
        super().__init__(dataset, sampler=batches, batch_size=None, generator=generator, **kwargs)


class GraphDataSplitter(DataSplitter):
    """Splits spots into training, validation and test seeds; their neighbours are always seen.

    Parameters are those of :class:`scvi.dataloaders.DataSplitter`, whose further keyword arguments go to
    :class:`GraphDataLoader`. By default all spots train: neighbours share features, so that spots held out at random
    are no independent check. For one, hold out whole slices with ``external_indexing``.
    """

    data_loader_cls = GraphDataLoader

    def __init__(self, adata_manager: AnnDataManager, train_size: float | None = None, **kwargs: Any):
        # Named by scvi-tools for its own loaders; a batch here is sparse wherever it can be, and is one process's.
        kwargs.pop("load_sparse_tensor", None)
        kwargs.pop("distributed_sampler", None)
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

    def train_dataloader(self) -> GraphDataLoader:
        """Loader of the training seeds."""
        return self._loader(self.train_idx, shuffle=True, drop_last=self.drop_last)

    def val_dataloader(self) -> GraphDataLoader | list:
        """Loader of the validation seeds, if there are any."""
        # Lightning takes an empty list, but not None, for "no validation".
        return self._loader(self.val_idx) if len(self.val_idx) else []

    def test_dataloader(self) -> GraphDataLoader | list:
        """Loader of the test seeds, if there are any."""
        return self._loader(self.test_idx) if len(self.test_idx) else []

    def _loader(self, indices: np.ndarray, **kwargs: Any) -> GraphDataLoader:
        return self.data_loader_cls(
            self.adata_manager, indices=indices, pin_memory=self.pin_memory, **kwargs, **self.data_loader_kwargs
        )


class _GraphDataset(Dataset):
    def __init__(self, adata_manager: AnnDataManager, features: np.ndarray | csr_matrix, n_hops: int):
        self.features = features
        self.slices = np.asarray(adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY), dtype=np.int64).ravel()
        connectivities = validate_graph(adata_manager.get_from_registry(FIELD_KEYS.GRAPH), self.slices)
        self.neighbourhood_of = NeighbourhoodSampler(normalize_adjacency(connectivities), n_hops)
        self._whole: dict[str, torch.Tensor] | None = None

    def __getitem__(self, seeds: np.ndarray) -> dict[str, torch.Tensor]:
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
        if whole:
            self._whole = batch
        return batch

    def __len__(self) -> int:
        return len(self.slices)


class _SeedBatches(Sampler):
    def __init__(self, seeds: np.ndarray, batch_size: int, *, shuffle: bool, drop_last: bool, seed: int):
        self.seeds = seeds
        self.batch_size = batch_size
        self.shuffle = shuffle and batch_size < len(seeds)
        self.drop_last = drop_last and batch_size < len(seeds)
        self.generator = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[np.ndarray]:
        order = self.generator.permutation(self.seeds) if self.shuffle else self.seeds
        if self.drop_last:
            order = order[: len(self) * self.batch_size]
        # Batches of one size but for one spot: a last batch of a few spots would have no batch statistics.
        yield from np.array_split(order, len(self))

    def __len__(self) -> int:
        n_full, rest = divmod(len(self.seeds), self.batch_size)
        return n_full + (rest > 0 and not self.drop_last)


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
