"""Mixing of slices in a representation: neighbours from other slices, compared with chance."""

from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from spotscape._report._tissue import Tissue
from spotscape.graph import cut_into_patches
from spotscape.novelty import NoveltyReference
from spotscape.preprocessing._subsample import evenly_spaced_rows

_N_SPOTS = 6000
_N_NEIGHBORS = 30
_N_REGIONS = 8
_N_REFERENCE, _N_QUERIES = 3000, 500
#: A spot is unlike the other slices if it is farther from them than this share of their own spots from each other.
_NOVEL = 0.99
_MIN_SPOTS = 50


def before_and_after(tissue: Tissue, model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Rows of evenly spaced spots, their features before slices were corrected, and their representation.

    ``None`` if there is one slice, or no model with these data.
    """
    if tissue.n_slices < 2 or tissue.use_rep is None or getattr(model, "adata", None) is not tissue.adata:
        return None
    features = getattr(model._dataset(model.adata_manager), "features", None)
    before = getattr(features, "uncorrected", None)
    if before is None or not isinstance(before, np.ndarray):
        return None
    rows = evenly_spaced_rows(len(before), _N_SPOTS)
    return rows, before[rows], np.asarray(tissue.adata.obsm[tissue.use_rep])[rows]


def slice_mixing(values: np.ndarray, slices: np.ndarray, coordinates: np.ndarray, n_slices: int) -> np.ndarray:
    """Share of the 30 nearest neighbours from other slices, relative to the share expected by chance, for each slice.

    Spots of the same region, an eighth of a slice, are not counted: they share neighbours in the tissue, and are thus
    close in any representation that includes these.

    Parameters
    ----------
    values
        Representation. ``(n_spots, n_dimensions)``.
    slices
        Number of the slice of each spot. ``(n_spots,)``.
    coordinates
        Position of each spot. ``(n_spots, 2)``.
    n_slices
        Number of slices.

    Returns
    -------
    0 if slices are separate, 1 if they are mixed as by chance. ``(n_slices,)``.
    """
    observed, by_chance = np.zeros(n_slices), np.zeros(n_slices)
    for code in np.unique(slices):
        own = np.flatnonzero(slices == code)
        for region in cut_into_patches(coordinates[own], np.zeros(len(own), int), max(1, len(own) // _N_REGIONS)):
            spots = own[region]
            others = np.delete(np.arange(len(values)), spots)
            if not len(others):
                continue
            search = NearestNeighbors(n_neighbors=min(_N_NEIGHBORS, len(others))).fit(values[others])
            nearest = others[search.kneighbors(values[spots], return_distance=False)]
            observed[code] += (slices[nearest] != code).mean(axis=1).sum()
            by_chance[code] += (slices[others] != code).mean() * len(spots)
    return observed / np.maximum(by_chance, 1e-12)


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
