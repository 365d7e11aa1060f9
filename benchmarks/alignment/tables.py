"""Results of the alignment benchmark and their table."""

from pathlib import Path

import pandas as pd

from benchmarks.alignment.cases import CASES
from benchmarks.alignment.ways import FLOORS, KEYS, ways_of
from benchmarks.common.registry import ALIGNMENT_PEER, MODELS
from benchmarks.common.results import Results
from benchmarks.common.tables import cells, markdown

COLUMNS = {
    **{"case": str, "reference": str, "query": str, "way": str, "seed": int},
    **dict.fromkeys(("ltari", "coupled", "quality", "margin", "angle"), float),
}


def results_of(folder: Path) -> Results:
    """Rows in a folder, each of a case, direction, way and seed."""
    return Results(folder / "results.csv", COLUMNS, KEYS, digits=4)


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write mean and standard deviation over seeds, a row a case and direction."""
    of_models = [way for model in MODELS for way in ways_of(model)]
    ways = [way for way in (*of_models, *FLOORS, ALIGNMENT_PEER) if way in set(results["way"])]
    order = {case.name: number for number, case in enumerate(CASES)}
    results = results.sort_values("case", key=lambda names: names.map(order), kind="stable")
    rows = []
    for (case, query, reference), part in results.groupby(["case", "query", "reference"], sort=False):
        scores = [part.loc[part["way"] == way, "ltari"] for way in ways]
        n_seeds = [int((part["way"] == next(iter(ways_of(model)))).sum()) for model in MODELS]
        seeds = ", ".join(str(number) for number in n_seeds if number)
        rows.append([case, f"{query} on {reference}", seeds, *(cells(some) if len(some) else "" for some in scores)])
    path.write_text(markdown(["case", "query on reference", "seeds", *ways], rows) + "\n")
