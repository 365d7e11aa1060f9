"""How well expression is told that a method has not seen.

    python benchmarks/imputation.py 151673.h5ad patientA.h5ad --seeds 3 --out results/

Counts are hidden in two ways:

* thinning: each molecule is hidden with a probability of 20 %; hidden molecules are independent of what was shown, so
  no method gains by repeating its noise. Poisson deviance for each hidden molecule, and correlation of each gene;
* hold-out: 10, 20 and 30 % of the non-zero entries are set to zero. Error of their log-normalised expression, and
  correlation of each gene over them.

Rows that are in ``results.csv`` already are not measured again.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from _imputation_cases import Hidden, averages, hold_out, log_normalized, score_hold_out, score_thinning, thin
from _imputation_tables import write_figure, write_summary
from anndata import AnnData
from scipy import sparse

import spotscape as sps

MODELS = {"SPOTSCAPE": sps.SPOTSCAPE, "SEDR": sps.SEDR}
CASES = {"thinning": None, "hold-out 10 %": 0.1, "hold-out 20 %": 0.2, "hold-out 30 %": 0.3}
LAST_FLOOR = "expression kNN"
Row = dict[str, Any]


def read(path: str) -> AnnData:
    """Counts of a section, with a column that names its slices."""
    adata = anndata.read_h5ad(path)
    adata.X = sparse.csr_matrix(adata.X)
    if "slice" not in adata.obs:
        adata.obs["slice"] = Path(path).stem
    return adata


def hide(adata: AnnData, case: str, seed: int) -> Hidden:
    """Hide counts in one of the ways of :data:`CASES`."""
    rate = CASES[case]
    return thin(adata, seed) if rate is None else hold_out(adata, seed, rate)


def floor_rows(hidden: Hidden, case: str, seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Scores of what needs no model."""
    counts, n_spots = hidden.adata.X, hidden.adata.n_obs
    totals = np.asarray(counts.sum(axis=1)).ravel()
    if case == "thinning":
        shown, score = sparse.csr_matrix(sparse.diags(1 / np.maximum(totals, 1)) @ counts), score_thinning
        mean = np.asarray(counts.sum(axis=0)).ravel() / counts.sum()
    else:
        shown, score = log_normalized(counts, totals), score_hold_out
        mean = np.asarray(shown.mean(axis=0)).ravel()
        n_seen = np.maximum(np.diff(shown.tocsc().indptr), 1)
        yield "mean of non-zeros", score(np.broadcast_to(mean * n_spots / n_seen, shown.shape), hidden)
    yield "gene mean", score(np.broadcast_to(mean, shown.shape), hidden)
    for name, average in averages(hidden.adata, seed).items():
        yield name, score((average @ shown).toarray(), hidden)


def model_scores(name: str, hidden: Hidden, case: str, seed: int, max_epochs: int | None) -> dict[str, float]:
    """Scores of a model with its defaults."""
    adata = hidden.adata.copy()
    MODELS[name].setup_anndata(adata, slice_key="slice")
    model = MODELS[name](adata, seed=seed)
    model.train(max_epochs, enable_progress_bar=False)
    if case == "thinning":
        return score_thinning(model.get_normalized_expression(return_numpy=True), hidden)
    return score_hold_out(model.get_normalized_expression(log_normalized=True, return_numpy=True), hidden)


def measure(path: str, case: str, seed: int, done: set[str], max_epochs: int | None) -> Iterator[Row]:
    """Score every method that is not done yet on one way of hiding."""
    if {LAST_FLOOR, *MODELS} <= done:
        return
    hidden = hide(read(path), case, seed)
    about = {"data": Path(path).stem, "case": case, "seed": seed}
    if LAST_FLOOR not in done:
        yield from (about | {"method": name} | s for name, s in floor_rows(hidden, case, seed) if name not in done)
    for name in (name for name in MODELS if name not in done):
        yield about | {"method": name} | model_scores(name, hidden, case, seed, max_epochs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure everything, and write rows, table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-epochs", type=int)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    table = options.out / "results.csv"
    rows = pd.read_csv(table).to_dict("records") if table.exists() else []
    for case in options.cases:
        for seed in range(options.seeds):
            for path in options.files:
                key = (Path(path).stem, case, seed)
                done = {row["method"] for row in rows if (row["data"], row["case"], row["seed"]) == key}
                for row in measure(path, case, seed, done, options.max_epochs):
                    rows.append(row)
                    pd.DataFrame(rows).to_csv(table, index=False, float_format="%.6g")
                    print(row, flush=True)
    results = pd.read_csv(table)
    write_summary(results, options.out / "summary.md")
    write_figure(results, options.out / "imputation.png")


if __name__ == "__main__":
    main()
