"""Shares of right spots by confidence, and their tables and figure."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.common.figures import GRID, open_frame, save
from benchmarks.common.results import Results
from spotscape.cluster._partitions import TEMPERATURE

TEMPERATURES = (1.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)
N_BINS = 10
COLUMNS = {
    **{"section": str, "model": str, "seed": int, "temperature": float, "bin": int},
    **{"n_spots": int, "confidence": float, "right": float},
}


def results_of(folder: Path) -> Results:
    """Rows in a folder; all rows of a section, model and seed are written together."""
    return Results(folder / "results.csv", COLUMNS, ["section", "model", "seed"], digits=6)


def is_right(codes: NDArray[np.integer], labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Whether the label of each spot is the one that is matched to its domain, one to one."""
    table = pd.crosstab(codes, labels)
    rows, columns = linear_sum_assignment(table.to_numpy(), maximize=True)
    matched = {table.index[row]: table.columns[column] for row, column in zip(rows, columns, strict=True)}
    return np.array([matched.get(code) == label for code, label in zip(codes, labels, strict=True)])


def bins_of(
    confidence: NDArray[np.float64], codes: NDArray[np.integer], labels: NDArray[np.str_]
) -> Iterator[dict[str, float]]:
    """Yield number of spots, mean confidence and share of right spots of each tenth of the confidence."""
    right = is_right(codes, labels)
    tenth = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    for number in np.unique(tenth):
        spots = tenth == number
        yield {
            "bin": int(number),
            "n_spots": int(spots.sum()),
            "confidence": float(confidence[spots].mean()),
            "right": float(right[spots].mean()),
        }


def curve(table: pd.DataFrame, tissues: Mapping[str, str]) -> pd.DataFrame:
    """Confidence, share of right spots and weight of each tenth.

    Parameters
    ----------
    table
        Rows of one temperature.
    tissues
        Tissue of each section. Tissues have the same weight, and sections and seeds within them.
    """
    table = table.assign(tissue=table["section"].map(tissues))
    runs = table.groupby(["tissue", "section", "seed"])["n_spots"].transform("sum")
    in_tissue = table.groupby("tissue")[["section", "seed"]].apply(lambda rows: len(rows.drop_duplicates()))
    weight = table["n_spots"] / runs / table["tissue"].map(in_tissue) / table["tissue"].nunique()
    sums = pd.DataFrame(
        {"weight": weight, "confidence": weight * table["confidence"], "right": weight * table["right"]}
    )
    sums = sums.groupby(table["bin"]).sum()
    return sums.assign(confidence=sums["confidence"] / sums["weight"], right=sums["right"] / sums["weight"])


def calibration_error(table: pd.DataFrame, tissues: Mapping[str, str]) -> float:
    """Expected calibration error: mean difference of confidence and share of right spots over the tenths."""
    found = curve(table, tissues)
    return float((found["weight"] * (found["confidence"] - found["right"]).abs()).sum())


def summarize(table: pd.DataFrame, tissues: Mapping[str, str]) -> str:
    """Tables of the errors, in Markdown."""
    by_temperature = dict(list(table.groupby("temperature")))
    errors = {value: calibration_error(rows, tissues) for value, rows in by_temperature.items()}
    lines = ["| temperature | expected calibration error |", "|---|---|"]
    lines += [f"| {value:g} | {error:.3f} |" for value, error in errors.items()]
    default = by_temperature[TEMPERATURE]
    lines += ["", f"Temperature {TEMPERATURE:g}:", "", "| section | confidence | right | error |", "|---|---|---|---|"]
    for section, rows in default.groupby("section", sort=False):
        means = [np.average(rows[name], weights=rows["n_spots"]) for name in ("confidence", "right")]
        lines.append(f"| {section} | {means[0]:.2f} | {means[1]:.2f} | {calibration_error(rows, tissues):.3f} |")
    if len(set(tissues.values())) > 1:
        lines += ["", "| left out | best temperature elsewhere | error on the left-out tissue |", "|---|---|---|"]
        kept = []
        for tissue in dict.fromkeys(tissues.values()):
            inside = table["section"].map(tissues) == tissue
            elsewhere = {
                value: calibration_error(rows, tissues) for value, rows in table[~inside].groupby("temperature")
            }
            best = min(elsewhere, key=lambda value: elsewhere[value])
            kept.append(table[inside & (table["temperature"] == best)])
            lines.append(f"| {tissue} | {best:g} | {calibration_error(kept[-1], tissues):.3f} |")
        lines += ["", f"All left-out tissues together: {calibration_error(pd.concat(kept), tissues):.3f}."]
    return "\n".join(lines) + "\n"


def draw(table: pd.DataFrame, tissues: Mapping[str, str], path: Path) -> None:
    """Draw the share of right spots by confidence, of the posterior and of the confidence."""
    figure, axes = plt.subplots(figsize=(4.4, 4.0), layout="constrained")
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    for temperature, name, color in ((1.0, "posterior probability", "#E69F00"), (TEMPERATURE, "confidence", "#0072B2")):
        found = curve(table[table["temperature"] == temperature], tissues)
        error = (found["weight"] * (found["confidence"] - found["right"]).abs()).sum()
        # Tenths with hardly any spots say nothing.
        shown = found[found["weight"] > 0.005]
        axes.plot(shown["confidence"], shown["right"], marker="o", color=color, label=f"{name} (error {error:.2f})")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence", ylabel="share of right spots")
    axes.grid(color=GRID)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    open_frame(axes)
    save(figure, path)
