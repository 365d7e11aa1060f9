"""Coupling of query spots to reference spots, by similarity of the representation and by distance."""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors

from spotscape.tl.alignment._registration import Spots

#: Width of the spatial kernel, and largest distance of a coupled spot from the reference, in units of the larger
#: spacing of both slices.
WINDOW_WIDTH = 2.0
#: Reference spots considered for each query spot. On a hexagonal grid, they lie within 2.6 times the window width.
MAX_CANDIDATES = 100
#: Penalty of mass that is not transported, in units of the entropy.
MASS_PENALTY = 1.0
N_ITERATIONS = 200
_BLOCK = 10_000


def local_affinities(
    query: Spots, reference: Spots, placed: np.ndarray, scale: float, temperature: float
) -> sparse.csr_matrix:
    r"""Affinities :math:`\exp(-d^2 / 2 h^2 + (s - \max s) / \tau)` to the reference spots near each placed query spot.

    Parameters
    ----------
    query, reference
        Spots of both slices, with unit vectors.
    placed
        Positions of the query spots after the transformation. ``(n_query, 2)``.
    scale
        Scale factor of the transformation.
    temperature
        :math:`\tau`.

    Returns
    -------
    Affinities. Rows of spots that lie off the reference are empty. ``(n_query, n_reference)``.
    """
    width = WINDOW_WIDTH * max(scale * query.spacing, reference.spacing)
    n_candidates = min(MAX_CANDIDATES, len(reference.positions))
    distance, nearest = cKDTree(reference.positions).query(placed, k=np.arange(1, n_candidates + 1))
    similarity = _cosines(query.vectors, reference.vectors, nearest)
    best = similarity.max(axis=1, keepdims=True)
    values = np.exp(-(distance**2) / (2 * width**2) + (similarity - best) / temperature)
    return _as_matrix(np.where(distance[:, :1] <= width, values, 0.0), nearest, len(reference.positions))


def global_affinities(query: Spots, reference: Spots, temperature: float, n_candidates: int) -> sparse.csr_matrix:
    r"""Affinities :math:`\exp((s - \max s) / \tau)` to the most similar reference spots, regardless of position.

    Parameters
    ----------
    query, reference
        Spots of both slices, with unit vectors.
    temperature
        :math:`\tau`.
    n_candidates
        Number of reference spots for each query spot.

    Returns
    -------
    Affinities. ``(n_query, n_reference)``.
    """
    # Among unit vectors, the nearest are the most similar. The search keeps only blocks of distances in memory.
    search = NearestNeighbors(n_neighbors=min(n_candidates, len(reference.vectors))).fit(reference.vectors)
    nearest = search.kneighbors(query.vectors, return_distance=False)
    similarity = _cosines(query.vectors, reference.vectors, nearest)
    values = np.exp((similarity - similarity.max(axis=1, keepdims=True)) / temperature)
    return _as_matrix(values, nearest, len(reference.vectors))


def unbalanced_transport(affinities: sparse.csr_matrix) -> sparse.csr_matrix:
    r"""Solve entropic unbalanced optimal transport with the affinities as kernel :cite:p:`Chizat2018`.

    All spots of a slice have the same mass. The plan is :math:`\mathrm{diag}(u) K \mathrm{diag}(v)`, with the iteration
    :math:`u = (a / K v)^{\rho / (1 + \rho)}` and :math:`v = (b / K^\top u)^{\rho / (1 + \rho)}`. Slices may differ in
    content, so mass may remain without a counterpart, at a cost of :math:`\rho` in units of the entropy. Only pairs
    with an affinity are stored.

    Parameters
    ----------
    affinities
        Kernel :math:`K`. ``(n_query, n_reference)``.

    Returns
    -------
    The plan, with the same sparsity.
    """
    power = MASS_PENALTY / (1 + MASS_PENALTY)
    n_query, n_reference = affinities.shape
    u, v = np.ones(n_query), np.ones(n_reference)
    for _ in range(N_ITERATIONS):
        u = (_inverse(affinities @ v) / n_query) ** power
        v = (_inverse(affinities.T @ u) / n_reference) ** power
    return (sparse.diags(u) @ affinities @ sparse.diags(v)).tocsr()


def keep_largest(affinities: sparse.csr_matrix, n_largest: int) -> sparse.csr_matrix:
    """Keep the largest entries of each row, and divide them by their sum. Empty rows stay empty."""
    # The sort is stable, so equal entries are kept in the order of their columns.
    rows = np.repeat(np.arange(affinities.shape[0]), np.diff(affinities.indptr))
    order = np.lexsort((-affinities.data, rows))
    rank = np.arange(affinities.nnz) - np.repeat(affinities.indptr[:-1], np.diff(affinities.indptr))
    data = np.zeros(affinities.nnz)
    kept = order[rank < n_largest]
    data[kept] = affinities.data[kept]
    totals = np.bincount(rows, weights=data, minlength=affinities.shape[0])
    largest = sparse.csr_matrix((data / totals[rows], affinities.indices, affinities.indptr), shape=affinities.shape)
    largest.eliminate_zeros()
    return largest


def _cosines(vectors: np.ndarray, others: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Products of each vector with some of the others, in blocks to save memory. ``(n_vectors, n_chosen)``."""
    products = np.empty(chosen.shape)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        for column in range(chosen.shape[1]):
            products[block, column] = np.einsum("nd,nd->n", vectors[block], others[chosen[block, column]])
    return products


def _as_matrix(values: np.ndarray, columns: np.ndarray, n_columns: int) -> sparse.csr_matrix:
    indptr = np.arange(0, columns.size + 1, columns.shape[1])
    matrix = sparse.csr_matrix((values.ravel(), columns.ravel(), indptr), shape=(len(values), n_columns))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _inverse(values: np.ndarray) -> np.ndarray:
    """Reciprocal, 0 for values of 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
