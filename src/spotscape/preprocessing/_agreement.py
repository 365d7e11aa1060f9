"""Agreement of two modalities, and of slices, measured without labels."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline

_PENALTIES = np.logspace(0, 4, 9)
_N_PREDICTORS = 8


def explained_share(
    predictors: NDArray[np.float32],
    targets: NDArray[np.float32],
    coordinates: NDArray[np.float64],
    slices: NDArray[np.str_],
) -> float:
    r"""Fraction of the variance of one modality that another one predicts in held-out regions.

    .. math:: R^2 = 1 - \frac{\sum_i |y_i - \hat y_i|^2}{\sum_i |y_i - \bar y_i|^2}

    Each slice is divided into quarters at the medians of its coordinates. The targets :math:`y` of one quarter of all
    slices are predicted by ridge regression on the other three quarters, whose mean is :math:`\bar y`. The predictors
    are at most 8 leading principal components, so the result does not depend on the number of weak components. Random
    spots cannot be held out, because their neighbours would predict them.

    Parameters
    ----------
    predictors, targets
        Features of two modalities. ``(n_spots, n_features)`` each.
    coordinates
        Coordinates, of which the first two are used. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    slices
        Slice of each spot. ``(n_spots,)``.

    Returns
    -------
    :math:`R^2`, at most 1. It is 0 or less if nothing is predicted, and 0 if there are too few spots.
    """
    quarter = np.zeros(len(targets), dtype=np.int64)
    for name in np.unique(slices):
        rows = slices == name
        beyond = coordinates[rows, :2] > np.median(coordinates[rows, :2], axis=0)
        quarter[rows] = beyond @ np.array([1, 2])
    error = total = 0.0
    for held_out in range(4):
        there = quarter == held_out
        if there.all() or (~there).sum() < 3 or not there.any():
            return 0.0
        n_components = min(_N_PREDICTORS, predictors.shape[1], int((~there).sum()) - 1)
        regression = make_pipeline(PCA(n_components, svd_solver="full"), RidgeCV(_PENALTIES))
        predicted = regression.fit(predictors[~there], targets[~there]).predict(predictors[there])
        error += float(((targets[there] - predicted) ** 2).sum())
        total += float(((targets[there] - targets[~there].mean(axis=0)) ** 2).sum())
    return 1 - error / total if total > 0 else 0.0


def slice_mixing(values: NDArray[np.floating], slices: NDArray[np.str_], *, n_neighbors: int = 30) -> float:
    r"""Mixing of slices: fraction of nearest neighbours from other slices, relative to random mixing.

    .. math:: \frac{\frac{1}{n k} \sum_i |\{j \in N_k(i) : s_j \ne s_i\}|}{1 - \sum_s p_s^2}

    with the :math:`k` nearest neighbours :math:`N_k(i)` of a spot, its slice :math:`s_i` and the fractions :math:`p_s`
    of the slices.

    Parameters
    ----------
    values
        Representation or features. ``(n_spots, n_dimensions)``.
    slices
        Slice of each spot. ``(n_spots,)``.
    n_neighbors
        :math:`k`, limited to the number of other spots.

    Returns
    -------
    0 if slices are separated, about 1 if they are mixed or there is only one.
    """
    names, codes = np.unique(slices, return_inverse=True)
    if len(names) < 2:
        return 1.0
    n_neighbors = min(n_neighbors, len(codes) - 1)
    nearest = NearestNeighbors(n_neighbors=n_neighbors).fit(values).kneighbors(return_distance=False)
    shares = np.bincount(codes) / len(codes)
    return float((codes[nearest] != codes[:, None]).mean() / (1 - (shares**2).sum()))
