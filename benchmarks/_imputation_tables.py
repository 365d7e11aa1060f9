"""Tables and figure of the benchmark of imputation."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

METHODS = (
    *("SPOTSCAPE", "SEDR", "gene mean", "mean of non-zeros"),
    *("spatial kNN, k = 6", "spatial kNN, k = 18", "expression kNN"),
)
#: Metrics of each way of hiding, and whether more is better.
METRICS = {
    "thinning": {"deviance": False, "pearson": True, "spearman": True},
    "hold-out": {"rmse": False, "l1": False, "pearson": True},
}
_COLORS = ("#D55E00", "#0072B2", "#4D4D4D", "#4D4D4D", "#8F8F8F", "#8F8F8F", "#8F8F8F")


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write means and standard deviations over seeds as Markdown."""
    parts = []
    for case, rows in results.groupby("case", sort=False):
        metrics = METRICS[case.split()[0]]
        parts.append(f"## {case[0].upper()}{case[1:]}")
        parts.append("| data | method | " + " | ".join(metrics) + " | seeds |\n" + "|---" * (len(metrics) + 3) + "|")
        for name, of_data in rows.groupby("data", sort=False):
            means = of_data.groupby("method")[list(metrics)].mean()
            for method in (method for method in METHODS if method in means.index):
                values = of_data[of_data["method"] == method]
                cells = [
                    _cell(values[metric], (means[metric].max() if more else means[metric].min()))
                    for metric, more in metrics.items()
                ]
                parts[-1] += f"\n| {name} | {method} | " + " | ".join(cells) + f" | {len(values)} |"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _cell(values: pd.Series, best: float) -> str:
    mark = "**" if np.isclose(values.mean(), best, rtol=1e-9) else ""
    spread = f" ± {values.std():.4f}" if len(values) > 1 else ""
    return f"{mark}{values.mean():.4f}{mark}{spread}"


def write_figure(results: pd.DataFrame, path: Path) -> None:
    """Draw deviance and correlation under thinning, a row for each data set, and the error of held-out entries."""
    names = list(dict.fromkeys(results["data"]))
    panels = [
        ("thinning", "deviance", "Poisson deviance (lower is better)"),
        ("thinning", "pearson", "correlation of genes (higher is better)"),
        ("hold-out 20 %", "rmse", "error of 20 % hidden entries (RMSE)"),
    ]
    figure, axes = plt.subplots(
        len(names), len(panels), figsize=(4 * len(panels), 2.6 * len(names)), layout="constrained", squeeze=False
    )
    for row, name in zip(axes, names, strict=True):
        for axis, (case, metric, label) in zip(row, panels, strict=True):
            of_panel = results[(results["data"] == name) & (results["case"] == case)]
            shown = [method for method in METHODS if method in set(of_panel["method"])][::-1]
            for height, method in enumerate(shown):
                values = of_panel.loc[of_panel["method"] == method, metric]
                axis.plot(values, [height] * len(values), "o", ms=6, alpha=0.7, c=_COLORS[METHODS.index(method)])
            axis.set_yticks(range(len(shown)), shown if axis is row[0] or case != "thinning" else [""] * len(shown))
            axis.set(xlabel=label, title=name if axis is row[0] else "")
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(axis="x", c="0.92")
    figure.savefig(path, dpi=120)
    plt.close(figure)
