"""Reference of training spots, with which the novelty of other spots is computed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from spotscape.graph._patches import cut_into_patches

_N_NEAREST = 5
_N_PIECES = 8
_N_ROWS = 64


class NoveltyReference:
    """Latent representation of training spots, and their distances to each other, for computing novelty.

    Parameters
    ----------
    latent
        Latent representation of the training spots. ``(n_reference, n_latent)``.
    distances
        For each of these spots, the mean distance to its five nearest training spots in other regions, sorted in
        ascending order. ``(n_reference,)``.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.novelty import NoveltyReference
    >>> generator = np.random.default_rng(0)
    >>> latent, coordinates = generator.normal(size=(200, 4)), generator.uniform(size=(200, 2))
    >>> reference = NoveltyReference.fit(latent, coordinates, slices=np.zeros(200, dtype=int))
    >>> reference.score(np.array([[0.0, 0.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]]))
    array([0.09, 1.  ])
    """

    def __init__(self, latent: NDArray[np.float32], distances: NDArray[np.float64]):
        self.latent = latent
        self.distances = distances

    @classmethod
    def fit(
        cls, latent: NDArray[np.float32], coordinates: NDArray[Any], slices: NDArray[np.integer]
    ) -> "NoveltyReference":
        """Compute the distances between training spots of different regions.

        Each slice is divided into compact regions, with about an eighth of the spots or less. Spots of the same region
        are not compared: they share neighbours, and are therefore closer to each other than to spots of any other
        section.

        Parameters
        ----------
        latent
            Latent representation of the training spots. ``(n_spots, n_latent)``.
        coordinates
            Coordinates of the spots. ``(n_spots, 2)`` or ``(n_spots, 3)``.
        slices
            Slice code of each spot. ``(n_spots,)``.

        Returns
        -------
        The reference.
        """
        distances = np.empty(len(latent))
        for piece in cut_into_patches(coordinates, slices, max(1, len(latent) // _N_PIECES)):
            if len(piece) == len(latent):
                # With very few spots, all of them are one piece.
                distances[piece] = distances_to_nearest(latent, latent)
                continue
            n_nearest = min(_N_NEAREST, len(latent) - len(piece))
            # Search trees of thousands of small pieces would take a minute, and matrices of large ones much memory.
            for rows in np.array_split(piece, -(-len(piece) // _N_ROWS)):
                apart = cdist(latent[rows], latent)
                apart[:, piece] = np.inf
                distances[rows] = np.partition(apart, n_nearest - 1, axis=1)[:, :n_nearest].mean(axis=1)
        return cls(latent, np.sort(distances))

    def score(self, latent: NDArray[np.float32]) -> NDArray[np.float64]:
        """Novelty of spots: the fraction of the reference spots with a smaller distance to the reference.

        Parameters
        ----------
        latent
            Latent representation. ``(n_spots, n_latent)``.

        Returns
        -------
        Novelty, from 0 to 1. ``(n_spots,)``.
        """
        return np.searchsorted(self.distances, distances_to_nearest(latent, self.latent)) / len(self.distances)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """The two arrays of the reference, as a dictionary."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, NDArray[Any]]) -> "NoveltyReference":
        """Restore a reference from the result of :meth:`get_state`."""
        return cls(**state)


def distances_to_nearest(latent: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.float64]:
    """Mean distance of each spot to its five nearest reference spots, or to all if there are fewer. ``(n_spots,)``."""
    search: Any = NearestNeighbors(n_neighbors=min(_N_NEAREST, len(reference))).fit(reference)
    return search.kneighbors(latent)[0].mean(axis=1)
