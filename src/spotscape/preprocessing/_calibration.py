"""Expected counts from predicted log expression: a Poisson regression with two parameters per gene."""

import numpy as np

# Of how many molecules a gene must differ before it is believed: the ridge penalty of a standardised slope.
_MOLECULES_AGAINST = 30.0
_MAX_STEP = 1.0
_MAX_ITERATIONS = 25


def fit_count_calibration(predicted: np.ndarray, counts: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    r"""Fit the expected counts of each gene, given its predicted log expression.

    With the prediction :math:`y_{ig}`, the counts :math:`x_{ig}` and the exposure :math:`e_i`,

    .. math::

        x_{ig} \sim \mathrm{Poisson}\left(e_i \exp(a_g + b_g y_{ig})\right), \qquad b_g \ge 0

    with a ridge penalty on the slope of the standardised prediction, so that genes with few counts have nearly the same
    expected expression in all spots. For each slope, the optimal intercept reproduces the total of the gene. The slope
    is found by Newton's method.

    Parameters
    ----------
    predicted
        Predicted log expression. ``(n_spots, n_genes)``.
    counts
        Observed counts. ``(n_spots, n_genes)``.
    exposure
        Factor that the expected counts are proportional to, such as the library size. ``(n_spots,)``.

    Returns
    -------
    Intercepts :math:`a_g`, slopes :math:`b_g` and maximum predictions, float32. The intercept of a gene without counts
    is :math:`-\infty`. ``(3, n_genes)``.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.preprocessing import apply_count_calibration, fit_count_calibration
    >>> counts = np.random.default_rng(0).poisson([[2.0, 0.5]] * 100)
    >>> calibration = fit_count_calibration(np.zeros((100, 2)), counts, exposure=np.ones(100))
    >>> np.allclose(np.exp(calibration[0]), counts.mean(axis=0))
    True
    """
    highest = predicted.max(axis=0)
    mean, deviation = predicted.mean(axis=0), predicted.std(axis=0)
    varies = deviation > 1e-6
    deviation = np.where(varies, deviation, 1)
    standard = (predicted - mean) / deviation
    total = counts.sum(axis=0, dtype=np.float64)
    seen = np.einsum("ig,ig->g", counts, standard, dtype=np.float64)
    slope = np.zeros(len(total))
    for _ in range(_MAX_ITERATIONS):
        size, expected, variance = _moments(standard, slope, exposure)
        gradient = seen - total * expected - _MOLECULES_AGAINST * slope
        step = np.clip(gradient / (total * variance + _MOLECULES_AGAINST), -_MAX_STEP, _MAX_STEP)
        # A negative slope would turn the decoder's order of the spots around.
        new = np.where(varies, np.maximum(slope + step, 0), 0)
        moved = np.abs(new - slope).max(initial=0)
        slope = new
        if moved < 1e-3:
            break
    size, _, _ = _moments(standard, slope, exposure)
    with np.errstate(divide="ignore"):
        intercept = np.log(total) - np.log(size) - slope * mean / deviation
    return np.stack([intercept, slope / deviation, highest]).astype(np.float32)


def apply_count_calibration(predicted: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Compute expected counts at exposure 1 from predicted log expression.

    Parameters
    ----------
    predicted
        Predicted log expression, which is overwritten by the result. It is limited to the maximum prediction of the
        fit. ``(n_spots, n_genes)``.
    calibration
        Result of :func:`fit_count_calibration`. ``(3, n_genes)``.

    Returns
    -------
    Expected counts. ``(n_spots, n_genes)``.

    Examples
    --------
    >>> import numpy as np
    >>> from spotscape.preprocessing import apply_count_calibration
    >>> calibration = np.array([[0.0], [2.0], [1.5]])
    >>> apply_count_calibration(np.array([[0.0], [0.5], [3.0]]), calibration).ravel()
    array([ 1.    ,  2.7183, 20.0855])
    """
    intercept, slope, highest = calibration
    np.minimum(predicted, highest, out=predicted)
    predicted *= slope
    predicted += intercept
    return np.exp(predicted, out=predicted)


def _moments(standard: np.ndarray, slope: np.ndarray, exposure: np.ndarray) -> tuple[np.ndarray, ...]:
    """Sum of the weights ``exposure * exp(slope * standard)``, and weighted mean and variance of the predictions."""
    weights = np.exp(standard * slope.astype(standard.dtype))
    weights *= exposure[:, None].astype(standard.dtype)
    size = np.maximum(weights.sum(axis=0, dtype=np.float64), np.finfo(np.float32).tiny)
    weights *= standard
    expected = weights.sum(axis=0, dtype=np.float64) / size
    weights *= standard
    return size, expected, np.maximum(weights.sum(axis=0, dtype=np.float64) / size - expected**2, 0)
