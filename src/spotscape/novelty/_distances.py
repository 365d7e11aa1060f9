"""How far spots lie from those that a model was trained on."""

from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from spotscape.graph._patches import cut_into_patches

_N_NEAREST = 5
_N_PIECES = 8


def distances_between_pieces(latent: np.ndarray, coordinates: np.ndarray, slices: np.ndarray) -> np.ndarray:
    """Distance of training spots to the nearest ones of other pieces of tissue.

    The tissue is cut into at least eight pieces, each within one slice. The nearest spots of the same piece do not
    count: they see the same neighbours, so that they are closer than any spot of another section could be.

    Parameters
    ----------
    latent
        Latent representation of training spots. ``(n_spots, n_latent)``.
    coordinates
        Their positions. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    slices
        Their slice codes. ``(n_spots,)``.

    Returns
    -------
    Mean distances to the five nearest spots of other pieces, ascending. ``(n_spots,)``.
    """
    distances = np.empty(len(latent))
    for piece in cut_into_patches(coordinates, slices, max(1, len(latent) // _N_PIECES)):
        others = np.delete(latent, piece, axis=0)
        # All spots are one piece where there are hardly any.
        distances[piece] = distances_to_nearest(latent[piece], others if len(others) else latent)
    return np.sort(distances)


def distances_to_nearest(latent: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Mean distance of spots to the five nearest spots of a reference.

    Parameters
    ----------
    latent
        Latent representation. ``(n_spots, n_latent)``.
    reference
        Latent representation of the reference; all of its spots count where there are fewer than five.
        ``(n_reference, n_latent)``.

    Returns
    -------
    ``(n_spots,)``.
    """
    search: Any = NearestNeighbors(n_neighbors=min(_N_NEAREST, len(reference))).fit(reference)
    return search.kneighbors(latent)[0].mean(axis=1)


def novelty(latent: np.ndarray, reference: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Share of training spots that lie nearer to the rest of the training spots than each spot does.

    Parameters
    ----------
    latent
        Latent representation of spots. ``(n_spots, n_latent)``.
    reference
        That of training spots. ``(n_reference, n_latent)``.
    distances
        Result of :func:`distances_between_pieces` for these. ``(n_reference,)``.

    Returns
    -------
    From 0 to 1. ``(n_spots,)``.
    """
    return np.searchsorted(distances, distances_to_nearest(latent, reference)) / len(distances)
