"""Results of the scaling benchmark as tables."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.registry import DEFAULT_MODEL, MODELS
from benchmarks.common.results import Row
from benchmarks.common.tables import markdown
from benchmarks.scaling.results import LITERAL, STAGES, rank, seconds_and_gib, title, versions_of


def write_tables(results: Sequence[Row], path: Path) -> None:
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


def _conditions(results: Sequence[Row]) -> str:
    threads = sorted({line["threads"] for line in results})
    devices = sorted({line["device"] for line in results if line.get("device")})
    packages = versions_of(results)
    load = max((line.get("load", 0.0) for line in results), default=0.0)
    return (
        f"{' or '.join(map(str, threads))} thread(s); {', '.join(devices) or 'device not known'}; largest load of the "
        f"machine before a run {load:.1f}. " + ", ".join(f"{name} {packages[name]}" for name in sorted(packages)) + "."
    )


def _table_of_stages(ours: Sequence[Row], what: str) -> str:
    total = {"seconds": "total_seconds", "peak_gib": "max_gib"}[what]
    rows = [
        [
            _size(line),
            title(line),
            *(_number(line.get(f"{what}, {stage}")) for stage in STAGES),
            _number(line.get(total)),
        ]
        for line in _in_order(ours)
    ]
    return markdown(["cells × genes", "", *STAGES, "in all"], rows)


def _table_of_training(ours: Sequence[Row]) -> str:
    rows = [
        [
            *(_size(line), title(line), str(line.get("n_steps", "–"))),
            *(_number(line.get(name)) for name in ("seconds_per_step", "seconds_per_wait", "max_gpu_gib")),
            *(_number(line.get(name)) for name in ("gpu_utilization_percent", "ari")),
        ]
        for line in _in_order(ours)
    ]
    header = ["steps", "s a step", "s of waiting for a batch", "GPU GiB", "GPU busy, %", "ARI"]
    return markdown(["cells × genes", "", *header], rows)


def _table_of_methods(results: Sequence[Row]) -> str:
    titles = sorted({title(line) for line in results}, key=rank)
    rows = []
    for size in dict.fromkeys(_size(line) for line in _in_order(results)):
        cells = []
        for name in titles:
            there = [line for line in results if _size(line) == size and title(line) == name]
            cells.append("; ".join(_outcome(line) for line in there) or "–")
        rows.append([size, *cells])
    return markdown(["cells × genes", *titles], rows)


def _outcome(line: Row) -> str:
    measured = seconds_and_gib(line)
    if measured is None:
        return "failed"
    text = ", ".join(map(_number, measured))
    if "ari" not in line:
        return f"{line['status']} ({text})"
    return f"{text}, {_number(line['ari'])} ({line['n_domains_found']})"


def _table_of_steps(literal: Sequence[Row]) -> str:
    names = ("literal_seconds_per_step", "spotscape_seconds_per_step", "ratio", "literal_gib", "spotscape_gib")
    rows = []
    for line in _in_order(literal):
        difference = line.get("relative_difference_of_the_telescope_loss")
        cells = [*(_number(line.get(name)) for name in names), "–" if difference is None else f"{difference:.1e}"]
        rows.append([_size(line), *cells, line["status"]])
    ours = DEFAULT_MODEL
    header = ["literal, s", f"{ours}, s", "ratio", "literal, GiB", f"{ours}, GiB", "difference of the loss", ""]
    return markdown(["cells × genes", *header], rows)


def _in_order(results: Sequence[Row]) -> list[Row]:
    return sorted(results, key=lambda line: (line["n_genes"], line["n_cells"], title(line), line["repeat"]))


def _size(line: Row) -> str:
    return f"{line['n_cells']:,} × {line['n_genes']:,}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
