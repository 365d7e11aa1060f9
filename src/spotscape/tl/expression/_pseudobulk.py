"""Counts summed over the spots of a replicate in a domain."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from spotscape.tl.expression._counts import Counts


@dataclass(eq=False)
class PseudoBulk:
    """Samples of pooled spots.

    Parameters
    ----------
    samples
        One row per sample, with the columns that it was grouped by and ``n_spots``.
    counts
        Sum of the counts. ``(n_samples, n_genes)``.
    fractions
        Share of the spots with a count. ``(n_samples, n_genes)``.
    """

    samples: pd.DataFrame
    counts: np.ndarray
    fractions: np.ndarray

    def select(self, keep: np.ndarray) -> "PseudoBulk":
        """Return some samples, by a mask or by their numbers."""
        samples = self.samples.iloc[np.flatnonzero(keep) if keep.dtype == bool else keep]
        return PseudoBulk(samples.reset_index(drop=True), self.counts[keep], self.fractions[keep])


def make_pseudobulk(counts: Counts, keys: pd.DataFrame) -> PseudoBulk:
    """Sum the counts over all spots with the same keys.

    Parameters
    ----------
    counts
        Counts.
    keys
        Columns to group by. Spots with a missing key are left out. ``n_spots`` rows.

    Returns
    -------
    One sample per combination of keys that occurs.
    """
    known = keys.notna().all(axis=1).to_numpy()
    codes = np.full(len(keys), -1)
    grouped = keys[known].reset_index(drop=True).astype(str).groupby(list(keys.columns), sort=True)
    codes[known] = grouped.ngroup()
    sizes = np.bincount(codes[known])
    samples = grouped.size().rename("n_spots").reset_index()
    members = sparse.csr_matrix(
        (np.ones(known.sum()), (codes[known], np.flatnonzero(known))), shape=(len(sizes), len(keys))
    )
    detected = counts.matrix.copy()
    detected.data = (detected.data > 0).astype(np.float64)
    sums = (members @ counts.matrix.astype(np.float64)).toarray()
    return PseudoBulk(samples, sums, (members @ detected).toarray() / sizes[:, None])
