"""Subsampling of spots."""

import numpy as np
from numpy.typing import NDArray


def evenly_spaced_rows(n_spots: int, n_most: int) -> NDArray[np.intp]:
    """At most ``n_most`` evenly spaced row numbers out of ``n_spots``, ascending. ``(min(n_spots, n_most),)``."""
    return np.linspace(0, n_spots - 1, min(n_spots, n_most)).astype(np.intp)
