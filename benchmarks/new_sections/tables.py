"""Table and figure of the benchmark of new sections."""

from pathlib import Path

import pandas as pd

from benchmarks.common.figures import open_frame, plt, save
from benchmarks.common.results import Results
from benchmarks.common.tables import markdown

COLUMNS = {"question": str, "data": str, "case": str, "level": float, "seed": int, "metric": str, "value": float}
_NAMES = {"expected": "genes completed by expectation", "zeros": "genes filled with zeros"}
_COLORS = {"expected": "#0072B2", "zeros": "#D55E00"}


def results_of(folder: Path) -> Results:
    """Rows in a folder, those of a question, data and seed together."""
    return Results(folder / "results.csv", COLUMNS, ["question", "data", "seed"], digits=6)


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write means over seeds, as tables in Markdown."""
    genes = results[results["question"] == "genes"]
    by_share = genes.pivot_table(index=["data", "case", "metric"], columns="level", values="value")
    by_share = by_share[sorted(genes["level"].unique(), reverse=True)].rename(columns=lambda share: f"{share:.0%}")
    novel = results[results["metric"] == "share_novel"].groupby(["data", "case"], sort=False)["value"]
    area = results.loc[results["metric"] == "auc", "value"]
    confidence = results[(results["question"] == "confidence") & (results["case"] == "all")]
    parts = [
        "## Label transfer by the share of the genes that the section has",
        _table(by_share),
        "## Share of novel spots (novelty of 0.99 or more)",
        _table(novel.agg(["mean", "min", "max"])),
        f"Unknown domain against known domains by novelty: area under the ROC curve {area.mean():.3f}.",
        "## Transferred labels and their confidence",
        _table(confidence.pivot_table(index="data", columns="metric", values="value", sort=False)),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


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
        open_frame(panel)
    save(figure, path)


def _table(values: pd.DataFrame) -> str:
    """Markdown of a table with numbers of three decimals, its index in columns of their own."""
    flat = values.reset_index()
    rows = (
        [f"{cell:.3f}" if isinstance(cell, float) else cell for cell in row] for row in flat.itertuples(index=False)
    )
    return markdown([str(name) for name in flat.columns], rows)
