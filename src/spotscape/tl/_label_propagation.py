"""Label propagation of domain affinities over the spatial graph."""

from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from spotscape.graph import read_graph

_TOLERANCE = 1e-6


def read_spatial_graph(adata: AnnData) -> sparse.csr_matrix:
    """Return the spatial graph with rows that sum to one. Spots without neighbours are linked to themselves."""
    stored = read_graph(adata)
    if stored is None:
        raise KeyError(
            "`smoothing` needs the spatial graph `adata.obsp['spatial_connectivities']`, which is missing; "
            "call `spotscape.pp.spatial_neighbors` first, or leave `smoothing` at 0."
        )
    graph: Any = stored.astype(np.float64)
    isolated = np.asarray(graph.sum(axis=1)).ravel() == 0
    graph = graph + sparse.diags(isolated.astype(np.float64))
    return (sparse.diags(1 / np.asarray(graph.sum(axis=1)).ravel()) @ graph).tocsr()


def propagate_labels(affinities: np.ndarray, graph: sparse.csr_matrix, smoothing: float) -> np.ndarray:
    r"""Propagate affinities over a graph to convergence :cite:p:`Zhou2003`.

    The result is the fixed point of :math:`F = (1 - s) Y + s W F`, that is, :math:`F = (1 - s) (I - s W)^{-1} Y`, for
    affinities :math:`Y`, a graph :math:`W` whose rows sum to one and a smoothing :math:`0 < s < 1`. It is computed by
    iteration; each step multiplies the error by :math:`s`.

    Parameters
    ----------
    affinities
        Affinity of each spot to each domain. ``(n_spots, n_domains)``.
    graph
        Graph whose rows sum to one. ``(n_spots, n_spots)``.
    smoothing
        Weight of the neighbours.

    Returns
    -------
    Propagated affinities. ``(n_spots, n_domains)``.
    """
    smoothed = affinities
    n_steps = int(np.ceil(np.log(_TOLERANCE) / np.log(smoothing)))
    for _ in range(n_steps):
        smoothed = (1 - smoothing) * affinities + smoothing * (graph @ smoothed)
    return smoothed
