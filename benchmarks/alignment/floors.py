"""What an alignment has to beat: matches by smoothed components, and positions without expression."""

import numpy as np
from anndata import AnnData
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors

from benchmarks.common.floors import floor_representation, scaled_expression

N_STARTS = 24
N_STEPS = 50
#: Every so many spots of the query are used to find the fit.
STRIDE = 3


def smoothed_components(pair: AnnData) -> np.ndarray:
    """Principal components of both slices after two averagings of expression. ``(n_spots, n_components)``."""
    scaled = scaled_expression(pair, "total_umi_full", slice_key="slice")
    return floor_representation(scaled, pair.obsm["spatial"], slices=pair.obs["slice"].to_numpy(str), n_hops=2)


def match_components(components: np.ndarray, reference: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Most similar reference spot of each query spot by components that are centred in each slice.

    Parameters
    ----------
    components
        Result of :func:`smoothed_components`.
    reference, query
        Rows of both slices.

    Returns
    -------
    Positions in ``reference``. ``(n_query,)``.
    """
    vectors = []
    for spots in (reference, query):
        centred = components[spots] - components[spots].mean(axis=0)
        vectors.append(centred / np.linalg.norm(centred, axis=1, keepdims=True))
    return NearestNeighbors(n_neighbors=1).fit(vectors[0]).kneighbors(vectors[1], return_distance=False)[:, 0]


def match_positions(reference: np.ndarray, query: np.ndarray, *, n_starts: int = N_STARTS) -> np.ndarray:
    """Nearest reference spot after the best rigid fit of positions, by iterated closest points.

    Parameters
    ----------
    reference, query
        Positions. ``(n_spots, 2)``.
    n_starts
        Angles to begin at, each with and without mirroring; the fit with the smallest mean squared distance is kept.
        ``1`` begins at the given orientation only, which is a gift: it is known for the sections, as they came.

    Returns
    -------
    Positions in ``reference``. ``(n_query,)``.
    """
    tree = cKDTree(reference)
    few = query[::STRIDE]
    fits = []
    for mirrored in (False,) if n_starts == 1 else (False, True):
        for angle in np.arange(n_starts) * 2 * np.pi / n_starts:
            matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            matrix = matrix @ np.diag([1.0, -1.0 if mirrored else 1.0])
            shift = reference.mean(axis=0) - matrix @ few.mean(axis=0)
            for _ in range(N_STEPS):
                moved = few @ matrix.T + shift
                nearest, back = tree.query(moved)[1], cKDTree(moved).query(reference)[1]
                # Only pairs that are nearest to each other, or a part that is missing would pull.
                mutual = np.flatnonzero(back[nearest] == np.arange(len(few)))
                matrix, shift = fit_rigid(few[mutual], reference[nearest[mutual]], mirrored=mirrored)
            distance = tree.query(few @ matrix.T + shift)[0]
            fits.append((float((distance**2).mean()), matrix, shift))
    _, matrix, shift = min(fits, key=lambda fit: fit[0])
    return tree.query(query @ matrix.T + shift)[1]


def fit_rigid(points: np.ndarray, targets: np.ndarray, *, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rotation, after mirroring or not, and shift that move points closest to targets :cite:p:`Umeyama1991`."""
    centre, target_centre = points.mean(axis=0), targets.mean(axis=0)
    left, _, right = np.linalg.svd((targets - target_centre).T @ (points - centre))
    matrix = (left * [1.0, np.sign(np.linalg.det(left @ right)) * (-1.0 if mirrored else 1.0)]) @ right
    return matrix, target_centre - matrix @ centre
