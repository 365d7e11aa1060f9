"""Selection of the genes that vary more between spots than their mean explains."""

import numpy as np
from scipy import sparse

from spotscape._validate import check_integer
from spotscape.data._counts import Matrix
from spotscape.data._graph_checks import encode_slices

# Fewer spots than this say nothing about a gene's variance.
_SMALLEST_SLICE = 10
_SPAN = 0.3
_GRID = 60


def select_genes(matrix: Matrix, *, n_top_genes: int, slices: np.ndarray | None = None) -> np.ndarray:
    r"""Select the genes whose variance is largest beyond the trend of variance on mean.

    Within each slice the trend :math:`\log_{10} \sigma^2 \approx f(\log_{10} \mu)` is a local quadratic regression,
    lightly ridge-penalised so that it has a solution for any number of spots and genes. Each gene :math:`g` then has
    the variance of its clipped standardised values :cite:p:`Stuart2019`

    .. math:: v_g = \frac{1}{n - 1} \sum_i
        \min\left(\frac{x_{ig} - \mu_g}{\hat\sigma_g}, \sqrt{n}\right)^2, \qquad
        \hat\sigma_g^2 = 10^{f(\log_{10} \mu_g)}

    and genes are ordered by the median over slices of their rank. A gene enters with its rank in *every* slice (last
    where it is absent), so that one chance outlier in one small slice does not select it.

    Parameters
    ----------
    matrix
        Expression of shape ``(n_spots, n_genes)``, CSR, CSC or dense, non-negative: counts, or log expression where
        counts do not exist; the trend is learnt from the data, so the same rule serves both.
    n_top_genes
        How many genes to select. With no more genes than this, all genes with any expression are returned.
        Genes seen in fewer than three spots (or 0.2 % of the spots, if that is more) come last, after all others.
    slices
        Slice of every spot, shape ``(n_spots,)``. ``None`` is one slice. Slices of fewer than 10 spots
        have no say, unless all are so small: then they count as one.

    Returns
    -------
    Sorted column numbers of the selected genes, int64 of shape ``(n_selected,)``, ``n_selected <= n_top_genes``.

    Raises
    ------
    ValueError
        If no gene has any expression, or ``slices`` does not fit the matrix.
    """
    check_integer(n_top_genes, "n_top_genes", minimum=1)
    n_spots, n_genes = matrix.shape
    codes, _ = encode_slices(slices, n_spots)
    expression = sparse.csr_matrix(matrix)
    n_detected = np.bincount(expression.indices[expression.data > 0], minlength=n_genes)
    detected = np.flatnonzero(n_detected)
    if len(detected) == 0:
        raise ValueError(f"None of the {n_genes} genes has any expression; pass the layer that holds the counts.")
    if min(n_genes, len(detected)) <= n_top_genes:
        return detected

    sizes = np.bincount(codes)
    usable = np.flatnonzero(sizes >= _SMALLEST_SLICE)
    if len(sizes) == 1 or len(usable) == 0:
        excess = standardized_variance(expression)[None]
    else:
        excess = np.stack([standardized_variance(expression[codes == code]) for code in usable])
    median_rank = np.median([_descending_rank(row) for row in excess], axis=0)
    is_rare = n_detected < max(3, 0.002 * n_spots)
    # The last key decides first: common before rare, then the rank, then the size of the excess, then the order.
    order = np.lexsort((-excess.mean(axis=0), median_rank, is_rare))
    order = order[n_detected[order] > 0]
    return np.sort(order[:n_top_genes])


def standardized_variance(matrix: sparse.csr_matrix) -> np.ndarray:
    """Variance of every gene's clipped standardised values in one slice, shape ``(n_genes,)``; 0 for constant genes."""
    n_spots = matrix.shape[0]
    mean, variance = gene_moments(matrix)
    variance = variance * (n_spots / max(n_spots - 1, 1))
    result = np.zeros(len(mean))
    varies = variance > 0
    if not varies.any():
        return result
    deviation = np.ones(len(mean))
    deviation[varies] = 10 ** (0.5 * mean_variance_trend(np.log10(mean[varies]), np.log10(variance[varies])))
    ceiling = mean + deviation * np.sqrt(n_spots)
    clipped = np.minimum(matrix.data, ceiling[matrix.indices])
    total = np.bincount(matrix.indices, clipped, minlength=len(mean))
    squares = np.bincount(matrix.indices, clipped**2, minlength=len(mean))
    scatter = n_spots * mean**2 + squares - 2 * mean * total
    result[varies] = scatter[varies] / ((n_spots - 1) * deviation[varies] ** 2)
    return result


def mean_variance_trend(log_mean: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    """Local quadratic trend of ``log_variance`` on ``log_mean``, at every gene, both of shape ``(n_genes,)``.

    Tricube weights over the nearest 30 % of the genes (at least 30), at 60 points, linear between them. The ridge is
    relative to the weights, so genes that share one mean, or a handful of genes, still have a trend.
    """
    ordered = np.sort(log_mean)
    n_genes = len(ordered)
    span = min(n_genes, max(30, int(np.ceil(_SPAN * n_genes))))
    # Half of the points follow the genes, half the range: few highly expressed genes span most of the range.
    along_genes = np.quantile(ordered, np.linspace(0, 1, _GRID // 2))
    points = np.unique(np.concatenate([along_genes, np.linspace(ordered[0], ordered[-1], _GRID // 2)]))
    heights = np.empty(len(points))
    for i, point in enumerate(points):
        distance = log_mean - point
        size = np.abs(distance)
        width = max(float(np.partition(size, span - 1)[span - 1]), 1e-6) * 1.001
        near = np.flatnonzero(size < width)
        weight = (1 - (size[near] / width) ** 3) ** 3
        basis = np.vander(distance[near] / width, 3, increasing=True)
        gram = (basis * weight[:, None]).T @ basis
        gram[[1, 2], [1, 2]] += 1e-4 * weight.sum()
        heights[i] = np.linalg.solve(gram, basis.T @ (weight * log_variance[near]))[0]
    return np.interp(log_mean, points, heights)


def gene_moments(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population variance of every gene, float64 of shape ``(n_genes,)``; rounding is not called variance."""
    n_spots, n_genes = matrix.shape
    data = matrix.data.astype(np.float64)
    mean = np.bincount(matrix.indices, data, minlength=n_genes) / n_spots
    mean_square = np.bincount(matrix.indices, np.square(data, out=data), minlength=n_genes) / n_spots
    variance = mean_square - mean**2
    variance[variance <= 1e-10 * mean_square] = 0.0
    return mean, variance


def _descending_rank(values: np.ndarray) -> np.ndarray:
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return rank
