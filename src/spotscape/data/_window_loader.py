"""Batches of windows, as plain dicts of tensors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from spotscape._constants import BATCH_KEYS, FIELD_KEYS, modality_key
from spotscape.data._batches import SeedBatch
from spotscape.data._loader import GraphDataSplitter, SpotDataLoader, SpotDataset
from spotscape.graph._windows import Windows, ring_means


class WindowDataLoader(SpotDataLoader):
    """Loads spots with their windows, whose features are gathered batch by batch.

    A batch is a dict of tensors (see :data:`spotscape._constants.BATCH_KEYS`): for each modality the mean features of
    each ring, ``(n_spots, n_rings, n_features)``, how many spots with the modality these are of,
    ``(n_spots, n_rings)``, and, for training, the cluster of each spot, -1 where it has none, and the
    distances between clusters; the slice code and the
    row number of each spot.

    Parameters
    ----------
    adata_manager
        Manager with the fields of :func:`~spotscape.data.modality_fields`.
    features
        Features of all spots and whether each spot has them, for each modality. ``(n_spots, n_features)`` and
        ``(n_spots,)``.
    windows
        Windows of all spots.
    clusters
        For each modality, the cluster of each spot, ``(n_spots,)``, and the distances between the centres of clusters,
        ``(n_clusters, n_clusters)``. ``None``: not known.
    **kwargs
        As :class:`GraphDataLoader`.
    """

    def __init__(
        self,
        adata_manager: AnnDataManager,
        *,
        features: Mapping[str, tuple[NDArray[np.float32], NDArray[np.bool_]]],
        windows: Windows,
        clusters: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float32]]] | None = None,
        **kwargs: Any,
    ):
        slices = np.asarray(adata_manager.get_from_registry(REGISTRY_KEYS.BATCH_KEY), dtype=np.int64).ravel()
        coordinates = np.asarray(adata_manager.get_from_registry(FIELD_KEYS.COORDINATES))
        super().__init__(_WindowDataset(slices, features, windows, clusters or {}), coordinates, **kwargs)


class WindowDataSplitter(GraphDataSplitter):
    """Splits spots into training, validation and test spots, whose windows are always seen whole.

    Parameters are those of :class:`GraphDataSplitter`, whose further keyword arguments go to :class:`WindowDataLoader`.
    """

    data_loader_cls = WindowDataLoader


class _WindowDataset(SpotDataset):
    def __init__(
        self,
        slices: NDArray[np.int64],
        features: Mapping[str, tuple[NDArray[np.float32], NDArray[np.bool_]]],
        windows: Windows,
        clusters: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float32]]],
    ):
        self.slices = slices
        self.features = features
        self.windows = windows
        self.clusters = clusters
        self._last: tuple[np.ndarray, dict[str, torch.Tensor]] | None = None

    def __getitem__(self, drawn: SeedBatch) -> dict[str, torch.Tensor]:
        spots = drawn.seeds
        # Where an epoch is one batch, keeping it spares its making in every epoch.
        if self._last is not None and np.array_equal(spots, self._last[0]):
            return self._last[1]
        batch = {
            BATCH_KEYS.SLICE: torch.from_numpy(self.slices[spots])[:, None],
            BATCH_KEYS.NODE_INDEX: torch.from_numpy(np.asarray(spots, dtype=np.int64)),
            # A window is no further spots to be encoded: all spots of a batch are its seeds.
            BATCH_KEYS.NODES_WITHIN_HOP: torch.tensor([len(spots)]),
        }
        for name, (values, present) in self.features.items():
            means, counts = ring_means(values, self.windows.sites[spots], self.windows.rings, present)
            batch[modality_key(name, BATCH_KEYS.WINDOWS)] = torch.from_numpy(means)
            batch[modality_key(name, BATCH_KEYS.COUNTS)] = torch.from_numpy(counts)
        for name, (codes, distances) in self.clusters.items():
            batch[modality_key(name, BATCH_KEYS.CLUSTERS)] = torch.from_numpy(codes[spots])
            batch[modality_key(name, BATCH_KEYS.CLUSTER_DISTANCES)] = torch.from_numpy(distances)
        self._last = (spots, batch)
        return batch
