"""Results of the cross-sample benchmark as tables and a picture."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from _cross_sample_methods import OURS, PEERS

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from spotscape.pl._integration import pareto_front


def write_summary(results: pd.DataFrame, transfer: pd.DataFrame, path: Path) -> None:
    """Write all tables as Markdown."""
    parts = [
        "# Across samples",
        "Mean ± standard deviation over seeds, and their number; one that draws nothing has one.",
    ]
    for case in dict.fromkeys(results["case"]):
        chosen = results[results["case"] == case]
        parts += [f"## {case}", _table(chosen)]
        if len(front := on_front(chosen)):
            parts.append(f"On the Pareto front of {', '.join(front.index)}: **{', '.join(front.index[front])}**.")
    if not transfer.empty:
        rows = [["case", f"{OURS} against", "drawn", "difference of macro-F1", "95 % interval"]]
        for row in transfer.itertuples():
            interval = f"{row.low:+.3f} to {row.high:+.3f}"
            rows.append([row.case, row.method, row.drawn, f"{row.difference:+.3f}", interval])
        parts += ["## Transfer of labels", _markdown(rows)]
    path.write_text("\n\n".join(parts) + "\n")


def on_front(results: pd.DataFrame) -> pd.Series:
    """Tell which of the default model and the common methods lie on the Pareto front of ``bio`` and ``batch``."""
    scores = results[results["metric"].isin(["bio", "batch"]) & results["method"].isin([OURS, *PEERS])]
    if scores.empty:
        return pd.Series(dtype=bool)
    means = scores.pivot_table(index="method", columns="metric", values="value", sort=False)[["bio", "batch"]]
    return pd.Series(pareto_front(means.to_numpy()), index=means.index)


def write_figure(results: pd.DataFrame, path: Path) -> None:
    """Draw, a row a case, the transfer of labels (if any) and the pooled ARI of each method."""
    cases = list(dict.fromkeys(results["case"]))
    heights = [1 + results[results["case"] == case]["method"].nunique() for case in cases]
    figure, axes = plt.subplots(
        len(cases),
        2,
        figsize=(9, 0.22 * sum(heights) + 0.6 * len(cases)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for (left, right), case in zip(axes, cases, strict=True):
        chosen = results[results["case"] == case]
        methods = list(dict.fromkeys(chosen["method"]))
        for axis, metric in ((left, "ARI"), (right, "macro-F1" if "macro-F1" in set(chosen["metric"]) else "mixing")):
            groups = chosen[chosen["metric"] == metric].groupby("method")["value"]
            mean, deviation = groups.mean().reindex(methods), groups.std().reindex(methods).fillna(0)
            if mean.isna().all():
                axis.set_visible(False)
                continue
            colors = ["#D55E00" if name.split(",")[0] == OURS else "#777777" for name in methods]
            axis.errorbar(mean, range(len(methods)), xerr=deviation, fmt="none", ecolor=colors)
            axis.scatter(mean, range(len(methods)), c=colors, s=18)
            axis.set(xlabel={"ARI": "ARI of pooled domains", "mixing": "Mixing of samples"}.get(metric, metric))
            axis.set_yticks(range(len(methods)), methods if axis is left else [])
            axis.invert_yaxis()
            axis.grid(axis="x", color="#EEEEEE")
            axis.spines[["top", "right"]].set_visible(False)
        left.set_title(case, loc="left", fontsize=10)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _table(results: pd.DataFrame) -> str:
    metrics = list(dict.fromkeys(results["metric"]))
    groups = results.groupby(["method", "metric"])["value"]
    mean, deviation = groups.mean().unstack(), groups.std().unstack()
    n_seeds = results.groupby("method")["seed"].nunique()
    rows = [["", *metrics, "seeds"]]
    for method in dict.fromkeys(results["method"]):
        cells = [_number(mean.loc[method, name], deviation.loc[method, name]) for name in metrics]
        rows.append([method, *cells, str(n_seeds[method])])
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def _number(mean: float, deviation: float) -> str:
    return "–" if np.isnan(mean) else f"{mean:.3f}" + ("" if np.isnan(deviation) else f" ± {deviation:.3f}")
