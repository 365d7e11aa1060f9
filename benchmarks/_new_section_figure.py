"""Table and figure of the benchmark of new sections."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

_NAMES = {"expected": "genes completed by expectation", "zeros": "genes filled with zeros"}
_COLORS = {"expected": "#0072B2", "zeros": "#D55E00"}


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write means over seeds, as tables in Markdown."""
    lines: list[str] = []
    genes = results[results["question"] == "genes"]
    table = genes.pivot_table(index=["data", "case", "metric"], columns="level", values="value")[
        sorted(genes["level"].unique(), reverse=True)
    ]
    lines += ["## Label transfer by the share of the genes that the section has", ""]
    lines += _markdown(table.rename(columns=lambda share: f"{share:.0%}"), 3)
    novel = results[(results["metric"] == "share_novel")]
    lines += ["## Share of novel spots (novelty of 0.99 or more)", ""]
    lines += _markdown(novel.groupby(["data", "case"], sort=False)["value"].agg(["mean", "min", "max"]), 3)
    area = results.loc[results["metric"] == "auc", "value"]
    lines += [f"Unknown domain against known domains by novelty: area under the ROC curve {area.mean():.3f}.", ""]
    confidence = results[(results["question"] == "confidence") & (results["case"] == "all")]
    lines += ["## Transferred labels and their confidence", ""]
    lines += _markdown(confidence.pivot_table(index="data", columns="metric", values="value", sort=False), 3)
    path.write_text("\n".join(lines), encoding="utf-8")


def write_figure(results: pd.DataFrame, path: Path) -> None:
    """Draw accuracy by genes, novel spots by case, and accuracy by confidence."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    genes = results[(results["question"] == "genes") & (results["metric"] == "accuracy")]
    for case, rows in genes.groupby("case"):
        for number, (_, line) in enumerate(rows.groupby("data")):
            mean = line.groupby("level")["value"].mean()
            style = ("-", "--")[number % 2]
            left.plot(100 * mean.index, mean, style, marker="o", ms=4, c=_COLORS[case])
        left.plot([], [], c=_COLORS[case], label=_NAMES[case])
    left.set(xlabel="genes measured (%)", ylabel="labels that are right", ylim=(0, 1), title="Panels that overlap")
    left.legend(frameon=False, fontsize=8, loc="upper left")

    novel = results[results["metric"] == "share_novel"].copy()
    novel.loc[novel["case"].str.startswith("donor held out"), "case"] = "donors held out"
    cases = list(dict.fromkeys(novel["case"]))[::-1]
    for height, case in enumerate(cases):
        values = 100 * novel.loc[novel["case"] == case, "value"]
        middle.plot(values, [height] * len(values), "o", ms=5, alpha=0.6, c="#0072B2")
    middle.axvline(50, c="0.6", lw=1, ls=":")
    middle.set(xlabel="novel spots (%)", xlim=(-4, 104), title="Unlike the training sections?")
    middle.set_yticks(range(len(cases)), cases)

    tenths = results[(results["question"] == "confidence") & (results["case"] == "tenth")]
    wide = tenths.pivot_table(index=["data", "level"], columns="metric", values="value").reset_index()
    for name, line in wide.groupby("data", sort=False):
        right.plot(line["mean_confidence"], line["right"], "-", c="0.8", lw=1, zorder=1)
        right.scatter(line["mean_confidence"], line["right"], s=8 + line["n_spots"] / 15, label=name, zorder=2)
    right.plot([0, 1], [0, 1], c="0.6", lw=1, ls=":")
    right.set(xlabel="confidence", ylabel="labels that are right", xlim=(0, 1), ylim=(0, 1), title="Confidence")
    right.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=0.6)
    for panel in (left, middle, right):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _markdown(table: pd.DataFrame, digits: int) -> list[str]:
    flat = table.reset_index()
    lines = ["| " + " | ".join(map(str, flat.columns)) + " |", "|" + "---|" * len(flat.columns)]
    for entries in flat.itertuples(index=False):
        shown = (f"{entry:.{digits}f}" if isinstance(entry, float) else str(entry) for entry in entries)
        lines.append("| " + " | ".join(shown) + " |")
    return [*lines, ""]
