"""Selection of highly variable genes."""

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
# Genes in fewer spots are left out by AESTETIK as published.
_FEWEST_SPOTS = 10


def select_genes(matrix: Matrix, *, n_top_genes: int, slices: np.ndarray | None = None) -> np.ndarray:
    r"""Select the genes with the highest variance relative to their mean.

    Within each slice, the trend :math:`\log_{10} \sigma^2 \approx f(\log_{10} \mu)` is fitted by local quadratic
    regression, with a small ridge penalty so that it exists for any number of spots and genes. Each gene :math:`g` is
    scored with the variance of its clipped standardised values :cite:p:`Stuart2019`

    .. math:: v_g = \frac{1}{n - 1} \sum_i
        \min\left(\frac{x_{ig} - \mu_g}{\hat\sigma_g}, \sqrt{n}\right)^2, \qquad
        \hat\sigma_g^2 = 10^{f(\log_{10} \mu_g)}

    and genes are sorted by the median of their rank over the slices. A gene has a rank in every slice, the last one
    where it is absent, so a single outlier in a small slice does not select it.

    Parameters
    ----------
    matrix
        Non-negative expression, in memory or not, as for :meth:`Preprocessor.fit`: counts, or log expression if there
        are no counts. The trend is fitted to the data, so the same method applies to both. ``(n_spots, n_genes)``.
    n_top_genes
        Number of genes to select. If there are no more genes than this, all genes with any expression are selected.
        Genes detected in fewer than three spots (or 0.2 % of the spots, if that is more) are selected last.
    slices
        Slice of each spot. ``None``: all spots belong to one slice. Slices with fewer than 10 spots are not used,
        unless all slices are so small; then all spots are treated as one slice. ``(n_spots,)``.

    Returns
    -------
    Sorted column numbers of the selected genes, int64. ``(n_selected,)``, with ``n_selected <= n_top_genes``.

    Raises
    ------
    ValueError
        If no gene has any expression, or ``slices`` does not match the matrix.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> counts = np.random.default_rng(0).poisson(np.linspace(1, 10, 50), size=(200, 50))
    >>> counts[:100, 20] *= 3
    >>> sps.preprocessing.select_genes(counts, n_top_genes=1)
    array([20])
    """
    check_integer(n_top_genes, "n_top_genes", minimum=1)
    rows = row_blocks(matrix)
    codes, _ = encode_slices(slices, rows.shape[0])
    return select_by_sums(rows, GeneSums.of(rows, codes), n_top_genes)


def select_by_sums(rows: RowBlocks, sums: "GeneSums", n_top_genes: int) -> np.ndarray:
    """Select genes like :func:`select_genes`, given the sums of the rows."""
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


def count_variable_genes(matrix: Matrix, slices: np.ndarray | None = None) -> int:
    """Number of genes that vary more than the trend, as AESTETIK selects them: no fixed number.

    Parameters
    ----------
    matrix, slices
        As for :func:`select_genes`.

    Returns
    -------
    Number of genes that are detected in at least 10 spots and whose standardised variance, averaged over the slices, is
    at least 1; at least 1.
    """
    rows = row_blocks(matrix)
    codes, _ = encode_slices(slices, rows.shape[0])
    sums = GeneSums.of(rows, codes)
    excess = standardized_variances(rows, sums).mean(axis=0)
    return max(1, int(((excess >= 1) & (sums.n_detected >= _FEWEST_SPOTS)).sum()))


class GeneSums:
    """Sums of each gene over the spots of each slice, computed block by block.

    Parameters
    ----------
    n_genes
        Number of genes.
    codes
        Slice code of each spot, from 0. ``(n_spots,)``.
    ceiling
        Value at which the values of a gene in a slice are clipped. ``None``: no clipping. ``(n_slices, n_genes)``.

    Attributes
    ----------
    sizes
        Number of spots of each slice. ``(n_slices,)``.
    n_detected
        Number of spots in which each gene is detected. ``(n_genes,)``.
    total, squares
        Sums of the values and of their squares, float64. ``(n_slices, n_genes)``.
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
        """Sums over all rows, in one pass."""
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
        """Sums over all slices."""
        result = GeneSums(self.total.shape[1], np.zeros_like(self.codes))
        result.n_detected = self.n_detected
        result.total = self.total.sum(axis=0, keepdims=True)
        result.squares = self.squares.sum(axis=0, keepdims=True)
        return result

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and population variance, ``(n_slices, n_genes)`` each. Variances due to rounding errors are set to 0."""
        mean, mean_square = self.total / self.sizes[:, None], self.squares / self.sizes[:, None]
        variance = mean_square - mean**2
        variance[variance <= 1e-10 * mean_square] = 0.0
        return mean, variance


def standardized_variances(rows: RowBlocks, sums: GeneSums) -> np.ndarray:
    """Variance of the clipped standardised values of each gene in each slice; 0 for constant genes.

    Parameters
    ----------
    rows
        Expression.
    sums
        Sums of its genes.

    Returns
    -------
    Variances, float64. ``(n_slices, n_genes)``.
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
    """Local quadratic regression of ``log_variance`` on ``log_mean``, evaluated at each gene. All are ``(n_genes,)``.

    It has tricube weights over the nearest 30 % of the genes (at least 30), and is computed at 60 points with linear
    interpolation. The ridge penalty is relative to the weights, so it exists for few genes or genes with the same mean.
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
