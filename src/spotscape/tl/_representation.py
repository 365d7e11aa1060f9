"""Read a representation of the spots, and compute unit vectors and a neighbour graph of it."""

from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA

from spotscape._places import Places
from spotscape._validate import check_present, numeric_array

#: Number of principal components of ``"X"`` and of wide sparse matrices.
N_COMPONENTS = 50
#: Number of spots from which neighbours are found by an approximate search.
N_SPOTS_APPROXIMATE = 8192


def read_representation(adata: AnnData, use_rep: str, *, seed: int = 0) -> np.ndarray:
    """Read and check the representation of the spots as a dense array.

    Parameters
    ----------
    adata
        Annotated data.
    use_rep
        Key in ``adata.obsm``, or ``"X"``.
    seed
        Seed of the start vector of the principal components to which ``"X"`` and wide sparse matrices are reduced.

    Returns
    -------
    C-contiguous array. ``(n_spots, n_dimensions)``.

    Raises
    ------
    KeyError
        If there is no such representation.
    ValueError
        If it is not a numeric matrix, or has missing or infinite values.
    """
    if use_rep != "X":
        check_present(use_rep, "use_rep", adata.obsm, "adata.obsm")
    values: Any = adata.X if use_rep == "X" else adata.obsm[use_rep]
    if values is None:
        raise ValueError("`use_rep` is 'X', but `adata.X` is None; pass a key of `adata.obsm`.")
    if sparse.issparse(values):
        numeric_array(values.data, use_rep)
    else:
        values = numeric_array(values, use_rep)
        values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    if not adata.n_obs:
        raise ValueError("`adata` has no spots; pass an AnnData with at least one.")
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"`{use_rep}` has shape {values.shape}; pass a matrix with one row per spot.")
    finite = np.isfinite(values.data if sparse.issparse(values) else values)
    if not finite.all():
        bad = sparse.csr_matrix(values).tocoo()
        first = Places.of(adata).spot(int(bad.row[~np.isfinite(bad.data)].min()))
        raise ValueError(
            f"`{use_rep}` has {int((~finite).sum())} missing or infinite values (the first is at {first}); remove the "
            "spots that have them, or compute it again."
        )
    if not sparse.issparse(values) and len(values) > 1 and not (values != values[:1]).any():
        raise ValueError(
            f"`{use_rep}` is the same for all {len(values)} spots; pass a representation that differs between spots."
        )
    if min(values.shape) > N_COMPONENTS and (sparse.issparse(values) or use_rep == "X"):
        values = sparse.csr_matrix(values, dtype=np.float64) if sparse.issparse(values) else values.astype(np.float64)
        return PCA(N_COMPONENTS, svd_solver="arpack", random_state=seed).fit_transform(values)
    values = values.toarray().astype(np.float64) if sparse.issparse(values) else values
    return np.ascontiguousarray(values)


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Divide each row by its length. Rows of zeros stay zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def neighbor_graph(representation: np.ndarray, n_neighbors: int, seed: int) -> AnnData:
    """Build scanpy's neighbour graph of a representation in a new AnnData, so that the user's is not changed."""
    import scanpy

    data = AnnData(X=representation)
    approximate = _ApproximateNeighbors(n_neighbors, seed) if data.n_obs >= N_SPOTS_APPROXIMATE else None
    scanpy.pp.neighbors(data, n_neighbors=n_neighbors, use_rep="X", random_state=seed, transformer=approximate)
    return data


class _ApproximateNeighbors:
    """Approximate nearest neighbours by pynndescent, with the parameters that scanpy uses for many spots.

    scanpy expects a sparse matrix, but newer versions of pynndescent return a sparse array.
    """

    def __init__(self, n_neighbors: int, seed: int) -> None:
        self.n_neighbors = n_neighbors
        self.seed = seed

    def get_params(self) -> dict[str, int]:
        return {"n_neighbors": self.n_neighbors}

    def fit_transform(self, values: np.ndarray) -> sparse.csr_matrix:
        from pynndescent import PyNNDescentTransformer

        transformer = PyNNDescentTransformer(
            n_neighbors=self.n_neighbors,
            n_trees=min(64, 5 + round(len(values) ** 0.5 / 20)),
            n_iters=max(5, round(np.log2(len(values)))),
            random_state=self.seed,
        )
        return sparse.csr_matrix(transformer.fit_transform(values))
