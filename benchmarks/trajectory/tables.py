"""Table and figure of the benchmark of trajectories."""

from pathlib import Path

import pandas as pd
from anndata import AnnData

import spotscape as sps
from benchmarks.common.figures import save
from benchmarks.common.results import Results
from benchmarks.common.tables import cells, markdown
from benchmarks.trajectory.scores import DEFAULT, REP, overlapping

COLUMNS = {
    **{"section": str, "method": str, "seed": int, "root": str, "n_neighbors": int},
    **{"spearman": float, "kendall": float, "ari": float, "n_edges": int, "consecutive": int, "adjacent": int},
}


def results_of(folder: Path) -> Results:
    """Rows in a folder; all rows of a section, method and seed are written together."""
    return Results(folder / "results.csv", COLUMNS, ["section", "method", "seed"], digits=4)


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write mean and standard deviation over seeds, a row a section and representation.

    All columns but those of other numbers of neighbours are with the default. Edges are those of the domains; the last
    column is that of the annotated labels.
    """
    others = sorted(set(results["n_neighbors"]) - {DEFAULT})
    rows = []
    for (section, method), part in results.groupby(["section", "method"], sort=False):
        predicted, known = (part[part["root"] == root] for root in ("predicted", "annotated"))
        usual, known = predicted[predicted["n_neighbors"] == DEFAULT], known[known["n_neighbors"] == DEFAULT]
        scores = [usual["spearman"], usual["kendall"], known["spearman"]]
        scores += [predicted.loc[predicted["n_neighbors"] == number, "spearman"] for number in others]
        edges = [_whole(usual, "adjacent"), _whole(usual, "consecutive"), _whole(known, "adjacent")]
        rows.append([section, method, usual["seed"].nunique(), *map(cells, scores), *edges])
    header = ["section", "representation", "seeds", "Spearman", "Kendall", "Spearman, annotated root"]
    header += [f"Spearman, {number} neighbours" for number in others]
    header += ["edges adjacent", "edges consecutive", "edges of labels adjacent"]
    path.write_text(markdown(header, rows) + "\n", encoding="utf-8")


def _whole(rows: pd.DataFrame, column: str) -> str:
    """In how many runs all of the strongest edges count."""
    return f"{int((rows[column] == rows['n_edges']).sum())} of {len(rows)}"


def draw(adata: AnnData, root: str, path: Path) -> None:
    """Draw a section with its predicted domains."""
    sps.tl.domains(adata, REP, adata.obs["label"].nunique())
    sps.tl.trajectory(adata, overlapping(adata, root), use_rep=REP)
    save(sps.pl.trajectory(adata, return_fig=True), path)
