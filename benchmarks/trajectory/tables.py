"""Table and figure of the benchmark of trajectories."""

from pathlib import Path

import pandas as pd
from anndata import AnnData

import spotscape as sps
from benchmarks.common.figures import save
from benchmarks.common.results import Results
from benchmarks.common.tables import cells, markdown
from benchmarks.trajectory.scores import REP, overlapping

COLUMNS = {
    **{"section": str, "method": str, "seed": int, "root": str, "n_neighbors": int},
    **{"spearman": float, "kendall": float, "ari": float, "n_edges": int, "consecutive": int, "adjacent": int},
}


def results_of(folder: Path) -> Results:
    """Rows in a folder; all rows of a section, method and seed are written together."""
    return Results(folder / "results.csv", COLUMNS, ["section", "method", "seed"], digits=4)


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write mean and standard deviation over seeds, a row a section, method, root and number of neighbours."""
    rows = []
    keys = ["section", "method", "root", "n_neighbors"]
    for (section, method, root, n_neighbors), part in results.groupby(keys, sort=False):
        whole = [int((part[name] == part["n_edges"]).sum()) for name in ("adjacent", "consecutive")]
        shown = [f"{number} of {len(part)}" for number in whole]
        rows.append([section, method, root, n_neighbors, cells(part["spearman"]), cells(part["kendall"]), *shown])
    header = ["section", "representation", "root", "neighbours", "Spearman", "Kendall"]
    path.write_text(markdown([*header, "all edges adjacent", "all edges consecutive"], rows) + "\n", encoding="utf-8")


def draw(adata: AnnData, root: str, path: Path) -> None:
    """Draw a section with its predicted domains."""
    sps.tl.domains(adata, REP, adata.obs["label"].nunique())
    sps.tl.trajectory(adata, overlapping(adata, root), use_rep=REP)
    save(sps.pl.trajectory(adata, return_fig=True), path)
