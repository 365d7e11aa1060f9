"""Selection of the genes that vary more between spots than their mean explains."""

import numpy as np
from scipy import sparse
from scipy.stats import rankdata

from spotscape._validate import check_integer
from spotscape.graph._checks import encode_slices
from spotscape.preprocessing._row_blocks import Matrix, RowBlocks, row_blocks

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
        Expression of shape ``(n_spots, n_genes)``, in memory or not, as :meth:`Preprocessor.fit` takes it,
        non-negative: counts, or log expression where counts do not exist; the trend is learnt from the data, so the
        same rule serves both.
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
    rows = row_blocks(matrix)
    codes, _ = encode_slices(slices, rows.shape[0])
    return select_by_sums(rows, GeneSums.of(rows, codes), n_top_genes)


def select_by_sums(rows: RowBlocks, sums: "GeneSums", n_top_genes: int) -> np.ndarray:
    """Select genes as :func:`select_genes` does, with the sums of the rows at hand."""
    detected = np.flatnonzero(sums.n_detected)
    if len(detected) == 0:
        n_genes = rows.shape[1]
        raise ValueError(f"None of the {n_genes} genes has any expression; pass the layer that holds the counts.")
    if len(detected) <= n_top_genes:
        return detected
    usable = np.flatnonzero(sums.sizes >= _SMALLEST_SLICE)
    if len(usable) == 0:
        sums, usable = sums.joined(), np.array([0])
    excess = standardized_variances(rows, sums)[usable]
    median_rank = np.median(rankdata(-excess, method="ordinal", axis=1), axis=0)
    is_rare = sums.n_detected < max(3, 0.002 * rows.shape[0])
    # The last key decides first: common before rare, then the rank, then the size of the excess, then the order.
    order = np.lexsort((-excess.mean(axis=0), median_rank, is_rare))
    order = order[sums.n_detected[order] > 0]
    return np.sort(order[:n_top_genes])


class GeneSums:
    """Sums of every gene over the spots of each slice, filled block by block.

    Parameters
    ----------
    n_genes
        Number of genes.
    codes
        Slice of every spot, from 0, shape ``(n_spots,)``.
    ceiling
        Value at which those of a gene in a slice are cut, shape ``(n_slices, n_genes)``. ``None`` cuts none.

    Attributes
    ----------
    sizes
        Number of spots of each slice, shape ``(n_slices,)``.
    n_detected
        Number of spots that have the gene, shape ``(n_genes,)``.
    total, squares
        Sums of values and of their squares, float64 of shape ``(n_slices, n_genes)``.
    """

    def __init__(self, n_genes: int, codes: np.ndarray, ceiling: np.ndarray | None = None) -> None:
        self.codes = codes
        self.sizes = np.bincount(codes)
        self.n_detected = np.zeros(n_genes, dtype=np.int64)
        self.total = np.zeros((len(self.sizes), n_genes))
        self.squares = np.zeros_like(self.total)
        self._ceiling = ceiling

    @classmethod
    def of(cls, rows: RowBlocks, codes: np.ndarray, ceiling: np.ndarray | None = None) -> "GeneSums":
        """Sums of all rows, in one pass."""
        result = cls(rows.shape[1], codes, ceiling)
        for where, block in rows:
            result.add(where, block)
        return result

    def add(self, where: slice, block: sparse.csr_matrix) -> None:
        """Add the rows ``where`` of the matrix."""
        n_genes = self.total.shape[1]
        present, local = np.unique(self.codes[where], return_inverse=True)
        gene = block.indices
        if len(present) > 1:
            gene = gene + n_genes * np.repeat(local, np.diff(block.indptr))
        values = block.data.astype(np.float64)
        if self._ceiling is None:
            self.n_detected += np.bincount(block.indices[values > 0], minlength=n_genes)
        else:
            np.minimum(values, self._ceiling[present].ravel()[gene], out=values)
        shape = (len(present), n_genes)
        self.total[present] += np.bincount(gene, values, minlength=len(present) * n_genes).reshape(shape)
        np.square(values, out=values)
        self.squares[present] += np.bincount(gene, values, minlength=len(present) * n_genes).reshape(shape)

    def joined(self) -> "GeneSums":
        """Sums over all slices as one."""
        result = GeneSums(self.total.shape[1], np.zeros_like(self.codes))
        result.n_detected = self.n_detected
        result.total = self.total.sum(axis=0, keepdims=True)
        result.squares = self.squares.sum(axis=0, keepdims=True)
        return result

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and population variance, both ``(n_slices, n_genes)``; rounding is not called variance."""
        mean, mean_square = self.total / self.sizes[:, None], self.squares / self.sizes[:, None]
        variance = mean_square - mean**2
        variance[variance <= 1e-10 * mean_square] = 0.0
        return mean, variance


def standardized_variances(rows: RowBlocks, sums: GeneSums) -> np.ndarray:
    """Variance of every gene's clipped standardised values in each slice; 0 for genes that are constant there.

    Parameters
    ----------
    rows
        Expression.
    sums
        Sums of its genes.

    Returns
    -------
    float64 array of shape ``(n_slices, n_genes)``.
    """
    mean, variance = sums.moments()
    variance *= (sums.sizes / np.maximum(sums.sizes - 1, 1))[:, None]
    varies = variance > 0
    deviation = np.ones_like(mean)
    for code in np.flatnonzero(varies.any(axis=1)):
        seen = varies[code]
        trend = mean_variance_trend(np.log10(mean[code, seen]), np.log10(variance[code, seen]))
        deviation[code, seen] = 10 ** (0.5 * trend)
    size = sums.sizes[:, None]
    clipped = GeneSums.of(rows, sums.codes, mean + deviation * np.sqrt(size))
    scatter = size * mean**2 + clipped.squares - 2 * mean * clipped.total
    return np.where(varies, scatter / (np.maximum(size - 1, 1) * deviation**2), 0.0)


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
