"""Results of the integration benchmark as tables and a picture."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")

import spotscape as sps
from spotscape.pl._integration import pareto_front

OURS = "SPOTSCAPE"
#: The methods among which the Pareto front is drawn; variants of ours and smoothing stand beside it.
COMPARED = ("PCA", "Harmony", "ComBat", "scVI", OURS)
READOUTS = ("tl.domains", "k-means")


def write_summary(results: pd.DataFrame, transfer: pd.DataFrame, path: Path) -> None:
    """Write all tables as Markdown."""
    parts = ["# Integration", "Mean ± standard deviation over seeds; a method without one draws nothing."]
    for case in dict.fromkeys(results["case"]):
        chosen = results[results["case"] == case]
        parts.append(f"## {case}")
        n_seeds = chosen.groupby("method", sort=False)["seed"].nunique()
        parts.append("Seeds: " + ", ".join(f"{name} {number}" for name, number in n_seeds.items()) + ".")
        front = on_front(chosen)
        parts.append(f"On the Pareto front of {', '.join(front.index)}: **{', '.join(front.index[front])}**.")
        for prefix in ("bio", "batch"):
            parts.append(_table(chosen, [name for name in _metrics(chosen) if name.split(":")[0] == prefix]))
        parts.append(_table(chosen, [f"{readout} {name}" for readout in READOUTS for name in ("ARI", "NMI", "CA")]))
        rest = [name for name in _metrics(chosen) if "ARI, " in name or name.startswith(("lacked", "macro"))]
        parts.append(_table(chosen, rest))
    if not transfer.empty:
        parts += ["## Transfer of labels", _table_of_transfer(transfer)]
    path.write_text("\n\n".join(parts) + "\n")


def on_front(results: pd.DataFrame) -> pd.Series:
    """Tell which of the compared methods that are there lie on the Pareto front of ``bio`` and ``batch``."""
    scores = results[results["metric"].isin(["bio", "batch"])]
    means = scores.pivot_table(index="method", columns="metric", values="value", sort=False)
    means = means.reindex([name for name in COMPARED if name in means.index])
    return pd.Series(pareto_front(means.to_numpy()), index=means.index)


def write_figure(results: pd.DataFrame, path: Path) -> None:
    """Draw biology against mixing, one panel a case."""
    chosen = results[results["metric"].isin(["bio", "batch"])]
    table = chosen.pivot(index=["case", "method", "seed"], columns="metric", values="value").reset_index()
    table["order"] = table["case"].map({case: index for index, case in enumerate(dict.fromkeys(results["case"]))})
    table["rank"] = table["method"].map({name: index for index, name in enumerate(dict.fromkeys(results["method"]))})
    table = table.sort_values(["order", "rank", "seed"]).rename(columns={"case": "section"})
    figure = sps.pl.integration(table, ncols=3, return_fig=True)
    figure.savefig(path, dpi=150)


def _metrics(results: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(results["metric"]))


def _table(results: pd.DataFrame, metrics: list[str]) -> str:
    groups = results.groupby(["method", "metric"])["value"]
    mean, deviation = groups.mean().unstack(), groups.std().unstack()
    header = ["", *(name.removeprefix("bio: ").removeprefix("batch: ") for name in metrics)]
    rows = [
        [method, *(_number(mean.loc[method, name], deviation.loc[method, name]) for name in metrics)]
        for method in dict.fromkeys(results["method"])
    ]
    return _markdown([header, *rows])


def _table_of_transfer(transfer: pd.DataFrame) -> str:
    rows = [["case", f"{OURS} against", "drawn", "difference of macro-F1", "95 % interval"]]
    for row in transfer.itertuples():
        rows.append([row.case, row.method, row.drawn, f"{row.difference:+.3f}", f"{row.low:+.3f} to {row.high:+.3f}"])
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def _number(mean: float, deviation: float) -> str:
    return "–" if np.isnan(mean) else f"{mean:.3f}" + ("" if np.isnan(deviation) else f" ± {deviation:.3f}")
