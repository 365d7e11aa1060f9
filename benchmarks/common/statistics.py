"""Statistics over sections and tissues."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from spotscape.metrics import compare_scores


def paired_difference(difference: pd.Series) -> dict[str, Any]:
    """Summarise the differences between two methods on the same sections.

    Parameters
    ----------
    difference
        Difference of each section, by its name.

    Returns
    -------
    Their mean, the number of sections with a positive one, P of the two-sided Wilcoxon signed-rank test (1 where all
    are zero), and the worst difference and its section.
    """
    rows = [
        (name, str(section), value)
        for name, values in (("ours", difference), ("theirs", 0 * difference))
        for section, value in values.items()
    ]
    scores = pd.DataFrame(rows, columns=["method", "section", "score"])
    found = compare_scores(scores, "theirs").loc["ours"]
    return {
        "mean difference": found["difference"],
        "ours above": f"{int(found['n_above'])} of {int(found['n_pairs'])}",
        "P": found["p_wilcoxon"],
        "worst difference": difference.min(),
        "where": difference.idxmin(),
    }


def leave_one_tissue_out(scores: pd.DataFrame, tissues: Mapping[str, str]) -> pd.DataFrame:
    """Choose a variant by all tissues but one, and report its score on the one that was left out.

    A rule that sets a default is made for data that nobody has seen yet. What its best variant reaches on the tissues
    that chose it is too high; the score on a tissue that had no part in the choice is not. Every tissue counts once,
    however many sections it has.

    Parameters
    ----------
    scores
        Columns ``variant``, ``section`` and ``score``, larger is better. Several rows of one variant and section, such
        as seeds, are averaged.
    tissues
        Tissue of each section, for example from :func:`~benchmarks.common.sections.tissues_of`.

    Returns
    -------
    A row for each tissue that is left out: its number of sections; the variant that was chosen, by the mean over the
    means of the other tissues (the first in the table among equals); that mean; the score of the chosen variant on the
    left-out tissue, and the best variant there with its score.

    Raises
    ------
    ValueError
        If there are fewer than two tissues, or a variant has no score on a section that others have.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame(
    ...     [("a", "x1", 0.9), ("a", "x2", 0.7), ("a", "y", 0.5), ("b", "x1", 0.1), ("b", "x2", 0.1), ("b", "y", 0.6)],
    ...     columns=["variant", "section", "score"],
    ... )
    >>> leave_one_tissue_out(scores, {"x1": "cortex", "x2": "cortex", "y": "tumour"})[["tissue", "chosen", "score"]]
       tissue chosen  score
    0  cortex      b    0.1
    1  tumour      a    0.5
    """
    table = scores.pivot_table(index="variant", columns="section", values="score", sort=False)
    if table.isna().any(axis=None):
        variant, section = table.isna().stack().idxmax()
        raise ValueError(
            f"The variant {variant!r} has no score on {section!r}; every variant needs one on every section."
        )
    by_tissue = table.T.groupby(lambda section: tissues[section], sort=False).mean().T
    if by_tissue.shape[1] < 2:
        raise ValueError(
            f"All sections are of one tissue, {by_tissue.columns[0]!r}; leaving it out takes at least two."
        )
    rows = []
    for tissue in by_tissue.columns:
        elsewhere, here = by_tissue.drop(columns=tissue).mean(axis=1), by_tissue[tissue]
        chosen = elsewhere.idxmax()
        rows.append(
            {
                "tissue": tissue,
                "n_sections": int(np.sum([tissues[section] == tissue for section in table.columns])),
                "chosen": chosen,
                "score_elsewhere": elsewhere[chosen],
                "score": here[chosen],
                "best": here.idxmax(),
                "best_score": here.max(),
            }
        )
    return pd.DataFrame(rows)
