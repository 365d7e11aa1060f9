"""Tables and figure of the benchmark of imputation."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.figures import GRID, open_frame, plt, save
from benchmarks.common.registry import MODELS, OTHER_COLOR
from benchmarks.common.results import Results
from benchmarks.common.tables import markdown, mean_and_deviation, number
from benchmarks.imputation.floors import FLOORS

COLUMNS = {
    **{"data": str, "case": str, "seed": int, "method": str},
    **dict.fromkeys(("deviance", "deviance_rare", "pearson", "spearman", "rmse", "l1"), float),
}
METHODS = (*MODELS, *FLOORS)
#: Metrics of each way of hiding, and whether more is better.
METRICS = {
    "thinning": {"deviance": False, "deviance_rare": False, "pearson": True, "spearman": True},
    "hold-out": {"rmse": False, "l1": False, "pearson": True},
}


def results_of(folder: Path) -> Results:
    """Rows in a folder, each of a file, way of hiding, seed and method."""
    return Results(folder / "results.csv", COLUMNS, ["data", "case", "seed", "method"], digits=6)


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write means and standard deviations over seeds as Markdown."""
    parts = []
    for case, rows in results.groupby("case", sort=False):
        metrics = METRICS[case.split()[0]]
        table = []
        for name, of_data in rows.groupby("data", sort=False):
            means = of_data.groupby("method")[list(metrics)].mean()
            for method in (method for method in METHODS if method in means.index):
                values = of_data[of_data["method"] == method]
                cells = [
                    _cell(values[metric], (means[metric].max() if more else means[metric].min()))
                    for metric, more in metrics.items()
                ]
                table.append([name, method, *cells, len(values)])
        parts += [f"## {case[0].upper()}{case[1:]}", markdown(["data", "method", *metrics, "seeds"], table)]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


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
                color = MODELS[method].color if method in MODELS else OTHER_COLOR
                axis.plot(values, [height] * len(values), "o", ms=6, alpha=0.7, c=color)
            axis.set_yticks(range(len(shown)), shown if axis is row[0] or case != "thinning" else [""] * len(shown))
            axis.set(xlabel=label, title=name if axis is row[0] else "")
            open_frame(axis)
            axis.grid(axis="x", c=GRID)
    save(figure, path, dpi=120)


def _cell(values: pd.Series, best: float) -> str:
    """Mean, bold where it is the best, and standard deviation."""
    mean, both = number(values.mean(), 4), mean_and_deviation(values.mean(), values.std(), 4)
    return both.replace(mean, f"**{mean}**", 1) if np.isclose(values.mean(), best, rtol=1e-9) else both
