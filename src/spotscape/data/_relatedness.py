"""Whether two modalities speak of the same tissue, told without labels."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

_PENALTIES = np.logspace(0, 4, 9)
_N_PREDICTORS = 8


def explained_share(
    predictors: NDArray[np.float32],
    targets: NDArray[np.float32],
    coordinates: NDArray[np.float64],
    slices: NDArray[np.str_],
) -> float:
    r"""Share of the variance of one modality that another one predicts in parts of the tissue that were held out.

    .. math:: R^2 = 1 - \frac{\sum_i |y_i - \hat y_i|^2}{\sum_i |y_i - \bar y_i|^2}

    Each slice is cut into quarters at the medians of its coordinates. The targets :math:`y` of a quarter of all slices
    are predicted by ridge regression on the other three, whose mean is :math:`\bar y`, from at most 8 leading
    principal components of the predictors: so it does not hang on how many weak ones come along. Quarters, since the
    neighbours of a spot would give it away.

    Parameters
    ----------
    predictors, targets
        Features of two modalities. ``(n_spots, n_features)`` each.
    coordinates
        Positions, of which the first two count. ``(n_spots, 2)`` or ``(n_spots, 3)``.
    slices
        Slice of each spot. ``(n_spots,)``.

    Returns
    -------
    :math:`R^2`: 1 if all is predicted, 0 or less if nothing is, or if there are too few spots to tell.
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
