"""Picture of the accuracy benchmark."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.accuracy.published import PUBLISHED
from benchmarks.accuracy.tables import is_slice
from benchmarks.common.figures import GRID, open_frame, plt, save
from benchmarks.common.readouts import DEFAULT, KMEANS, MIXTURE
from benchmarks.common.registry import DEFAULT_MODEL, FLOORS

#: Colours of the read-outs of the model.
_COLORS = {KMEANS: "#D55E00", DEFAULT: "#0072B2"}
_MARKERS = {KMEANS: "o", MIXTURE: "D", DEFAULT: "D"}


def write_figure(results: pd.DataFrame, path: Path, ours: str = DEFAULT_MODEL) -> None:
    """Draw ARI of each section: the default model, principal components and published figures."""
    series = [(ours, "default", readout, color) for readout, color in _COLORS.items()]
    there = results[results["method"].isin(FLOORS)]
    # Results that are older than the default read-out of floors have a mixture.
    second = DEFAULT if DEFAULT in set(there["readout"]) else MIXTURE
    for floor in (name for name in FLOORS if name in set(there["method"])):
        series += [(floor, "", readout, FLOORS[floor].color) for readout in (KMEANS, second)]
    marks = dict(zip(dict.fromkeys(figures.method for figures in PUBLISHED.get(ours, ())), "+x", strict=False))
    sections = list(dict.fromkeys(results["section"]))
    n_lanes = len(series) + 3
    figure, axes = plt.subplots(figsize=(8.5, 1.6 + 1.0 * len(sections)), layout="constrained")
    for lane, (method, variant, readout, color) in enumerate(series):
        chosen = results[
            (results["method"] == method) & (results["variant"] == variant) & (results["readout"] == readout)
        ]
        stats = chosen.groupby("section")["ari"].agg(["mean", "std"]).reindex(sections)
        axes.errorbar(
            stats["mean"],
            np.arange(len(sections)) + (lane + 1.5) / n_lanes,
            xerr=stats["std"].fillna(0),
            fmt=_MARKERS[readout],
            color=color,
            markersize=5,
            linewidth=1,
            label=f"{method}, {readout}",
        )
    for method, marker in marks.items():
        points = [
            (figures.ari, index + (n_lanes - 1) / n_lanes)
            for figures in PUBLISHED.get(ours, ())
            for index, section in enumerate(sections)
            if figures.method == method and is_slice(section, figures.slice)
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker, color="black", markersize=6, label=f"{method}, published")
    for edge in range(1, len(sections)):
        axes.axhline(edge, color="#DDDDDD", linewidth=0.8)
    axes.set_yticks(np.arange(len(sections)) + 0.5, [section.replace(" + ", " +\n") for section in sections])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(sections), 0)
    axes.set_xlabel("Adjusted Rand index (mean and standard deviation over seeds)")
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    open_frame(axes, "left")
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda index: labels[index].endswith("published"))
    legend = ([handles[index] for index in order], [labels[index] for index in order])
    figure.legend(*legend, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    save(figure, path, dpi=150)
