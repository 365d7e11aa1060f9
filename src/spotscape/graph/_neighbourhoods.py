"""The part of a graph that a few spots see."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix


class Neighbourhood(NamedTuple):
    """Seeds and everything within a number of hops.

    Attributes
    ----------
    nodes
        Spots, seeds first, then by the number of hops. ``(n_nodes,)``.
    nodes_within_hop
        Number of nodes at most 0, 1, ... hops from the seeds. ``(n_hops + 1,)``.
    adjacency
        Complete rows of all nodes but those of the outermost hop, columns numbered as ``nodes``.
        ``(nodes_within_hop[-2], n_nodes)``.
    """

    nodes: np.ndarray
    nodes_within_hop: np.ndarray
    adjacency: csr_matrix


class NeighbourhoodSampler:
    """Finds the complete neighbourhood of seeds, so that what is computed on it equals the full graph.

    Parameters
    ----------
    adjacency
        Adjacency, normalised on the full graph. ``(n_spots, n_spots)``.
    n_hops
        Number of hops.
    """

    def __init__(self, adjacency: csr_matrix, n_hops: int):
        self.adjacency = adjacency
        self.n_hops = n_hops
        self._position = np.full(adjacency.shape[0], -1, dtype=np.int64)
        self._reached = np.zeros(adjacency.shape[0], dtype=bool)

    def __call__(self, seeds: np.ndarray) -> Neighbourhood:
        """Neighbourhood of ``seeds``, distinct spots in any order."""
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
