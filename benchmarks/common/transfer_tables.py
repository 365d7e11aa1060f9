"""Tables of methods that are scored by many numbers, and of the bootstrap of the transfer of labels."""

from collections.abc import Sequence

import pandas as pd

from benchmarks.common.tables import markdown, mean_and_deviation
from spotscape.pl._integration import pareto_front


def table_of_methods(
    results: pd.DataFrame, metrics: Sequence[str], names: Sequence[str] | None = None, *, with_seeds: bool = False
) -> str:
    """Mean ± standard deviation over seeds, a row a method and a column a metric.

    Parameters
    ----------
    results
        Columns ``method``, ``seed``, ``metric`` and ``value``.
    metrics
        Metrics that are shown.
    names
        Their names in the table. ``None``: as they are.
    with_seeds
        Whether a last column has the number of seeds.
    """
    groups = results.groupby(["method", "metric"])["value"]
    mean, deviation = groups.mean().unstack(), groups.std().unstack()
    n_seeds = results.groupby("method")["seed"].nunique()
    rows = []
    for method in dict.fromkeys(results["method"]):
        cells = [mean_and_deviation(mean.loc[method, name], deviation.loc[method, name]) for name in metrics]
        rows.append([method, *cells, *([n_seeds[method]] if with_seeds else [])])
    return markdown(["", *(names or metrics), *(["seeds"] if with_seeds else [])], rows)


def table_of_transfers(transfers: pd.DataFrame, ours: str) -> str:
    """Differences of one method to the others by the macro-F1 of transferred labels, with their intervals."""
    rows = [
        [row.case, row.method, row.drawn, f"{row.difference:+.3f}", f"{row.low:+.3f} to {row.high:+.3f}"]
        for row in transfers.itertuples()
    ]
    return markdown(["case", f"{ours} against", "drawn", "difference of macro-F1", "95 % interval"], rows)


def on_front(results: pd.DataFrame, compared: Sequence[str]) -> pd.Series:
    """Tell which of the compared methods that are there lie on the Pareto front of ``bio`` and ``batch``."""
    scores = results[results["metric"].isin(["bio", "batch"]) & results["method"].isin(compared)]
    if scores.empty:
        return pd.Series(dtype=bool)
    means = scores.pivot_table(index="method", columns="metric", values="value", sort=False)[["bio", "batch"]]
    means = means.reindex([name for name in compared if name in means.index])
    return pd.Series(pareto_front(means.to_numpy()), index=means.index)


def text_of_front(front: pd.Series) -> str:
    """One sentence with the methods on the front."""
    return f"On the Pareto front of {', '.join(front.index)}: **{', '.join(front.index[front])}**."
