"""Results of the integration benchmark as tables and a picture."""

from pathlib import Path

import pandas as pd

import spotscape as sps
from benchmarks.common.figures import save
from benchmarks.common.readouts import DEFAULT, KMEANS
from benchmarks.common.registry import COMMON, DEFAULT_MODEL
from benchmarks.common.transfer_tables import on_front, table_of_methods, table_of_transfers, text_of_front

#: The methods among which the Pareto front is drawn; variants of ours and smoothing stand beside it.
COMPARED = (*COMMON, DEFAULT_MODEL)


def write_summary(results: pd.DataFrame, transfer: pd.DataFrame, path: Path) -> None:
    """Write all tables as Markdown."""
    parts = ["# Integration", "Mean ± standard deviation over seeds; a method without one draws nothing."]
    for case in dict.fromkeys(results["case"]):
        chosen = results[results["case"] == case]
        parts.append(f"## {case}")
        n_seeds = chosen.groupby("method", sort=False)["seed"].nunique()
        parts.append("Seeds: " + ", ".join(f"{name} {number}" for name, number in n_seeds.items()) + ".")
        parts.append(text_of_front(on_front(chosen, COMPARED)))
        metrics = list(dict.fromkeys(chosen["metric"]))
        for prefix in ("bio", "batch"):
            shown = [name for name in metrics if name.split(":")[0] == prefix]
            parts.append(table_of_methods(chosen, shown, [name.removeprefix(f"{prefix}: ") for name in shown]))
        readouts = [f"{readout} {name}" for readout in (DEFAULT, KMEANS) for name in ("ARI", "NMI", "CA")]
        rest = [name for name in metrics if "ARI, " in name or name.startswith(("lacked", "macro"))]
        parts += [table_of_methods(chosen, readouts), table_of_methods(chosen, rest)]
    if not transfer.empty:
        parts += ["## Transfer of labels", table_of_transfers(transfer, DEFAULT_MODEL)]
    path.write_text("\n\n".join(parts) + "\n")


def write_figure(results: pd.DataFrame, path: Path) -> None:
    """Draw biology against mixing, one panel a case."""
    chosen = results[results["metric"].isin(["bio", "batch"])]
    table = chosen.pivot(index=["case", "method", "seed"], columns="metric", values="value").reset_index()
    table["order"] = table["case"].map({case: index for index, case in enumerate(dict.fromkeys(results["case"]))})
    table["rank"] = table["method"].map({name: index for index, name in enumerate(dict.fromkeys(results["method"]))})
    table = table.sort_values(["order", "rank", "seed"]).rename(columns={"case": "section"})
    save(sps.pl.integration(table, ncols=3, return_fig=True), path, dpi=150)
