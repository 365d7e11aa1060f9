"""Small pieces of tissue, of which a batch takes many from everywhere."""

import numpy as np
from numpy.typing import NDArray


def cut_into_patches(
    coordinates: NDArray[np.floating], slices: NDArray[np.integer], patch_size: int
) -> list[NDArray[np.int64]]:
    """Cut every slice into compact patches of nearly the same number of spots.

    A slice is halved across its longer side until the pieces are small enough. Patches of a slice differ by one spot at
    most, lie in an order in which neighbours are near each other, and do not depend on the order of the spots, those at
    the same position aside.

    Parameters
    ----------
    coordinates
        Positions of the spots. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    slices
        Slice code of each spot. ``(n_spots,)``.
    patch_size
        Number of spots a patch should have. A slice of ``n`` spots gives ``n / patch_size`` patches, rounded, but at
        least one.

    Returns
    -------
    Row numbers of the spots of each patch.
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
