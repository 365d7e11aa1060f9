"""Which spots of a reference a spot belongs to, by similarity of the representation and by nearness."""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors

from spotscape.tl.alignment._registration import Spots

#: Width of the window in which counterparts are sought, and largest distance from the reference of a spot that has any,
#: in units of the larger spacing of both slices.
REACH = 2.0
#: Reference spots that a spot may be coupled to before the best are taken. On a hexagonal grid this many lie within 2.6
#: times the width of the window.
N_WINDOW = 100
#: Weight of the mass of each spot against the cost of its transport, in units of the entropy.
MASS = 1.0
N_ITERATIONS = 200
_BLOCK = 10_000


def window_evidence(
    query: Spots, reference: Spots, moved: np.ndarray, scale: float, temperature: float
) -> sparse.csr_matrix:
    r"""Evidence :math:`\exp(-d^2 / 2 h^2 + (s - \max s) / \tau)` for the reference spots near the place of each spot.

    Parameters
    ----------
    query, reference
        Spots of both slices.
    moved
        Places of the query on the reference. ``(n_query, 2)``.
    scale
        Factor by which the spacing of the query changed on the way there.
    temperature
        :math:`\tau`.

    Returns
    -------
    Evidence, without entries in the rows of spots that are off the reference. ``(n_query, n_reference)``.
    """
    width = REACH * max(scale * query.spacing, reference.spacing)
    n_window = min(N_WINDOW, len(reference.positions))
    distance, nearest = cKDTree(reference.positions).query(moved, k=np.arange(1, n_window + 1))
    on = distance[:, 0] <= width
    similarity = _cosines(query.vectors, reference.vectors, nearest)
    best = similarity.max(axis=1, keepdims=True)
    values = np.exp(-(distance**2) / (2 * width**2) + (similarity - best) / temperature)
    return _as_matrix(np.where(on[:, None], values, 0.0), nearest, len(reference.positions))


def overall_evidence(query: Spots, reference: Spots, temperature: float, n_candidates: int) -> sparse.csr_matrix:
    r"""Evidence :math:`\exp((s - \max s) / \tau)` for the most similar reference spots, wherever they are.

    Parameters
    ----------
    query, reference
        Spots of both slices, whose positions play no part.
    temperature
        :math:`\tau`.
    n_candidates
        Number of reference spots of each spot.

    Returns
    -------
    Evidence. ``(n_query, n_reference)``.
    """
    n_candidates = min(n_candidates, len(reference.vectors))
    # Among vectors of one length, the nearest are the most similar. Only blocks of the distances are ever in memory.
    search = NearestNeighbors(n_neighbors=n_candidates).fit(reference.vectors)
    nearest = search.kneighbors(query.vectors, return_distance=False)
    similarity = _cosines(query.vectors, reference.vectors, nearest)
    values = np.exp((similarity - similarity.max(axis=1, keepdims=True)) / temperature)
    return _as_matrix(values, nearest, len(reference.vectors))


def transport(evidence: sparse.csr_matrix) -> sparse.csr_matrix:
    r"""Solve entropic unbalanced optimal transport with the evidence as kernel :cite:p:`Chizat2018`.

    All spots of a slice have the same mass. The plan is :math:`\mathrm{diag}(u) K \mathrm{diag}(v)` with
    :math:`u = (a / K v)^{\rho / (1 + \rho)}` and :math:`v = (b / K^\top u)^{\rho / (1 + \rho)}`, iterated: spots may
    leave mass behind, at a cost :math:`\rho` in units of the entropy, because slices differ in what they show. Only the
    pairs with evidence are ever stored.

    Parameters
    ----------
    evidence
        Kernel :math:`K`. ``(n_query, n_reference)``.

    Returns
    -------
    The plan, of the same sparsity.
    """
    power = MASS / (1 + MASS)
    n_query, n_reference = evidence.shape
    u, v = np.ones(n_query), np.ones(n_reference)
    for _ in range(N_ITERATIONS):
        u = (_inverse(evidence @ v) / n_query) ** power
        v = (_inverse(evidence.T @ u) / n_reference) ** power
    return (sparse.diags(u) @ evidence @ sparse.diags(v)).tocsr()


def best_of_rows(evidence: sparse.csr_matrix, n_best: int) -> sparse.csr_matrix:
    """Keep the largest entries of each row, and divide by their sum. Rows without entries stay empty."""
    # Stable, so that entries of the same size go by column.
    rows = np.repeat(np.arange(evidence.shape[0]), np.diff(evidence.indptr))
    order = np.lexsort((-evidence.data, rows))
    rank = np.arange(evidence.nnz) - np.repeat(evidence.indptr[:-1], np.diff(evidence.indptr))
    data = np.zeros(evidence.nnz)
    kept = order[rank < n_best]
    data[kept] = evidence.data[kept]
    totals = np.bincount(rows, weights=data, minlength=evidence.shape[0])
    best = sparse.csr_matrix((data / totals[rows], evidence.indices, evidence.indptr), shape=evidence.shape)
    best.eliminate_zeros()
    return best


def _cosines(vectors: np.ndarray, others: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Product of each vector with some of the others, in blocks because of the copies. ``(n_vectors, n_chosen)``."""
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
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
