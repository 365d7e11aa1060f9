"""Results of the scaling benchmark as tables and a picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import matplotlib
from _peers import PEERS
from _scaling_limits import FINISHED, OUT_OF_MEMORY, OUT_OF_TIME

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator

OURS = "spotscape"
#: Models of the package, by their name in the tables.
MODELS = {OURS: "SPOTSCAPE", "SEDR": "SEDR"}
LITERAL = "literal step"
#: Steps of a full-graph training with the defaults, by which the seconds of a literal step are multiplied.
N_LITERAL_STEPS = 300
#: Genes of the tissues that lines are drawn through.
N_GENES = 300
STAGES = ("read", "set-up", "model", "training", "embedding", "domains")
#: Points of a name in the picture.
_NAME_WIDTH, _NAME_HEIGHT = 75, 11
# Okabe and Ito's colours, which are told apart by all kinds of colour vision.
COLORS = {
    OURS: "#D55E00",
    f"{OURS}, GPU": "#E69F00",
    "SEDR": "#8C2D04",
    "NichePCA": "#0072B2",
    "CellCharter": "#009E73",
    "BANKSY": "#CC79A7",
    "GraphST": "#56B4E9",
    "dense formulas": "#555555",
}

Line = dict[str, Any]


def read_results(path: Path) -> list[Line]:
    """Read the lines, of which the last may have been cut off; of two lines of one run the later counts."""
    if not path.exists():
        return []
    text = path.read_text()
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        path.write_text(text)
    names = ("method", "n_cells", "n_genes", "n_slices", "repeat", "threads", "accelerator", "precision", "batch_size")
    return list({tuple(line[name] for name in names): line for line in map(json.loads, text.splitlines())}.values())


def title(line: Line) -> str:
    """Name of the method, with the settings that are not those of the package."""
    if line["method"] == LITERAL:
        return "dense formulas"
    parts = [PEERS[line["method"]].title if line["method"] in PEERS else line["method"]]
    parts += ["GPU"] if line["accelerator"] == "gpu" else []
    parts += [line["precision"]] if line["precision"] else []
    parts += [f"{line['batch_size']:,} a batch"] if line["batch_size"] else []
    return ", ".join(parts)


def seconds_and_gib(line: Line) -> tuple[float, float] | None:
    """Seconds in all and largest memory; of a run that did not finish those up to its end, ``None`` of a failed one."""
    if line["status"].startswith("failed"):
        return None
    if "total_seconds" in line:
        return line["total_seconds"], max(line["max_gib"], line["process_gib"])
    if "literal_seconds_per_step" in line:
        return N_LITERAL_STEPS * line["literal_seconds_per_step"], line["literal_gib"]
    return line["process_seconds"], line["process_gib"]


# -------------------------------------------------------------------------------------------------------- tables


def write_tables(results: Sequence[Line], path: Path) -> None:
    """Write all tables as Markdown."""
    parts = ["# Scaling", _conditions(results)]
    ours = [line for line in results if line["method"] in MODELS]
    if ours:
        parts += ["## Seconds of each stage", _table_of_stages(ours, "seconds")]
        parts += ["## Largest memory up to the end of each stage, GiB", _table_of_stages(ours, "peak_gib")]
        parts += ["## Training", _table_of_training(ours)]
    if compared := [line for line in results if line["method"] != LITERAL]:
        parts += ["## All methods: seconds, GiB, ARI (domains found)", _table_of_methods(compared)]
        parts += ["Only what found as many domains can be compared by ARI; Leiden is not told how many there are."]
    if literal := [line for line in results if line["method"] == LITERAL]:
        parts += ["## One full-graph step, as the published formulas stand and here", _table_of_steps(literal)]
    path.write_text("\n\n".join(parts) + "\n")


def _conditions(results: Sequence[Line]) -> str:
    threads = sorted({line["threads"] for line in results})
    devices = sorted({line["device"] for line in results if line.get("device")})
    packages = {name: number for line in results for name, number in line.get("versions", {}).items()}
    load = max((line.get("load", 0.0) for line in results), default=0.0)
    return (
        f"{' or '.join(map(str, threads))} thread(s); {', '.join(devices) or 'device not known'}; largest load of the "
        f"machine before a run {load:.1f}. " + ", ".join(f"{name} {packages[name]}" for name in sorted(packages)) + "."
    )


def _table_of_stages(ours: Sequence[Line], what: str) -> str:
    total = {"seconds": "total_seconds", "peak_gib": "max_gib"}[what]
    rows = [
        [
            _size(line),
            title(line),
            *(_number(line.get(what, {}).get(stage)) for stage in STAGES),
            _number(line.get(total)),
        ]
        for line in _in_order(ours)
    ]
    return _markdown(["cells × genes", "", *STAGES, "in all"], rows)


def _table_of_training(ours: Sequence[Line]) -> str:
    rows = [
        [
            *(_size(line), title(line), str(line.get("n_steps", "–"))),
            *(_number(line.get(name)) for name in ("seconds_per_step", "seconds_per_wait", "max_gpu_gib")),
            *(_number(line.get(name)) for name in ("gpu_utilization_percent", "ari")),
        ]
        for line in _in_order(ours)
    ]
    header = ["steps", "s a step", "s of waiting for a batch", "GPU GiB", "GPU busy, %", "ARI"]
    return _markdown(["cells × genes", "", *header], rows)


def _table_of_methods(results: Sequence[Line]) -> str:
    titles = sorted({title(line) for line in results}, key=_rank)
    rows = []
    for size in dict.fromkeys(_size(line) for line in _in_order(results)):
        cells = []
        for name in titles:
            there = [line for line in results if _size(line) == size and title(line) == name]
            cells.append("; ".join(_outcome(line) for line in there) or "–")
        rows.append([size, *cells])
    return _markdown(["cells × genes", *titles], rows)


def _outcome(line: Line) -> str:
    measured = seconds_and_gib(line)
    if measured is None:
        return "failed"
    text = ", ".join(map(_number, measured))
    if "ari" not in line:
        return f"{line['status']} ({text})"
    return f"{text}, {_number(line['ari'])} ({line['n_domains_found']})"


def _table_of_steps(literal: Sequence[Line]) -> str:
    names = ("literal_seconds_per_step", "spotscape_seconds_per_step", "ratio", "literal_gib", "spotscape_gib")
    rows = []
    for line in _in_order(literal):
        difference = line.get("relative_difference_of_the_telescope_loss")
        cells = [*(_number(line.get(name)) for name in names), "–" if difference is None else f"{difference:.1e}"]
        rows.append([_size(line), *cells, line["status"]])
    header = ["literal, s", "spotscape, s", "ratio", "literal, GiB", "spotscape, GiB", "difference of the loss", ""]
    return _markdown(["cells × genes", *header], rows)


def _in_order(results: Sequence[Line]) -> list[Line]:
    return sorted(results, key=lambda line: (line["n_genes"], line["n_cells"], title(line), line["repeat"]))


def _size(line: Line) -> str:
    return f"{line['n_cells']:,} × {line['n_genes']:,}"


def _rank(name: str) -> tuple[int, str]:
    order = list(COLORS)
    return (order.index(name) if name in order else len(order), name)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


# -------------------------------------------------------------------------------------------------------- picture


class End(NamedTuple):
    """A point that a name is written beside."""

    x: float
    y: float
    name: str
    color: str


def draw_figure(results: Sequence[Line], path: Path) -> None:
    """Draw seconds and memory against cells; a cross is where a run was ended, a diamond a tissue of more genes."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    names = sorted({title(line) for line in results}, key=_rank)
    for which, (axes, label) in enumerate(zip(panels, ("Seconds", "Peak memory (GiB)"), strict=True)):
        ends: list[End] = []
        for name in names:
            color = COLORS.get(name, "#000000")
            points = _points([line for line in results if title(line) == name], which)
            usual = [point for point in points if point.n_genes == N_GENES]
            style = {"color": color, "linestyle": "", "zorder": 3}
            axes.plot(*_xy(usual), color=color, linewidth=2.4 if name.startswith(OURS) else 1.4)
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
        axes.grid(color="#EEEEEE")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        _write_names(axes, ends)
    notes = []
    if any(line["status"] in (OUT_OF_TIME, OUT_OF_MEMORY) for line in results):
        notes.append("Crosses: ended at the limit of time (left) or memory (right).")
    if any(line["method"] == LITERAL for line in results):
        notes.append(f"Dense formulas: {N_LITERAL_STEPS} times the seconds of one training step.")
    figure.supxlabel(" ".join(notes), fontsize=8, color="#555555", x=0.01, ha="left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


class Point(NamedTuple):
    """Seconds or memory of one tissue, the median over repeats."""

    n_cells: int
    value: float
    n_genes: int
    finished: bool


def _points(lines: Sequence[Line], which: int) -> list[Point]:
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
    axes.set_xlim(left, right * (right / left) ** 0.22)
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
            fontweight="bold" if end.name.startswith(OURS) else None,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            zorder=4,
        )
