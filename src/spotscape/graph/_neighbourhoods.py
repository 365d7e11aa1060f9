"""Neighbourhoods of spots in a graph."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix


class Neighbourhood(NamedTuple):
    """Seed spots and all spots within a number of hops.

    Attributes
    ----------
    nodes
        Row numbers of the spots: the seeds first, then by the number of hops. ``(n_nodes,)``.
    nodes_within_hop
        Number of nodes at most 0, 1, ... hops from the seeds. ``(n_hops + 1,)``.
    adjacency
        Rows of the adjacency matrix of all nodes except those of the last hop; the columns are in the order of
        ``nodes``. ``(nodes_within_hop[-2], n_nodes)``.

    Examples
    --------
    >>> from scipy import sparse
    >>> import spotscape as sps
    >>> path = sparse.csr_matrix([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]])
    >>> neighbourhood = sps.graph.NeighbourhoodSampler(path, n_hops=1)([2])
    >>> neighbourhood.nodes.tolist(), neighbourhood.nodes_within_hop.tolist()
    ([2, 1, 3], [1, 3])
    >>> neighbourhood.adjacency.toarray()
    array([[0, 1, 1]])
    """

    nodes: np.ndarray
    nodes_within_hop: np.ndarray
    adjacency: csr_matrix


class NeighbourhoodSampler:
    """Finds the complete neighbourhood of seed spots, so that a model gives them the same output as on the full graph.

    Parameters
    ----------
    adjacency
        Adjacency matrix, normalised on the full graph. ``(n_spots, n_spots)``.
    n_hops
        Number of hops.

    Examples
    --------
    >>> import spotscape as sps
    >>> adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    >>> graph = sps.graph.build_spatial_graph(adata.obsm["spatial"], n_neighbors=4)
    >>> sampler = sps.graph.NeighbourhoodSampler(sps.graph.normalize_adjacency(graph.connectivities), n_hops=2)
    >>> sampler([0, 1]).nodes_within_hop
    array([ 2,  8, 12])
    """

    def __init__(self, adjacency: csr_matrix, n_hops: int):
        self.adjacency = adjacency
        self.n_hops = n_hops
        self._position = np.full(adjacency.shape[0], -1, dtype=np.int64)
        self._reached = np.zeros(adjacency.shape[0], dtype=bool)

    def __call__(self, seeds: np.ndarray) -> Neighbourhood:
        """Neighbourhood of ``seeds``, distinct row numbers in any order."""
        n_spots = self.adjacency.shape[0]
        if len(seeds) == n_spots and np.array_equal(seeds, np.arange(n_spots)):
            return Neighbourhood(seeds, np.full(self.n_hops + 1, n_spots), self.adjacency)
        hops = [np.asarray(seeds, dtype=np.int64)]
        self._position[hops[0]] = np.arange(len(seeds))
        n_nodes = len(seeds)
        rows = []
        for _ in range(self.n_hops):
            rows.append(self.adjacency[hops[-1]])
            # Marking is several times faster than sorting all ends of edges.
            self._reached[rows[-1].indices] = True
            reached = np.flatnonzero(self._reached)
            self._reached[reached] = False
            new = reached[self._position[reached] < 0]
            self._position[new] = n_nodes + np.arange(len(new))
            n_nodes += len(new)
            hops.append(new)
        nodes = np.concatenate(hops)
        local = csr_matrix(
            (
                np.concatenate([block.data for block in rows]),
                self._position[np.concatenate([block.indices for block in rows])],
                np.concatenate([[0], np.cumsum(np.concatenate([np.diff(block.indptr) for block in rows]))]),
            ),
            shape=(sum(map(len, hops[:-1])), n_nodes),
        )
        self._position[nodes] = -1
        return Neighbourhood(nodes, np.cumsum([len(hop) for hop in hops]), local)
