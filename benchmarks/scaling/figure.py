"""Picture of the scaling benchmark."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator

from benchmarks.common.figures import GRID, open_frame, plt, save
from benchmarks.common.registry import DEFAULT_MODEL
from benchmarks.common.results import Row
from benchmarks.scaling.data import N_GENES
from benchmarks.scaling.limits import FINISHED, OUT_OF_MEMORY, OUT_OF_TIME
from benchmarks.scaling.results import COLORS, LITERAL, N_LITERAL_STEPS, rank, seconds_and_gib, title

#: Points of a name in the picture.
_NAME_WIDTH, _NAME_HEIGHT = 75, 11


class Point(NamedTuple):
    """Seconds or memory of one tissue, the median over repeats."""

    n_cells: int
    value: float
    n_genes: int
    finished: bool


class End(NamedTuple):
    """A point that a name is written beside."""

    x: float
    y: float
    name: str
    color: str


def draw_figure(results: Sequence[Row], path: Path) -> None:
    """Draw seconds and memory against cells; a cross is where a run was ended, a diamond a tissue of more genes."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    names = sorted({title(line) for line in results}, key=rank)
    for which, (axes, label) in enumerate(zip(panels, ("Seconds", "Peak memory (GiB)"), strict=True)):
        ends: list[End] = []
        for name in names:
            color = COLORS.get(name, "#000000")
            points = points_of([line for line in results if title(line) == name], which)
            usual = [point for point in points if point.n_genes == N_GENES]
            style = {"color": color, "linestyle": "", "zorder": 3}
            axes.plot(*_xy(usual), color=color, linewidth=2.4 if name.startswith(DEFAULT_MODEL) else 1.4)
            axes.plot(*_xy([point for point in usual if point.finished]), marker="o", markersize=4.5, **style)
            axes.plot(*_xy([point for point in usual if not point.finished]), marker="X", markersize=8, **style)
            ends += [End(*usual[-1][:2], name, color)] if usual else []
            for point in points:
                if point.n_genes != N_GENES:
                    axes.plot(*point[:2], marker="D", markersize=5, markerfacecolor="white", **style)
                    ends.append(End(*point[:2], f"{point.n_genes:,} genes", color))
        if not ends:
            axes.set_visible(False)
            continue
        axes.set(xscale="log", yscale="log", xlabel="Cells")
        axes.set_title(label, loc="left", fontsize=11)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.minorticks_off()
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        open_frame(axes)
        _write_names(axes, ends)
    notes = []
    if any(line["status"] in (OUT_OF_TIME, OUT_OF_MEMORY) for line in results):
        notes.append("Crosses: ended at the limit of time (left) or memory (right).")
    if any(line["method"] == LITERAL for line in results):
        notes.append(f"Dense formulas: {N_LITERAL_STEPS} times the seconds of one training step.")
    figure.supxlabel(" ".join(notes), fontsize=8, color="#555555", x=0.01, ha="left")
    save(figure, path, dpi=150)


def points_of(lines: Sequence[Row], which: int) -> list[Point]:
    """Points of one method in the order of cells: of seconds if ``which`` is 0, and of memory if it is 1."""
    values: dict[tuple[int, int], list[float]] = {}
    ended = set()
    for line in lines:
        # What the other limit cut short says nothing about this quantity.
        if line["status"] == (OUT_OF_MEMORY, OUT_OF_TIME)[which] or (measured := seconds_and_gib(line)) is None:
            continue
        size = (line["n_cells"], line["n_genes"])
        values.setdefault(size, []).append(measured[which])
        if line["status"] != FINISHED:
            ended.add(size)
    return [Point(size[0], median(values[size]), size[1], size not in ended) for size in sorted(values)]


def _xy(points: Sequence[Point]) -> tuple[list[int], list[float]]:
    return [point.n_cells for point in points], [point.value for point in points]


def _write_names(axes: Axes, ends: Sequence[End]) -> None:
    """Write names beside points, moved up where they would cover each other."""
    # Room for a name beside the largest size.
    left, right = axes.get_xlim()
    axes.set_xlim(left, right * (right / left) ** 0.26)
    axes.figure.canvas.draw()
    scale = axes.figure.dpi / 72
    placed: list[tuple[float, float]] = []
    for end in sorted(ends, key=lambda end: end.y):
        across, start = axes.transData.transform((end.x, end.y))
        height = start
        for other_across, other_height in sorted(placed, key=lambda place: place[1]):
            if abs(across - other_across) < _NAME_WIDTH * scale and abs(height - other_height) < _NAME_HEIGHT * scale:
                height = other_height + _NAME_HEIGHT * scale
        placed.append((across, height))
        axes.annotate(
            end.name,
            (end.x, end.y),
            (7, (height - start) / scale),
            textcoords="offset points",
            va="center",
            color=end.color,
            fontsize=9,
            fontweight="bold" if end.name.startswith(DEFAULT_MODEL) else None,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            zorder=4,
        )
