"""Division of slices into compact patches."""

import numpy as np
from numpy.typing import NDArray


def cut_into_patches(
    coordinates: NDArray[np.floating], slices: NDArray[np.integer], patch_size: int
) -> list[NDArray[np.int64]]:
    """Divide each slice into compact patches with nearly the same number of spots.

    A slice is halved across its longer side until the patches are small enough. The sizes of the patches of a slice
    differ by one spot at most. Successive patches are close to each other. The patches do not depend on the order of
    the spots, except for spots at the same position.

    Parameters
    ----------
    coordinates
        Coordinates of the spots. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    slices
        Slice code of each spot. ``(n_spots,)``.
    patch_size
        Target number of spots per patch. A slice with ``n`` spots has ``n / patch_size`` patches, rounded, and at least
        one.

    Returns
    -------
    Row numbers of the spots of each patch.

    Examples
    --------
    >>> import numpy as np
    >>> import spotscape as sps
    >>> coordinates = np.column_stack([np.arange(10), np.zeros(10)])
    >>> patches = sps.graph.cut_into_patches(coordinates, np.zeros(10, dtype=int), patch_size=5)
    >>> [sorted(patch.tolist()) for patch in patches]
    [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    """
    positions = np.asarray(coordinates, dtype=np.float64)
    patches: list[NDArray[np.int64]] = []
    by_slice = np.argsort(slices, kind="stable").astype(np.int64)
    for spots in np.split(by_slice, np.flatnonzero(np.diff(slices[by_slice])) + 1):
        pieces = [(spots, max(1, round(len(spots) / patch_size)))]
        while pieces:
            piece, n_patches = pieces.pop()
            if n_patches == 1:
                patches.append(piece)
                continue
            inside = positions[piece]
            along = inside[:, np.argmax(np.ptp(inside, axis=0))]
            n_first = n_patches // 2
            # In proportion to the patches they will become, so that these come out equal.
            cut = round(len(piece) * n_first / n_patches)
            order = np.argpartition(along, cut)
            pieces += [(piece[order[cut:]], n_patches - n_first), (piece[order[:cut]], n_first)]
    return patches
