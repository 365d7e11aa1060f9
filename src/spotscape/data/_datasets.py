"""Data sets that make batches of tensors: spots with their graph neighbourhood, or with their windows."""

import warnings
from collections.abc import Mapping
from copy import copy
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch.utils.data import Dataset

from spotscape._constants import BATCH_KEYS
from spotscape.data._batches import SeedBatch
from spotscape.graph._build import normalize_adjacency
from spotscape.graph._lattice_windows import fill_windows
from spotscape.graph._neighbourhoods import NeighbourhoodSampler
from spotscape.graph._windows import Windows, ring_means
from spotscape.preprocessing import Features


class SpotDataset(Dataset):
    """Base class of the data sets of spots.

    A subclass implements :meth:`make_batch` and :meth:`uncorrected`. If all spots are in one batch, the batch is built
    once and reused.

    Parameters
    ----------
    slices
        Slice code of each spot. ``(n_spots,)``.
    coordinates
        Coordinates of the spots, from which compact patches are made. ``(n_spots, 2)`` or ``(n_spots, 3)``.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from spotscape.data import SpotDataLoader, SpotDataset
    >>> class SliceDataset(SpotDataset):
    ...     def make_batch(self, drawn):
    ...         return {"slice": torch.from_numpy(self.slices[drawn.seeds])}
    >>> dataset = SliceDataset(slices=np.array([0, 0, 1]), coordinates=np.zeros((3, 2)))
    >>> len(dataset), [batch["slice"].tolist() for batch in SpotDataLoader(dataset, batch_size=2)]
    (3, [[0, 0], [1]])
    """

    features: Any

    def __init__(self, slices: NDArray[np.int64], coordinates: NDArray[Any]):
        self.slices = slices
        self.coordinates = coordinates
        self._last: tuple[NDArray[np.int64], dict[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self.slices)

    def __getstate__(self) -> dict[str, Any]:
        # A copy does without the last batch, whose sparse tensors PyTorch cannot copy deeply.
        return self.__dict__ | {"_last": None}

    def __getitem__(self, drawn: SeedBatch) -> dict[str, Any]:
        # Where an epoch is one batch, keeping it avoids building it in every epoch.
        if self._last is not None and np.array_equal(drawn.seeds, self._last[0]):
            return self._last[1]
        batch = self.make_batch(drawn)
        if len(drawn.seeds) == len(self):
            self._last = (drawn.seeds, batch)
        return batch

    def make_batch(self, drawn: SeedBatch) -> dict[str, Any]:
        """Make the tensors of some spots.

        Parameters
        ----------
        drawn
            Seed spots of the batch, with the attributes ``seeds`` (row numbers, ``(n_seeds,)``), ``patch_sizes`` and
            ``sample``.

        Returns
        -------
        Dictionary of tensors, with the keys of ``spotscape._constants.BATCH_KEYS``.
        """
        raise NotImplementedError

    def uncorrected(self) -> Self:
        """The same spots with the features before the correction of slices."""
        raise NotImplementedError

    def _with_features(self, features: Any) -> Self:
        result = copy(self)
        result.features, result._last = features, None
        return result


class GraphDataset(SpotDataset):
    """Spots with all spots within a number of hops in the spatial graph.

    A batch contains the features and slice codes of all nodes, seeds first; the rows of the normalised adjacency matrix
    of all nodes except those of the last hop, sparse CSR; the number of nodes within each hop; and the row number of
    each node. Batches of patches also contain the sizes and the number of the patches.

    Parameters
    ----------
    features
        Features of all spots.
    slices, coordinates
        As in :class:`SpotDataset`.
    connectivities
        Spatial graph, see :func:`~spotscape.graph.validate_graph`. ``(n_spots, n_spots)``.
    n_hops
        Number of graph convolutions of the model.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> graph = sps.graph.build_spatial_graph(adata.obsm["spatial"], n_neighbors=4)
    >>> values = np.zeros((60, 5), dtype=np.float32)
    >>> features = sps.preprocessing.Features(values, values, present=np.ones(60, dtype=bool))
    >>> slices, coordinates = np.zeros(60, dtype=int), adata.obsm["spatial"]
    >>> dataset = sps.data.GraphDataset(features, slices, coordinates, graph.connectivities, n_hops=2)
    >>> batch = next(iter(sps.data.SpotDataLoader(dataset, batch_size=20)))
    >>> batch["X"].shape[0] == batch["nodes_within_hop"][-1]
    tensor(True)
    """

    def __init__(
        self,
        features: Features,
        slices: NDArray[np.int64],
        coordinates: NDArray[Any],
        connectivities: sparse.csr_matrix,
        n_hops: int,
    ):
        super().__init__(slices, coordinates)
        self.features = features
        self.neighbourhood_of = NeighbourhoodSampler(normalize_adjacency(connectivities), n_hops)

    def make_batch(self, drawn: SeedBatch) -> dict[str, Any]:
        """Make the tensors of some spots and their neighbourhood; see :meth:`SpotDataset.make_batch`."""
        nodes, nodes_within_hop, adjacency = self.neighbourhood_of(drawn.seeds)
        features = self.features.corrected
        features = features if np.array_equal(nodes, np.arange(len(self))) else features[nodes]
        batch = {
            BATCH_KEYS.FEATURES: _csr_tensor(features) if sparse.issparse(features) else torch.from_numpy(features),
            BATCH_KEYS.SLICE: torch.from_numpy(self.slices[nodes])[:, None],
            BATCH_KEYS.ADJACENCY: _csr_tensor(adjacency),
            BATCH_KEYS.NODES_WITHIN_HOP: torch.from_numpy(nodes_within_hop.astype(np.int64)),
            BATCH_KEYS.NODE_INDEX: torch.from_numpy(nodes.astype(np.int64)),
        }
        if drawn.patch_sizes is not None:
            batch[BATCH_KEYS.PATCH_SIZES] = torch.from_numpy(drawn.patch_sizes)
            batch[BATCH_KEYS.SAMPLE] = torch.from_numpy(drawn.sample)
        return batch

    def uncorrected(self) -> Self:
        """The same spots with the features before the correction of slices."""
        if not self.features.is_corrected:
            return self
        return self._with_features(self.features.without_correction())


class WindowDataset(SpotDataset):
    """Spots with their windows, whose features are computed for each batch.

    A batch contains, in a dictionary by modality, the mean features of each ring, ``(n_spots, n_rings, n_features)``,
    and the number of spots in each ring that have the modality, ``(n_spots, n_rings)``; the slice code and the row
    number of each spot; and, for training, the cluster of each spot, -1 if it has none, and the distances between
    clusters.

    Parameters
    ----------
    features
        Features of all spots in each modality.
    windows
        Windows of all spots.
    slices, coordinates
        As in :class:`SpotDataset`.

    Attributes
    ----------
    clusters
        For each modality, the cluster of each spot, ``(n_spots,)``, and the distances between the centres of the
        clusters, ``(n_clusters, n_clusters)``. Empty unless it is set for training.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> values = np.zeros((60, 5), dtype=np.float32)
    >>> features = {"rna": sps.preprocessing.Features(values, values, present=np.ones(60, dtype=bool))}
    >>> windows = sps.graph.build_windows(adata.obsm["spatial"], radius=1)
    >>> dataset = sps.data.WindowDataset(features, windows, np.zeros(60, dtype=int), adata.obsm["spatial"])
    >>> batch = next(iter(sps.data.SpotDataLoader(dataset, batch_size=20)))
    >>> batch["windows"]["rna"].shape
    torch.Size([20, 2, 5])
    """

    def __init__(
        self,
        features: Mapping[str, Features],
        windows: Windows,
        slices: NDArray[np.int64],
        coordinates: NDArray[Any],
    ):
        super().__init__(slices, coordinates)
        self.features = features
        self.windows = windows
        #: For each modality, the cluster of each spot, ``(n_spots,)``, and the distances between the centres of
        #: clusters, ``(n_clusters, n_clusters)``.
        self.clusters: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float32]]] = {}

    def make_batch(self, drawn: SeedBatch) -> dict[str, Any]:
        """Make the tensors of some spots and their windows; see :meth:`SpotDataset.make_batch`."""
        spots = drawn.seeds
        windows_of = {name: self._windows_of(features, spots) for name, features in self.features.items()}
        return {
            BATCH_KEYS.SLICE: torch.from_numpy(self.slices[spots])[:, None],
            BATCH_KEYS.NODE_INDEX: torch.from_numpy(np.asarray(spots, dtype=np.int64)),
            # A window adds no spots that have to be encoded: all spots of a batch are its seeds.
            BATCH_KEYS.NODES_WITHIN_HOP: torch.tensor([len(spots)]),
            BATCH_KEYS.WINDOWS: {name: torch.from_numpy(values) for name, (values, _) in windows_of.items()},
            BATCH_KEYS.COUNTS: {name: torch.from_numpy(counts) for name, (_, counts) in windows_of.items()},
            BATCH_KEYS.CLUSTERS: {name: torch.from_numpy(codes[spots]) for name, (codes, _) in self.clusters.items()},
            BATCH_KEYS.CLUSTER_DISTANCES: {name: torch.from_numpy(one) for name, (_, one) in self.clusters.items()},
        }

    def uncorrected(self) -> Self:
        """The same spots with the features before the correction of slices."""
        if not any(one.is_corrected for one in self.features.values()):
            return self
        return self._with_features({name: one.without_correction() for name, one in self.features.items()})

    def _windows_of(self, features: Features, spots: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Features of the windows of some spots, and the number of spots behind each of them."""
        return ring_means(features.corrected, self.windows.sites[spots], self.windows.rings, features.present)


class LatticeWindowDataset(WindowDataset):
    """Spots with their square windows, whose features are gathered for each batch.

    A batch is like that of :class:`WindowDataset`, with a site in place of each ring: the features of the sites,
    ``(n_spots, n_sites, n_features)``, filled by :func:`~spotscape.graph.fill_windows`, and whether each site has a
    spot with the modality, ``(n_spots, n_sites)``. Windows without the modality have one half everywhere.

    Parameters
    ----------
    features
        Features of all spots in each modality, scaled to the range from 0 to 1.
    sites
        Result of :func:`~spotscape.graph.build_lattice_windows`. ``(n_spots, n_sites)``.
    slices, coordinates
        As in :class:`SpotDataset`.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> values = np.zeros((60, 5), dtype=np.float32)
    >>> features = {"rna": sps.preprocessing.Features(values, values, present=np.ones(60, dtype=bool))}
    >>> sites = sps.graph.build_lattice_windows(adata.obsm["spatial"], width=3)
    >>> dataset = sps.data.LatticeWindowDataset(features, sites, np.zeros(60, dtype=int), adata.obsm["spatial"])
    >>> batch = next(iter(sps.data.SpotDataLoader(dataset, batch_size=20)))
    >>> batch["windows"]["rna"].shape
    torch.Size([20, 9, 5])
    """

    def __init__(
        self,
        features: Mapping[str, Features],
        sites: NDArray[np.int32],
        slices: NDArray[np.int64],
        coordinates: NDArray[Any],
    ):
        super().__init__(features, Windows(sites, np.arange(sites.shape[1]), [], []), slices, coordinates)

    def _windows_of(self, features: Features, spots: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
        filled, there = fill_windows(features.corrected, self.windows.sites[spots], features.present, empty=0.5)
        return filled, there.astype(np.float32)


def _csr_tensor(matrix: sparse.csr_matrix) -> torch.Tensor:
    index_type = np.int32 if max(matrix.nnz, *matrix.shape) < 2**31 else np.int64
    with warnings.catch_warnings():
        # The functions that are used here have been stable for years.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(index_type)),
            torch.from_numpy(matrix.indices.astype(index_type)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=False,
        )
