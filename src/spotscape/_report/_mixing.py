"""Mixing of slices in a representation: their distances, and slices unlike all others."""

from typing import Any

import numpy as np

from spotscape._report._tissue import Tissue
from spotscape.novelty import NoveltyReference
from spotscape.preprocessing._subsample import evenly_spaced_rows

_N_SPOTS = 6000
_N_REFERENCE, _N_QUERIES = 1500, 300
#: A spot is unlike the other slices if it is farther from them than this share of their own spots from each other.
_NOVEL = 0.99
_MIN_SPOTS = 50


def before_and_after(tissue: Tissue, model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Rows of evenly spaced spots, their features before slices were corrected, and their representation.

    ``None`` if there is one slice, or no model with these data.
    """
    if model is None or tissue.n_slices < 2 or tissue.use_rep is None or model.adata is not tissue.adata:
        return None
    features = getattr(model._dataset(model.adata_manager), "features", None)
    before = getattr(features, "uncorrected", None)
    if before is None or not isinstance(before, np.ndarray):
        return None
    rows = evenly_spaced_rows(len(before), _N_SPOTS)
    return rows, before[rows], np.asarray(tissue.adata.obsm[tissue.use_rep])[rows]


def slice_shifts(values: np.ndarray, slices: np.ndarray, n_slices: int) -> np.ndarray:
    r"""Distance of each slice from the others, relative to the spread of spots within slices.

    .. math:: \frac{\|\bar z_s - \bar z_{-s}\|}{\sqrt{\operatorname{mean}_i \|z_i - \bar z_{s(i)}\|^2}}

    Parameters
    ----------
    values
        Representation. ``(n_spots, n_dimensions)``.
    slices
        Number of the slice of each spot. ``(n_spots,)``.
    n_slices
        Number of slices.

    Returns
    -------
    0 if a slice has the mean of the others. NaN for slices without spots. ``(n_slices,)``.
    """
    values = values.astype(np.float64)
    sizes = np.bincount(slices, minlength=n_slices).astype(float)
    sums = np.zeros((n_slices, values.shape[1]))
    np.add.at(sums, slices, values)
    means = sums / np.maximum(sizes, 1)[:, None]
    spread = np.sqrt(((values - means[slices]) ** 2).sum(axis=1).mean())
    others = (sums.sum(axis=0) - sums) / np.maximum(len(values) - sizes, 1)[:, None]
    shifts = np.linalg.norm(means - others, axis=1) / max(float(spread), 1e-12)
    return np.where(sizes > 0, shifts, np.nan)


def shares_unlike_others(tissue: Tissue) -> np.ndarray:
    """Share of the spots of each slice that are farther from all other slices than these from each other.

    The novelty of :meth:`spotscape.SPOTSCAPE.get_novelty`, with the other slices as reference. ``(n_slices,)``, NaN for
    slices of which too little is known.
    """
    shares = np.full(tissue.n_slices, np.nan)
    if tissue.n_slices < 2 or tissue.use_rep is None:
        return shares
    values = np.asarray(tissue.adata.obsm[tissue.use_rep])
    for code in range(tissue.n_slices):
        own, others = np.flatnonzero(tissue.slices == code), np.flatnonzero(tissue.slices != code)
        if min(len(own), len(others)) < _MIN_SPOTS:
            continue
        known = others[evenly_spaced_rows(len(others), _N_REFERENCE)]
        reference = NoveltyReference.fit(values[known], tissue.coordinates[known], tissue.slices[known])
        scores = reference.score(values[own[evenly_spaced_rows(len(own), _N_QUERIES)]])
        shares[code] = float((scores >= _NOVEL).mean())
    return shares
