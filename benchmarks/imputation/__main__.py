"""How well expression is told that a method has not seen.

    python -m benchmarks.imputation 151673.h5ad patientA.h5ad --seeds 3 --out results/

Counts are hidden in two ways:

* thinning: each molecule is hidden with a probability of 20 %; hidden molecules are independent of what was shown, so
  no method gains by repeating its noise. Poisson deviance for each hidden molecule, and correlation of each gene;
* hold-out: 10, 20 and 30 % of the non-zero entries are set to zero. Error of their log-normalised expression, and
  correlation of each gene over them.

Rows that are in DIR/results.csv already are not measured again; DIR/summary.md and DIR/imputation.png are drawn from
all.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from scipy import sparse

from benchmarks.common import options as shared
from benchmarks.common.reading import read_counts
from benchmarks.common.registry import MODELS
from benchmarks.common.results import Row, check_settings
from benchmarks.common.training import train
from benchmarks.imputation.floors import IN_EXPRESSION, floor_scores
from benchmarks.imputation.hiding import CASES, Hidden, hide
from benchmarks.imputation.scores import score_hold_out, score_thinning
from benchmarks.imputation.tables import results_of, write_figure, write_summary


def model_scores(name: str, hidden: Hidden, case: str, seed: int, max_epochs: int | None) -> dict[str, float]:
    """Scores of a model with its defaults."""
    model = train(name, hidden.adata.copy(), seed, settings={"train": {"max_epochs": max_epochs}})
    if CASES[case] is None:
        return score_thinning(model.get_normalized_expression(return_numpy=True), hidden)
    return score_hold_out(model.get_normalized_expression(log_normalized=True, return_numpy=True), hidden)


def measure(path: str, case: str, seed: int, done: set[str], max_epochs: int | None) -> Iterator[Row]:
    """Score every method that is not done yet on one way of hiding."""
    if {IN_EXPRESSION, *MODELS} <= done:
        return
    adata = read_counts(path)
    adata.X = sparse.csr_matrix(adata.X)
    hidden = hide(adata, case, seed)
    about = {"data": Path(path).stem, "case": case, "seed": seed}
    # The last floor is there only where all of them are.
    if IN_EXPRESSION not in done:
        yield from (about | {"method": name} | s for name, s in floor_scores(hidden, case, seed) if name not in done)
    for name in (name for name in MODELS if name not in done):
        yield about | {"method": name} | model_scores(name, hidden, case, seed, max_epochs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything, and write rows, table and figure."""
    options = _parse(arguments)
    check_settings(options.out, {"max_epochs": options.max_epochs})
    results = results_of(options.out)
    for case in options.cases:
        for seed in range(options.seeds):
            for path in options.files:
                done = {key[3] for key in results.done() if key[:3] == (Path(path).stem, case, seed)}
                for row in measure(path, case, seed, done, options.max_epochs):
                    results.write([row])
                    print(row, flush=True)
    rows = results.read()
    write_summary(rows, options.out / "summary.md")
    write_figure(rows, options.out / "imputation.png")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("imputation", __doc__)
    parser.add_argument("files", nargs="+", type=shared.existing_file)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    shared.add_seeds(parser, 3)
    shared.add_max_epochs(parser)
    return shared.parse(parser, arguments, positive=("seeds", "max_epochs"))


if __name__ == "__main__":
    sys.exit(main())
