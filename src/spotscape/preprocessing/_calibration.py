"""From predicted log expression to expected counts: a Poisson regression with two numbers for each gene."""

import numpy as np

# Of how many molecules a gene must differ before it is believed: the ridge penalty of a standardised slope.
_MOLECULES_AGAINST = 30.0
_MAX_STEP = 1.0
_MAX_ITERATIONS = 25


def fit_count_calibration(predicted: np.ndarray, counts: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    r"""Learn how expected counts follow from predicted log expression, gene by gene.

    With prediction :math:`y_{ig}`, counts :math:`x_{ig}` and exposure :math:`e_i`

    .. math::

        x_{ig} \sim \mathrm{Poisson}\left(e_i \exp(a_g + b_g y_{ig})\right), \qquad b_g \ge 0

    with a ridge penalty on the slope of the standardised prediction, so that genes with few molecules stay the same
    everywhere. For any slope the best intercept makes the total of the gene right, which leaves one equation for each
    gene, with one solution.

    Parameters
    ----------
    predicted
        Predicted log expression. ``(n_spots, n_genes)``.
    counts
        What was counted. ``(n_spots, n_genes)``.
    exposure
        What counts are proportional to, such as library sizes. ``(n_spots,)``.

    Returns
    -------
    Intercepts :math:`a_g`, slopes :math:`b_g` and largest predictions, beyond which nothing was learnt; float32 of
    shape ``(3, n_genes)``. The intercept of a gene without a molecule is :math:`-\infty`, which makes it 0 everywhere.
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
    """Expected counts at exposure 1, in place of the predicted log expression. ``(n_spots, n_genes)``.

    Parameters
    ----------
    predicted
        Predicted log expression, which is overwritten. ``(n_spots, n_genes)``.
    calibration
        As :func:`fit_count_calibration` returns it. ``(3, n_genes)``.
    """
    intercept, slope, highest = calibration
    np.minimum(predicted, highest, out=predicted)
    predicted *= slope
    predicted += intercept
    return np.exp(predicted, out=predicted)


def _moments(standard: np.ndarray, slope: np.ndarray, exposure: np.ndarray) -> tuple[np.ndarray, ...]:
    """Sum of the weights ``exposure * exp(slope * standard)``, and mean and variance of the predictions under them."""
    weights = np.exp(standard * slope.astype(standard.dtype))
    weights *= exposure[:, None].astype(standard.dtype)
    size = np.maximum(weights.sum(axis=0, dtype=np.float64), np.finfo(np.float32).tiny)
    weights *= standard
    expected = weights.sum(axis=0, dtype=np.float64) / size
    weights *= standard
    return size, expected, np.maximum(weights.sum(axis=0, dtype=np.float64) / size - expected**2, 0)
