"""Summary of an expression matrix, from which its values are recognised and checked."""

import weakref

import numpy as np
from scipy import sparse, stats

from spotscape._places import ROWS, Places
from spotscape.preprocessing._row_blocks import Matrix, row_blocks

# log1p of counts per million stays below 13.9 and log2 of them below 20; a linear scale that matters exceeds it.
_LARGEST_LOG_VALUE = 20.0
# The user may know of larger logarithms, but the exponential of this is where single precision ends.
# Sums of more would not fit into single precision.
_LARGEST_POSSIBLE = 1e12
_LARGEST_BELIEVABLE = 80.0
# Fewer spots say little about how their values depend on their depth.
_MIN_SPOTS_TO_RECOGNISE = 20
# Division by the library size makes this correlation -0.6 or lower, and corrected counts have -0.2 or more.
_DEPTH_CORRELATION = -0.35
_N_SPOTS_KEPT = 100
_N_SPOTS_COUNTED = 100_000
# Slices in a block up to which genes are counted slice by slice.
_MAX_RUNS = 50
# In a slice where a gene is expected in this many spots, none at all is not chance.
_N_SPOTS_EXPECTED = 10


class ValueSummary:
    """Summary of the values of an expression matrix, computed in one pass.

    Parameters
    ----------
    where
        Rows of the matrix to summarise.
    n_genes
        Number of genes.
    slices
        Code of the slice of each of these spots, if genes are to be counted by slice. ``(n_spots,)``.

    Attributes
    ----------
    totals, n_detected
        Total and number of genes above zero of each spot. ``(n_spots,)`` each.
    detected
        Whether a gene is above zero in any of the counted spots of a slice. ``(n_slices, n_genes)``. ``None`` without
        slices.
    spots_with_gene
        Number of counted spots in which a gene is above zero. ``(n_genes,)``. ``None`` without slices.
    """

    def __init__(self, where: slice, n_genes: int, slices: np.ndarray | None = None) -> None:
        n_spots = where.stop - where.start
        self.totals = np.zeros(n_spots)
        self.n_detected = np.zeros(n_spots, dtype=np.int32)
        self.detected: np.ndarray | None = None
        self.spots_with_gene: np.ndarray | None = None
        self._slices = slices
        # Genes are counted in at most 100,000 to 200,000 evenly spaced spots.
        self._step = max(1, n_spots // _N_SPOTS_COUNTED)
        if slices is not None:
            self.detected = np.zeros((int(slices.max(initial=0)) + 1, n_genes), dtype=bool)
            self.spots_with_gene = np.zeros(n_genes, dtype=np.int64)
        self._first = where.start
        # Of spots in blocks with values that are not whole.
        self._largest_of_spot = np.zeros(n_spots, dtype=np.float32)
        self._fractional = np.zeros(n_spots, dtype=bool)
        self._fraction: float | None = None
        self._sample: sparse.csr_matrix | None = None
        self._largest = 0.0
        self._wrong: dict[str, tuple[int, int, int]] = {}

    def add(self, where: slice, block: sparse.csr_matrix) -> None:
        """Add a block with the rows ``where`` of the matrix."""
        rows = slice(where.start - self._first, where.stop - self._first)
        values = block.data
        smallest, largest = values.min(initial=0), values.max(initial=0)
        # A NaN fails both comparisons, so that good data, the usual case, is passed in one go.
        if not (smallest >= 0 and largest < np.inf):
            self._note_wrong(where, block)
            return
        self._largest = max(self._largest, float(largest))
        if values.dtype.kind == "f":
            fractional = values != np.rint(values)
            if fractional.any():
                self._note_fractional(rows, block, fractional)
        if not values.all():
            block = block.copy()
            block.eliminate_zeros()
        self.totals[rows] = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
        self.n_detected[rows] = np.diff(block.indptr)
        if self._slices is not None:
            first = -rows.start % self._step
            some = block if self._step == 1 else block[first :: self._step]
            self._count_genes(self._slices[rows][first :: self._step], some)

    def _note_fractional(self, rows: slice, block: sparse.csr_matrix, fractional: np.ndarray) -> None:
        if self._fraction is None:
            self._fraction = float(block.data[fractional.argmax()])
            self._sample = block[:_N_SPOTS_KEPT].astype(np.float64)
        self._fractional[rows] = _reduced(np.logical_or, block, fractional, bool)
        self._largest_of_spot[rows] = _reduced(np.maximum, block, block.data, np.float32)

    def _count_genes(self, slices: np.ndarray, block: sparse.csr_matrix) -> None:
        assert self.detected is not None and self.spots_with_gene is not None
        # Spots of a slice mostly follow each other.
        bounds = np.flatnonzero(np.diff(slices, prepend=-1, append=-1))
        if len(bounds) > _MAX_RUNS:
            self.spots_with_gene += np.bincount(block.indices, minlength=block.shape[1])
            self.detected[np.repeat(slices, np.diff(block.indptr)), block.indices] = True
            return
        for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
            counts = np.bincount(block.indices[block.indptr[start] : block.indptr[stop]], minlength=block.shape[1])
            self.spots_with_gene += counts
            self.detected[slices[start]] |= counts > 0

    def check(self, values: str, places: Places = ROWS) -> None:
        """Raise ``ValueError`` if values are invalid, or not on the declared scale."""
        for kind in ("missing (NaN)", "infinite", "negative"):
            if kind in self._wrong:
                count, row, column = self._wrong[kind]
                raise ValueError(
                    f"The expression holds {count} {kind} value(s), the first at {places.value(row, column)}; "
                    f"pass raw counts, or expression that is not centred, scaled or otherwise corrected."
                )
        if self._largest > _LARGEST_POSSIBLE:
            raise ValueError(
                f"The largest value of the expression is {self._largest:g}, which no count or expression reaches; "
                "remove damaged values, or pass the layer with the raw counts."
            )
        if values == "counts" and (certain := self.certain_kind()) is not None:
            raise ValueError(
                f"The expression is declared as counts but holds {self._fraction:g}, and the library size has been "
                f"removed or the logarithm taken: it is {certain}. Pass the layer that holds the counts, or "
                f"`values={certain!r}`."
            )
        if values == "log-normalized" and self._largest > _LARGEST_BELIEVABLE:
            raise ValueError(
                f"The expression is declared as log-normalised but its largest value is {self._largest:g}, "
                f'which is no logarithm of expression; pass `values="normalized"` or the log-transformed layer.'
            )

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return self._fraction is None

    def certain_kind(self) -> str | None:
        """Scale of values that are certainly no counts, corrected or not; ``None`` if they may be."""
        if self.is_whole:
            return None
        if _have_one_total(self.totals):
            return "normalized"
        if self._largest <= _LARGEST_LOG_VALUE and self._sample is not None and _are_logarithms(self._sample):
            return "log-normalized"
        return None

    def recognise(self, spots: np.ndarray | None = None) -> str:
        """Detect the scale of the values of all or some spots, by the rules of :func:`recognise_values`."""
        spots = np.arange(len(self.totals)) if spots is None else spots
        if not self._fractional[spots].any():
            return "counts"
        if spots.size == self.totals.size and (certain := self.certain_kind()) is not None:
            return certain
        spots = spots[self.totals[spots] > 0]
        totals, n_detected = self.totals[spots], self.n_detected[spots]
        if _have_one_total(totals):
            return "normalized"
        if len(totals) >= _MIN_SPOTS_TO_RECOGNISE and np.ptp(n_detected) > 0:
            if stats.spearmanr(totals / n_detected, n_detected)[0] > _DEPTH_CORRELATION:
                return "counts"
        return "normalized" if self._largest_of_spot[spots].max(initial=0) > _LARGEST_LOG_VALUE else "log-normalized"

    def absent_genes(self, spots_of: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Find genes that are zero throughout a slice although the other slices make them expected.

        Parameters
        ----------
        spots_of
            Rows of each slice.

        Returns
        -------
        Whether each gene is expected in a slice, and whether it is expected and absent. ``(n_slices, n_genes)`` each.
        """
        assert self.detected is not None and self.spots_with_gene is not None
        counted = (self.totals > 0) & (np.arange(len(self.totals)) % self._step == 0)
        n_spots = np.array([np.count_nonzero(counted[spots]) for spots in spots_of], dtype=float)
        share = self.spots_with_gene / np.maximum(n_spots @ self.detected, 1)
        expected = n_spots[:, None] * share >= _N_SPOTS_EXPECTED
        return expected, expected & ~self.detected

    def _note_wrong(self, where: slice, block: sparse.csr_matrix) -> None:
        values = block.data
        for kind, found in (
            ("missing (NaN)", np.isnan(values)),
            ("infinite", np.isinf(values)),
            ("negative", values < 0),
        ):
            if found.any():
                first = int(found.argmax())
                row = where.start + int(np.searchsorted(block.indptr, first, side="right")) - 1
                count, *position = self._wrong.get(kind, (0, row, int(block.indices[first])))
                self._wrong[kind] = (count + int(found.sum()), position[0], position[1])


def summarize_values(matrix: Matrix, slices: np.ndarray | None = None) -> ValueSummary:
    """Summarise all values of a matrix in one pass. The summary of row blocks and dask arrays is cached.

    Parameters
    ----------
    matrix
        Expression. ``(n_spots, n_genes)``.
    slices
        Code of the slice of each spot, if genes are to be counted by slice. ``(n_spots,)``.

    Returns
    -------
    The summary.
    """
    rows = row_blocks(matrix)
    # Dask arrays do not change, and row blocks live no longer than the work on them; any array in memory may change.
    owner = rows.source if hasattr(rows.source, "dask") else rows
    key = id(owner)
    if slices is None and key in _summaries and _summaries[key][0]() is owner:
        return _summaries[key][1]
    summary = ValueSummary(slice(0, rows.shape[0]), rows.shape[1], slices)
    for where, block in rows:
        summary.add(where, block)
    _summaries[key] = (weakref.ref(owner, lambda _: _summaries.pop(key, None)), summary)
    return summary


# By identity, since dask arrays have no hash, and for as long as the owner lives.
_summaries: dict[int, tuple[weakref.ref, ValueSummary]] = {}


def _have_one_total(totals: np.ndarray, n_spots: int = 2) -> bool:
    totals = totals[totals > 0]
    return len(totals) >= n_spots and bool(np.ptp(totals) <= 1e-3 * totals.mean())


def _are_logarithms(sample: sparse.csr_matrix) -> bool:
    """Whether exponentials of values have one total in all spots, or are multiples of one number."""
    for base in (np.e, 2.0, 10.0):
        linear = sample.copy()
        linear.data = np.power(base, np.minimum(sample.data, 30.0)) - 1
        if _have_one_total(np.asarray(linear.sum(axis=1)).ravel(), _MIN_SPOTS_TO_RECOGNISE):
            return True
        multiples = linear.data / linear.data.min(initial=np.inf, where=linear.data > 0)
        if linear.nnz and (abs(multiples - np.rint(multiples)) <= 1e-3 * multiples).all():
            return True
    return False


def _reduced(function: np.ufunc, block: sparse.csr_matrix, values: np.ndarray, dtype: type) -> np.ndarray:
    """Reduce the values of each row of a CSR matrix; 0 for an empty row. ``(n_rows,)``."""
    result = np.zeros(block.shape[0], dtype=dtype)
    filled = np.flatnonzero(np.diff(block.indptr))
    if len(filled):
        result[filled] = function.reduceat(values, block.indptr[filled])
    return result
