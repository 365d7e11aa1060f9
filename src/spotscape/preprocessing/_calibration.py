"""Expected counts from predicted log expression: a Poisson regression with two parameters per gene."""

import numpy as np

# Of half the squared slope of the standardised prediction, in counts: a gene needs some tens of counts to vary.
_RIDGE_PENALTY = 30.0
_MAX_STEP = 1.0
_MAX_ITERATIONS = 100
_TOLERANCE = 1e-3


def fit_count_calibration(predicted: np.ndarray, counts: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    r"""Fit the expected counts of each gene, given its predicted log expression.

    With the prediction :math:`y_{ig}`, the counts :math:`x_{ig}` and the exposure :math:`e_i`,

    .. math::

        x_{ig} \sim \mathrm{Poisson}\left(e_i \exp(a_g + b_g y_{ig})\right), \qquad b_g \ge 0

    with a ridge penalty on the slope of the standardised prediction, so that genes with few counts have nearly the same
    expected expression in all spots. For each slope, the optimal intercept reproduces the total of the gene. The
    remaining function of the slope is concave, so its derivative has one zero, which lies between the largest slope
    with a positive derivative and the smallest with a negative one. Newton's method finds it; a step that leaves this
    interval is replaced by its middle, without which the method oscillates for genes that few spots express strongly.

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
    slope, low, high = np.zeros(len(total)), np.zeros(len(total)), np.full(len(total), np.inf)
    active = np.flatnonzero(varies & (total > 0))
    for _ in range(_MAX_ITERATIONS):
        if not len(active):
            break
        at = slope[active]
        # Columns are copied only when there are far fewer.
        values = standard if len(active) == standard.shape[1] else standard[:, active]
        _, expected, variance = _moments(values, at, exposure)
        gradient = seen[active] - total[active] * expected - _RIDGE_PENALTY * at
        low[active] = np.where(gradient > 0, at, low[active])
        high[active] = np.where(gradient <= 0, at, high[active])
        step = np.clip(gradient / (total[active] * variance + _RIDGE_PENALTY), -_MAX_STEP, _MAX_STEP)
        # A negative slope would turn the decoder's order of the spots around, so no slope is below 0.
        new = np.maximum(at + step, 0)
        goes_on = np.abs(new - at) >= _TOLERANCE
        outside = goes_on & ((new <= low[active]) | (new >= high[active])) & (high[active] > 0)
        new[outside] = (low[active] + high[active])[outside] / 2
        slope[active] = new
        active = active[goes_on]
    log_size, _, _ = _moments(standard, slope, exposure)
    with np.errstate(divide="ignore"):
        intercept = np.log(total) - log_size - slope * mean / deviation
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
    """Log of the sum of the weights ``exposure * exp(slope * standard)``, and weighted mean and variance."""
    slope = slope.astype(standard.dtype)
    # Relative to the largest, so that no weight overflows. Slopes are not negative.
    largest = slope * standard.max(axis=0)
    weights = np.exp(standard * slope - largest)
    weights *= exposure[:, None].astype(standard.dtype)
    size = np.maximum(weights.sum(axis=0, dtype=np.float64), np.finfo(np.float64).tiny)
    weights *= standard
    expected = weights.sum(axis=0, dtype=np.float64) / size
    weights *= standard
    variance = np.maximum(weights.sum(axis=0, dtype=np.float64) / size - expected**2, 0)
    return np.log(size) + largest, expected, variance
