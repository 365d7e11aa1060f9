"""What a model has to beat: principal components of expression that was averaged over spatial neighbours, or not.

Made with scanpy and scikit-learn, so that no mistake of the package is in both. There are two kinds:

* scaled: z-scores of the genes that the package selects; with scanpy's own selection these floors are far lower on
  cortex (ARI of k-means 0.33 instead of 0.58);
* unscaled: log expression of all genes as it is, centred in each slice, so that strongly expressed genes weigh more.
"""

import numpy as np
import scanpy as sc
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from spotscape.preprocessing import select_genes

N_TOP_GENES = 3000
N_COMPONENTS = 50
N_NEIGHBORS = 6
#: Those of the unscaled kind.
N_COMPONENTS_UNSCALED, TOTAL_UNSCALED = 30, 1e4


def scaled_expression(
    adata: AnnData, size_factor_key: str | None = None, *, slice_key: str | None = None
) -> np.ndarray:
    """Scale the logarithm of normalised counts of the variable genes.

    Parameters
    ----------
    adata
        Raw counts in ``X``; left as it is.
    size_factor_key
        Column of ``obs`` with each spot's total over all genes. ``None``: the totals of ``X``.
    slice_key
        Categorical column of ``obs`` with the slices, within which genes are selected. ``None``: one slice.

    Returns
    -------
    Z-scores, cut at 10. ``(n_spots, n_genes)`` with at most 3,000 genes.
    """
    counts = sparse.csr_matrix(adata.X, dtype=np.float64)
    totals = counts.sum(axis=1).A1 if size_factor_key is None else adata.obs[size_factor_key].to_numpy(np.float64)
    factors = np.divide(np.median(totals[totals > 0]), totals, out=np.zeros_like(totals), where=totals > 0)
    expression = AnnData(sparse.csr_matrix(sparse.diags_array(factors) @ counts))
    sc.pp.log1p(expression)
    slices = None if slice_key is None else adata.obs[slice_key].cat.codes.to_numpy()
    expression = expression[:, select_genes(counts, n_top_genes=N_TOP_GENES, slices=slices)].copy()
    expression.X = expression.X.toarray()
    sc.pp.scale(expression, max_value=10)
    return expression.X


def average_over_neighbors(
    values: np.ndarray, positions: np.ndarray, *, slices: np.ndarray, n_hops: int, n_neighbors: int = N_NEIGHBORS
) -> np.ndarray:
    """Replace each spot by the mean of itself and its nearest neighbours of the same slice, several times.

    Parameters
    ----------
    values
        What is averaged, dense or sparse. ``(n_spots, n_values)``.
    positions
        Coordinates; only those of one slice are compared. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    slices
        Slice of each spot. ``(n_spots,)``.
    n_hops
        Number of times; 0 returns the values as they are.
    n_neighbors
        Number of neighbours; all others where a slice has fewer.

    Returns
    -------
    Means, dense or sparse as the values. ``(n_spots, n_values)``.
    """
    rows, columns = [np.arange(len(slices))], [np.arange(len(slices))]
    for name in np.unique(slices):
        spots = np.flatnonzero(slices == name)
        n_others = min(n_neighbors, len(spots) - 1)
        if n_others:
            nearest = NearestNeighbors(n_neighbors=n_others).fit(positions[spots]).kneighbors(return_distance=False)
            rows.append(np.repeat(spots, n_others))
            columns.append(spots[nearest.ravel()])
    row, column = np.concatenate(rows), np.concatenate(columns)
    weights = sparse.csr_array((1 / np.bincount(row)[row], (row, column)), shape=(len(slices), len(slices)))
    for _ in range(n_hops):
        values = weights @ values
    return values


def floor_representation(scaled: np.ndarray, positions: np.ndarray, *, slices: np.ndarray, n_hops: int) -> np.ndarray:
    """Principal components of scaled expression that was averaged ``n_hops`` times.

    Parameters
    ----------
    scaled
        Result of :func:`scaled_expression`. ``(n_spots, n_genes)``.
    positions, slices, n_hops
        As in :func:`average_over_neighbors`.

    Returns
    -------
    At most 50 components. ``(n_spots, n_components)``.
    """
    smooth = average_over_neighbors(scaled, positions, slices=slices, n_hops=n_hops)
    return _components(smooth, N_COMPONENTS)


def unscaled_representation(adata: AnnData, slices: np.ndarray, *, n_hops: int) -> np.ndarray:
    """Principal components of unscaled log expression that was averaged ``n_hops`` times and centred in each slice.

    Counts are scaled to a total of 10,000 in each spot; all genes are used.

    Parameters
    ----------
    adata
        Raw counts in ``X`` and positions in ``obsm["spatial"]``; left as it is.
    slices, n_hops
        As in :func:`average_over_neighbors`.

    Returns
    -------
    At most 30 components. ``(n_spots, n_components)``.
    """
    expression = AnnData(sparse.csr_matrix(adata.X))
    sc.pp.normalize_total(expression, target_sum=TOTAL_UNSCALED)
    sc.pp.log1p(expression)
    smooth = average_over_neighbors(expression.X, adata.obsm["spatial"], slices=slices, n_hops=n_hops).toarray()
    for name in np.unique(slices):
        smooth[slices == name] -= smooth[slices == name].mean(axis=0)
    return _components(smooth, N_COMPONENTS_UNSCALED)


def _components(values: np.ndarray, n_components: int) -> np.ndarray:
    pca = PCA(min(n_components, min(values.shape) - 1), svd_solver="arpack", random_state=0)
    return pca.fit_transform(values.astype(np.float64))
