"""Results of the cross-sample benchmark as tables and a picture."""

from pathlib import Path

import pandas as pd

from benchmarks.common.figures import GRID, open_frame, plt, save
from benchmarks.common.registry import (
    COMMON,
    CROSS_SAMPLE,
    CROSS_SAMPLE_IMAGE,
    CROSS_SAMPLE_IMAGE_PRESETS,
    CROSS_SAMPLE_PRESETS,
    IMAGE_MODEL,
    OTHER_COLOR,
)
from benchmarks.common.transfer_tables import on_front, table_of_methods, table_of_transfers, text_of_front

_METHODS = CROSS_SAMPLE | CROSS_SAMPLE_PRESETS | CROSS_SAMPLE_IMAGE | CROSS_SAMPLE_IMAGE_PRESETS


def write_summary(results: pd.DataFrame, transfer: pd.DataFrame, path: Path) -> None:
    """Write all tables as Markdown."""
    parts = [
        "# Across samples",
        "Mean ± standard deviation over seeds, and their number; one that draws nothing has one.",
    ]
    for case in dict.fromkeys(results["case"]):
        chosen = results[results["case"] == case]
        metrics = list(dict.fromkeys(chosen["metric"]))
        parts += [f"## {case}", table_of_methods(chosen, metrics, with_seeds=True)]
        if len(front := on_front(chosen, (*COMMON, IMAGE_MODEL))):
            parts.append(text_of_front(front))
    if not transfer.empty:
        parts += ["## Transfer of labels", table_of_transfers(transfer, IMAGE_MODEL)]
    path.write_text("\n\n".join(parts) + "\n")


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
        colors = [_METHODS[name].color if name in _METHODS else OTHER_COLOR for name in methods]
        for axis, metric in ((left, "ARI"), (right, "macro-F1" if "macro-F1" in set(chosen["metric"]) else "mixing")):
            groups = chosen[chosen["metric"] == metric].groupby("method")["value"]
            mean, deviation = groups.mean().reindex(methods), groups.std().reindex(methods).fillna(0)
            if mean.isna().all():
                axis.set_visible(False)
                continue
            axis.errorbar(mean, range(len(methods)), xerr=deviation, fmt="none", ecolor=colors)
            axis.scatter(mean, range(len(methods)), c=colors, s=18)
            axis.set(xlabel={"ARI": "ARI of pooled domains", "mixing": "Mixing of samples"}.get(metric, metric))
            axis.set_yticks(range(len(methods)), methods if axis is left else [])
            axis.invert_yaxis()
            axis.grid(axis="x", color=GRID)
            open_frame(axis)
        left.set_title(case, loc="left", fontsize=10)
    save(figure, path)
