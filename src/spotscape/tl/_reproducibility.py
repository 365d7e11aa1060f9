"""Agreement of partitions between two halves of a tissue."""

import numpy as np

from spotscape.cluster import SharedCovarianceMixture
from spotscape.cluster._partitions import mixture_posteriors
from spotscape.metrics import adjusted_rand_index

#: Blocks along each side of a slice, used alternately. Large blocks separate the halves better; small blocks leave
#: parts of each domain in both halves.
BLOCKS_PER_SIDE = (4, 8)


def draw_spatial_halves(
    coordinates: np.ndarray | None, slices: np.ndarray, n_per_side: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw a random half of each slice in square blocks.

    Neighbouring spots have nearly the same representation. Random halves of single spots would therefore be nearly
    identical, and any partition would be reproducible; halves of blocks are independent :cite:p:`Roberts2017`.

    Parameters
    ----------
    coordinates
        Positions of the spots, or ``None`` for halves of single spots. ``(n_spots, 2)``.
    slices
        Slice of each spot. ``(n_spots,)``.
    n_per_side
        Number of blocks along a side of a square with the area of the slice. The grid is rotated and shifted at random.
    rng
        Random generator.

    Returns
    -------
    Whether each spot is in the first half. ``(n_spots,)``.
    """
    first = np.zeros(len(slices), dtype=bool)
    for name in np.unique(slices):
        spots = np.flatnonzero(slices == name)
        if coordinates is None:
            block = np.arange(len(spots))
        else:
            block = _blocks(coordinates[spots], n_per_side, rng)
        n_in_block = np.bincount(block)
        drawn = rng.permutation(len(n_in_block))
        is_drawn = np.zeros(len(n_in_block), dtype=bool)
        is_drawn[drawn[np.cumsum(n_in_block[drawn]) <= len(spots) / 2]] = True
        first[spots] = is_drawn[block]
    return first


def _blocks(coordinates: np.ndarray, n_per_side: int, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, np.pi)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rotated = (coordinates - coordinates.mean(axis=0)) @ rotation
    extent = np.ptp(rotated, axis=0)
    # Spots on a line cover no area; their blocks are segments of the line.
    side = (np.sqrt(extent.prod()) if extent.min() > 0 else extent.max()) / n_per_side or 1.0
    cells = np.floor((rotated + rng.uniform(0, side, 2)) / side).astype(np.int64)
    return np.unique(cells, axis=0, return_inverse=True)[1].ravel()


def split_half_agreement(scores: np.ndarray, first: np.ndarray, n_domains: int, n_init: int, seed: int) -> float:
    """Cluster each half, predict its domains in the other half, and compare them with those found there.

    Parameters
    ----------
    scores
        At most 12 principal components. ``(n_spots, n_components)``.
    first
        Whether each spot is in the first half. ``(n_spots,)``.
    n_domains, n_init, seed
        As in :func:`spotscape.tl.domains`.

    Returns
    -------
    Adjusted Rand index, averaged over both directions.
    """
    halves = [scores[first], scores[~first]]
    affinities = [mixture_posteriors(half, n_domains, n_init, seed) for half in halves]
    mixtures = [
        SharedCovarianceMixture.from_memberships(half, membership)
        for half, membership in zip(halves, affinities, strict=True)
    ]
    agreements = [
        adjusted_rand_index(affinities[to].argmax(axis=1), mixtures[of].predict(halves[to]))
        for of, to in ((0, 1), (1, 0))
    ]
    return float(np.mean(agreements))
