"""Spatial smoothing of the affinities of spots to domains."""

from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from spotscape.graph import read_graph

_TOLERANCE = 1e-6


def read_spatial_graph(adata: AnnData) -> sparse.csr_matrix:
    """Spatial graph with rows that sum to one; spots without neighbours have themselves."""
    stored = read_graph(adata)
    if stored is None:
        raise KeyError(
            "`smoothing` needs the spatial graph `adata.obsp['spatial_connectivities']`, which is missing; "
            "call `spotscape.pp.spatial_neighbors` first, or leave `smoothing` at 0."
        )
    graph: Any = stored.astype(np.float64)
    alone = np.asarray(graph.sum(axis=1)).ravel() == 0
    graph = graph + sparse.diags(alone.astype(np.float64))
    return (sparse.diags(1 / np.asarray(graph.sum(axis=1)).ravel()) @ graph).tocsr()


def spread(affinities: np.ndarray, graph: sparse.csr_matrix, smoothing: float) -> np.ndarray:
    r"""Smooth affinities over a graph :cite:p:`Zhou2003`.

    The fixed point of :math:`F = (1 - s) Y + s W F`, that is, :math:`F = (1 - s) (I - s W)^{-1} Y`, for affinities
    :math:`Y`, a graph :math:`W` whose rows sum to one and a smoothing :math:`0 \le s < 1`. It is reached by iteration,
    whose error shrinks by :math:`s` in each step.

    Parameters
    ----------
    affinities
        ``(n_spots, n_domains)``.
    graph
        ``(n_spots, n_spots)``, rows that sum to one.
    smoothing
        Weight of the neighbours.

    Returns
    -------
    ``(n_spots, n_domains)``.
    """
    smoothed = affinities
    n_steps = int(np.ceil(np.log(_TOLERANCE) / np.log(smoothing)))
    for _ in range(n_steps):
        smoothed = (1 - smoothing) * affinities + smoothing * (graph @ smoothed)
    return smoothed
