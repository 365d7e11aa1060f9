"""Linear models of log counts per million with moderated variances, for few replicates."""

from typing import NamedTuple

import numpy as np
from scipy import optimize, stats
from scipy.special import betaln

#: Counts that are added to each gene of a sample of mean library size before the logarithm.
PRIOR_COUNT = 2.0
# The prior variance follows the mean expression where there are enough genes to fit a curve.
_MIN_GENES_FOR_TREND = 50
_MIN_GENES_FOR_PRIOR = 10
_MIN_GENES_FOR_RATIOS = 10
_LOG_PRIOR_DF = (float(np.log(0.5)), float(np.log(200.0)))


class ModeratedTest(NamedTuple):
    """Result of a moderated t test, ``(n_genes,)`` each."""

    effect: np.ndarray
    standard_error: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray
    prior_df: float


def effective_library_sizes(counts: np.ndarray) -> np.ndarray:
    r"""Total of each sample times a factor that makes most genes equal between samples.

    The factor is the median, over the genes with counts in all samples, of the ratio to the geometric mean
    :cite:p:`Anders2010`, so that a few strongly changed genes do not shift all others. With fewer than ten such genes,
    the totals are returned.

    Parameters
    ----------
    counts
        Counts. ``(n_samples, n_genes)``.

    Returns
    -------
    Library sizes with the geometric mean of the totals. ``(n_samples,)``.
    """
    totals = counts.sum(axis=1)
    everywhere = (counts > 0).all(axis=0)
    if everywhere.sum() < _MIN_GENES_FOR_RATIOS:
        return totals
    logs = np.log(counts[:, everywhere])
    factors = np.median(logs - logs.mean(axis=0), axis=1)
    return np.exp(factors - factors.mean() + np.log(totals).mean())


def log_cpm(counts: np.ndarray, library_sizes: np.ndarray) -> np.ndarray:
    """Log2 counts per million, with a prior count in proportion to the library size. ``(n_samples, n_genes)``."""
    prior = PRIOR_COUNT * library_sizes / library_sizes.mean()
    return np.log2((counts + prior[:, None]) / (library_sizes + 2 * prior)[:, None] * 1e6)


def is_expressed(counts: np.ndarray, min_counts: float, n_samples: int) -> np.ndarray:
    """Whether each gene has as many counts per million as ``min_counts`` in a median sample, in enough samples."""
    totals = counts.sum(axis=1)
    threshold = min_counts * totals / np.median(totals)
    return (counts >= threshold[:, None]).sum(axis=0) >= n_samples


def moderated_t_test(values: np.ndarray, design: np.ndarray, contrast: np.ndarray) -> ModeratedTest:
    r"""Test a contrast of a linear model for each gene, with variances shrunk towards a common trend.

    With the residual variance :math:`s_g^2` on :math:`d` degrees of freedom, a prior variance :math:`s_0^2` that
    depends on the mean expression, and :math:`d_0` prior degrees of freedom, both estimated from all genes
    :cite:p:`Smyth2004,Law2014`,

    .. math::

        \tilde s_g^2 = \frac{d_0 s_0^2 + d s_g^2}{d_0 + d}, \qquad
        t_g = \frac{c^\top \hat\beta_g}{\tilde s_g \sqrt{c^\top (X^\top X)^{-1} c}} \sim t_{d_0 + d}

    Parameters
    ----------
    values
        Log expression. ``(n_samples, n_genes)``.
    design
        Design matrix :math:`X` of full rank. ``(n_samples, n_coefficients)``.
    contrast
        Contrast :math:`c`. ``(n_coefficients,)``.

    Returns
    -------
    Effects, standard errors, t statistics and two-sided p values.
    """
    covariance = np.linalg.inv(design.T @ design)
    coefficients = covariance @ design.T @ values
    df = design.shape[0] - design.shape[1]
    variances = ((values - design @ coefficients) ** 2).sum(axis=0) / df
    prior, prior_df = fit_prior(variances, df, values.mean(axis=0))
    posterior = (prior_df * prior + df * variances) / (prior_df + df)
    # No more degrees of freedom than all genes have together.
    total_df = min(prior_df + df, df * values.shape[1])
    effect = contrast @ coefficients
    error = np.sqrt(posterior * (contrast @ covariance @ contrast))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(error > 0, effect / error, 0.0)
    return ModeratedTest(effect, error, statistic, 2 * stats.t.sf(np.abs(statistic), total_df), float(prior_df))


def fit_prior(variances: np.ndarray, df: int, mean: np.ndarray) -> tuple[np.ndarray, float]:
    r"""Fit the prior of the variances, a scaled inverse :math:`\chi^2` distribution, by maximum likelihood.

    Under it, :math:`s_g^2 / s_0^2` follows an F distribution with :math:`d` and :math:`d_0` degrees of freedom. limma
    matches the moments of the logarithms instead, which small variances dominate: with two or three replicates, that
    gives too many of the smallest p values. The lower end of the confidence interval of :math:`d_0` (one standard
    error) is used, because too strong a prior costs validity, and too weak a one only power.

    Parameters
    ----------
    variances
        Residual variance of each gene. ``(n_genes,)``.
    df
        Their degrees of freedom.
    mean
        Mean log expression, on which the prior variance depends by a quadratic curve. ``(n_genes,)``.

    Returns
    -------
    The prior variance of each gene, and the prior degrees of freedom, at most 200; 0 with fewer than ten genes.
    """
    positive = variances > 0
    if positive.sum() < _MIN_GENES_FOR_PRIOR:
        return variances, 0.0
    # A gene without variance would dominate the logarithms.
    floored = np.maximum(variances, 1e-5 * np.median(variances[positive]))
    logs = np.log(floored)
    degree = 2 if len(variances) >= _MIN_GENES_FOR_TREND else 0
    basis = np.vander((mean - mean.mean()) / max(float(mean.std()), 1e-12), degree + 1)
    trend = basis @ np.linalg.lstsq(basis, logs, rcond=None)[0]

    def profile(log_df: float) -> tuple[float, float]:
        """Largest log likelihood with these degrees of freedom, and the log scale that gives it."""
        prior_df = np.exp(log_df)

        def loss(log_scale: float) -> float:
            # The F density without what depends on neither parameter, or on the data alone.
            ratio = np.log(df / prior_df) + logs - trend - log_scale
            return float(0.5 * (df + prior_df) * np.logaddexp(0, ratio).sum() - 0.5 * df * ratio.sum())

        found = optimize.minimize_scalar(loss, bounds=(-5.0, 5.0), method="bounded", options={"xatol": 1e-4})
        return -found.fun - len(logs) * float(betaln(df / 2, prior_df / 2)), float(found.x)

    best = optimize.minimize_scalar(lambda x: -profile(x)[0], bounds=_LOG_PRIOR_DF, method="bounded")
    log_df = float(best.x)
    if profile(_LOG_PRIOR_DF[0])[0] < -best.fun - 0.5:
        log_df = optimize.brentq(lambda x: profile(x)[0] + best.fun + 0.5, _LOG_PRIOR_DF[0], log_df, xtol=1e-3)
    return np.exp(trend + profile(log_df)[1]), float(np.exp(log_df))
