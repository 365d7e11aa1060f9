"""Some of many spots, for what need not see all."""

import numpy as np
from numpy.typing import NDArray


def evenly_spaced_rows(n_spots: int, n_most: int) -> NDArray[np.intp]:
    """Row numbers of at most ``n_most`` of ``n_spots`` spots, in even steps. Rising, ``(min(n_spots, n_most),)``."""
    return np.linspace(0, n_spots - 1, min(n_spots, n_most)).astype(np.intp)
