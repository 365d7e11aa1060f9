"""Reading a representation of the spots, and its neighbour graph."""

from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA

N_COMPONENTS_WIDE = 50
N_SPOTS_APPROXIMATE = 8192


def read_representation(adata: AnnData, use_rep: str, *, seed: int = 0) -> np.ndarray:
    """Read the representation of the spots as a dense array, and check it.

    Parameters
    ----------
    adata
        Annotated data.
    use_rep
        Key in ``adata.obsm``, or ``"X"``.
    seed
        Seed of the start vector of the principal components, which wide sparse matrices and ``"X"`` are reduced to.

    Returns
    -------
    Array in C order. ``(n_spots, n_dimensions)``.

    Raises
    ------
    KeyError
        If ``use_rep`` is missing.
    ValueError
        If it is no numeric matrix, or has missing or infinite values.
    """
    if use_rep != "X" and use_rep not in adata.obsm:
        there = ", ".join(repr(key) for key in adata.obsm) or "nothing"
        raise KeyError(
            f"`use_rep` is {use_rep!r}, which is not in `adata.obsm`; there is {there}. "
            "Store the representation there first, or pass 'X'."
        )
    values: Any = adata.X if use_rep == "X" else adata.obsm[use_rep]
    if values is None:
        raise ValueError("`use_rep` is 'X', but `adata.X` is None; pass a key of `adata.obsm`.")
    if not sparse.issparse(values):
        try:
            values = np.asarray(values)
            values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"`{use_rep}` is not numeric; pass a representation of numbers.") from error
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"`{use_rep}` has shape {values.shape}; pass a matrix with one row a spot.")
    finite = np.isfinite(values.data if sparse.issparse(values) else values)
    if not finite.all():
        raise ValueError(
            f"`{use_rep}` has {int((~finite).sum())} missing or infinite values; "
            "leave out the spots that have them, or train again."
        )
    n_columns = min(values.shape)
    if n_columns > N_COMPONENTS_WIDE and (sparse.issparse(values) or use_rep == "X"):
        values = sparse.csr_matrix(values, dtype=np.float64) if sparse.issparse(values) else values.astype(np.float64)
        return PCA(N_COMPONENTS_WIDE, svd_solver="arpack", random_state=seed).fit_transform(values)
    values = values.toarray().astype(np.float64) if sparse.issparse(values) else values
    return np.ascontiguousarray(values)


def neighbor_graph(representation: np.ndarray, n_neighbors: int, seed: int) -> AnnData:
    """Build scanpy's neighbour graph of a representation, in an object of its own: the user's is left as it is."""
    import scanpy

    light = AnnData(X=representation)
    approximate = _ApproximateNeighbors(n_neighbors, seed) if light.n_obs >= N_SPOTS_APPROXIMATE else None
    scanpy.pp.neighbors(light, n_neighbors=n_neighbors, use_rep="X", random_state=seed, transformer=approximate)
    return light


class _ApproximateNeighbors:
    """Nearest neighbours by descent, set up as scanpy does for many spots.

    scanpy reads the answer as a sparse matrix, but newer versions of pynndescent give a sparse array.
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
