"""Results of the scaling benchmark: one row for each process that was measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.common.registry import DEFAULT_MODEL, DOMAIN_PEERS, MODELS
from benchmarks.common.results import Results, Row

LITERAL = "literal step"
#: Steps of a full-graph training with the defaults, by which the seconds of a literal step are multiplied.
N_LITERAL_STEPS = 300
STAGES = ("read", "set-up", "model", "training", "embedding", "domains")
#: Columns by which a run is known again.
RUN = {
    **{"method": str, "n_cells": int, "n_genes": int, "n_slices": int, "repeat": int, "threads": int},
    **{"accelerator": str, "precision": str, "batch_size": int},
}
#: Quantities of each stage, by their names in a record; those of memory have a value before the first stage.
OF_STAGES = {"seconds": STAGES, "peak_gib": ("start", *STAGES), "current_gib": ("start", *STAGES)}
_OF_LITERAL = ("literal_seconds_per_step", "spotscape_seconds_per_step", "ratio", "literal_gib", "spotscape_gib")
COLUMNS = {
    **RUN,
    **{"status": str, "process_seconds": float, "process_gib": float, "load": float},
    **{"total_seconds": float, "processor_seconds": float, "max_gib": float},
    **{f"{quantity}, {stage}": float for quantity, stages in OF_STAGES.items() for stage in stages},
    **{"n_steps": int, "seconds_per_step": float, "seconds_per_wait": float},
    **{"device": str, "max_gpu_gib": float, "gpu_utilization_percent": float},
    **{"ari": float, "n_domains_found": int, "versions": str},
    **dict.fromkeys((*_OF_LITERAL, "relative_difference_of_the_telescope_loss"), float),
}


def results_of(folder: Path) -> Results:
    """Rows in a folder, each of one run."""
    return Results(folder / "results.csv", COLUMNS, list(RUN))


def read_lines(results: Results) -> list[Row]:
    """Rows without what is missing in them; of two rows of one run the later counts."""
    rows = results.read().drop_duplicates(results.keys, keep="last").to_dict("records")
    return [{name: value for name, value in row.items() if not pd.isna(value) and value != ""} for row in rows]


def flatten(record: Mapping[str, Any]) -> Row:
    """Row of a record that a measured process has written."""
    row: Row = {}
    for name, value in record.items():
        if name in OF_STAGES:
            row |= {f"{name}, {stage}": number for stage, number in value.items()}
        elif name == "versions":
            row[name] = "; ".join(f"{package} {version}" for package, version in value.items())
        elif name in COLUMNS:
            row[name] = value
    return row


def versions_of(lines: list[Row]) -> dict[str, str]:
    """Version of each package that took part."""
    pairs = [text.rsplit(" ", 1) for line in lines for text in line.get("versions", "").split("; ") if text]
    return dict(pairs)


def title(line: Row) -> str:
    """Name of the method, with the settings that are not those of the package."""
    if line["method"] == LITERAL:
        return "dense formulas"
    parts = [DOMAIN_PEERS[line["method"]].title if line["method"] in DOMAIN_PEERS else line["method"]]
    parts += ["GPU"] if line["accelerator"] == "gpu" else []
    parts += [line["precision"]] if line.get("precision") else []
    parts += [f"{line['batch_size']:,} a batch"] if line.get("batch_size") else []
    return ", ".join(parts)


def seconds_and_gib(line: Row) -> tuple[float, float] | None:
    """Seconds in all and largest memory; of a run that did not finish those up to its end, ``None`` of a failed one."""
    if line["status"].startswith("failed"):
        return None
    if "total_seconds" in line:
        return line["total_seconds"], max(line["max_gib"], line["process_gib"])
    if "literal_seconds_per_step" in line:
        return N_LITERAL_STEPS * line["literal_seconds_per_step"], line["literal_gib"]
    return line["process_seconds"], line["process_gib"]


#: Colours of the titles, in the order of tables. Okabe and Ito's, which are told apart by all kinds of colour vision.
COLORS = {
    DEFAULT_MODEL: MODELS[DEFAULT_MODEL].color,
    f"{DEFAULT_MODEL}, GPU": "#E69F00",
    **{name: model.color for name, model in MODELS.items() if name != DEFAULT_MODEL},
    **{peer.title: peer.color for peer in DOMAIN_PEERS.values()},
    "dense formulas": "#555555",
}


def rank(name: str) -> tuple[int, str]:
    """Place of a title in tables and legends."""
    order = list(COLORS)
    return (order.index(name) if name in order else len(order), name)
