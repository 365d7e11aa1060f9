"""Statistical comparison of methods over sections or seeds."""

import numpy as np
import pandas as pd
from scipy import stats

from spotscape._arguments import check_table
from spotscape._validate import check_present, numeric_array


def compare_scores(
    scores: pd.DataFrame,
    reference: str,
    *,
    pair_by: str | None = "section",
    method: str = "method",
    score: str = "score",
) -> pd.DataFrame:
    """Compare the scores of each method with those of a reference method.

    Several rows of one method and pair, such as seeds of a section, are averaged before methods are paired: seeds of
    one section are no independent evidence.

    Parameters
    ----------
    scores
        One row per measurement.
    reference
        Method that the others are compared with.
    pair_by
        Column with what is paired, such as sections. ``None``: nothing is paired, and only the Mann-Whitney U test is
        made.
    method, score
        Columns with the method and the score.

    Returns
    -------
    Data frame with one row per other method and the columns ``n_pairs``; ``n`` and ``n_reference``, numbers of rows;
    ``difference``, the mean of the method minus that of the reference, over pairs if there are any; ``n_above``, pairs
    in which it is above; and two-sided p values of the paired t test ``p_t`` (assumes normal differences), the Wilcoxon
    signed-rank test ``p_wilcoxon`` (symmetric differences) and the Mann-Whitney U test ``p_mann_whitney`` (independent
    rows). A test with fewer than two values, or whose differences are all zero, has the p value 1. No correction for
    the number of methods is made.

    Raises
    ------
    KeyError
        If a column or the reference does not exist.
    ValueError
        If a score is missing or infinite, or a method has no pair with the reference.

    Examples
    --------
    >>> import pandas as pd
    >>> import spotscape as sps
    >>> scores = pd.DataFrame({"method": list("aaaaaabbbbbb"), "section": list("uvwxyzuvwxyz")})
    >>> scores["score"] = [1, 2, 3, 4, 5, 6, 2, 3, 4, 5, 6, 8]
    >>> table = sps.metrics.compare_scores(scores, "a")
    >>> print(int(table.loc["b", "n_above"]), table.loc["b", "p_wilcoxon"])
    6 0.03125
    """
    check_table(scores, "scores")
    for name, column in (("method", method), ("score", score), ("pair_by", pair_by)):
        if name != "pair_by" or column is not None:
            check_present(column, name, scores.columns, "scores")
    check_present(reference, "reference", pd.unique(scores[method]), f"scores[{method!r}]")
    numeric_array(scores[score], f"scores[{score!r}]")
    if not np.isfinite(scores[score].to_numpy(dtype=float)).all():
        raise ValueError(f"`scores[{score!r}]` has missing or infinite values; leave these rows out.")
    own = scores[scores[method] == reference]
    rows = {}
    for name, others in scores[scores[method] != reference].groupby(method, sort=False):
        row: dict[str, float] = {"n": len(others), "n_reference": len(own)}
        if pair_by is None:
            row |= {"difference": others[score].mean() - own[score].mean()}
        else:
            means = [part.groupby(pair_by)[score].mean() for part in (others, own)]
            difference = (means[0] - means[1]).dropna()
            if difference.empty:
                raise ValueError(f"{name!r} and {reference!r} have no {pair_by} in common, so nothing can be paired.")
            row = {"n_pairs": len(difference), **row, "difference": difference.mean()}
            row |= {"n_above": int((difference > 0).sum()), **_paired_tests(difference.to_numpy())}
        enough = min(len(others), len(own)) > 1
        row["p_mann_whitney"] = float(stats.mannwhitneyu(others[score], own[score]).pvalue) if enough else 1.0
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(method)


def _paired_tests(difference: np.ndarray) -> dict[str, float]:
    if len(difference) < 2 or not difference.any():
        return {"p_t": 1.0, "p_wilcoxon": 1.0}
    spread = np.ptp(difference) > 1e-12 * np.abs(difference).max()
    return {
        # Equal differences have no spread, and the statistic is infinite.
        "p_t": float(stats.ttest_1samp(difference, 0).pvalue) if spread else 0.0,
        "p_wilcoxon": float(stats.wilcoxon(difference).pvalue),
    }
