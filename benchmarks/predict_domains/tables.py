"""Results of the benchmark of predicted domains and their table."""

from pathlib import Path

import pandas as pd

from benchmarks.common.results import Results
from benchmarks.common.tables import cells, markdown

COLUMNS = {"case": str, "model": str, "seed": int, "way": str, "ari": float, "calibration_error": float}


def results_of(folder: Path) -> Results:
    """Rows in a folder; all rows of a case, model and seed are written together."""
    return Results(folder / "results.csv", COLUMNS, ["case", "model", "seed"], digits=4)


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write mean and standard deviation over seeds, a row a case."""
    ways = list(dict.fromkeys(results["way"]))
    rows = []
    for case, part in results.groupby("case", sort=False):
        scores = [cells(part.loc[part["way"] == way, "ari"]) for way in ways]
        errors = cells(part.loc[part["way"] == "predicted", "calibration_error"])
        rows.append([case, part["seed"].nunique(), *scores, errors])
    path.write_text(markdown(["case", "seeds", *ways, "calibration error"], rows) + "\n", encoding="utf-8")
