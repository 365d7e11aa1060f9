"""Stored training spots, against which the novelty of other spots is measured."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from spotscape.graph._patches import cut_into_patches

_N_NEAREST = 5
_N_PIECES = 8


class NoveltyReference:
    """Latent representation of training spots, and how far these are from training spots elsewhere in the tissue.

    Parameters
    ----------
    latent
        Latent representation. ``(n_reference, n_latent)``.
    distances
        Mean distance of each of these spots to the five nearest ones of other pieces of tissue, ascending.
        ``(n_reference,)``.
    """

    def __init__(self, latent: NDArray[np.float32], distances: NDArray[np.float64]):
        self.latent = latent
        self.distances = distances

    @classmethod
    def fit(
        cls, latent: NDArray[np.float32], coordinates: NDArray[Any], slices: NDArray[np.integer]
    ) -> "NoveltyReference":
        """Measure the distances between pieces of the tissue.

        The tissue is cut into at least eight pieces, each within one slice. Spots of the same piece are not compared:
        they share neighbours, and so are closer to each other than any spot of another section could be.

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
        The reference.
        """
        distances = np.empty(len(latent))
        for piece in cut_into_patches(coordinates, slices, max(1, len(latent) // _N_PIECES)):
            others = np.delete(latent, piece, axis=0)
            # With very few spots, all of them are one piece.
            distances[piece] = distances_to_nearest(latent[piece], others if len(others) else latent)
        return cls(latent, np.sort(distances))

    def score(self, latent: NDArray[np.float32]) -> NDArray[np.float64]:
        """Share of the reference that is closer to the rest of the reference than each spot is to it, from 0 to 1.

        Parameters
        ----------
        latent
            Latent representation. ``(n_spots, n_latent)``.

        Returns
        -------
        ``(n_spots,)``.
        """
        return np.searchsorted(self.distances, distances_to_nearest(latent, self.latent)) / len(self.distances)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Everything needed to rebuild the reference, as arrays."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, NDArray[Any]]) -> "NoveltyReference":
        """Rebuild from :meth:`get_state`."""
        return cls(**state)


def distances_to_nearest(latent: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.float64]:
    """Mean distance of spots to the five nearest spots of a reference, or to all of fewer. ``(n_spots,)``."""
    search: Any = NearestNeighbors(n_neighbors=min(_N_NEAREST, len(reference))).fit(reference)
    return search.kneighbors(latent)[0].mean(axis=1)
