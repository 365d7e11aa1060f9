"""Measured integration of slices: the model beside common methods, what is kept of the biology beside what is mixed.

    python benchmarks/integration.py --case cortex=A.h5ad,B.h5ad --case starmap=C.h5ad --synthetic --out DIR

A case is all annotated slices of its files, as in ``accuracy.py``; ``--synthetic`` adds made-up tissues without and
with a strong batch effect, and one whose slices lack domains. Every method sees all spots of a case at once, no label,
and is scored by ``metrics.integration_scores``; by the domains that ``tl.domains`` and k-means find in it, pooled and
in each slice; and by how well its nearest neighbours in the other slices tell the label of a slice that was left out.

A row of DIR/results.csv is one number; rows are appended as soon as a run is done, and what is there is not computed
again: take a new DIR after the package has changed. Representations are kept in DIR/latents. DIR/transfer.csv has the
bootstrap of the transfer of labels; DIR/summary.md and DIR/integration.png are drawn from both; --tables-only draws
them without computing anything.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from _integration_cases import Case, find_cases, lacked_domains, load_case
from _integration_methods import METHODS, OURS, VARIANTS, WITHOUT_SEED
from _integration_tables import write_figure, write_summary
from _sections import Keys, Section
from _transfer_runs import Annotation, TransferBenchmark, read_results, read_transfers
from anndata import AnnData
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

import spotscape as sps


class Benchmark(TransferBenchmark):
    """Integration of the slices of a case."""

    ours = OURS

    def make(self, case: Case, method: str, seed: int) -> np.ndarray:
        return (METHODS | VARIANTS)[method](case, self.keys, seed)

    def annotation(self, case: Case, seed: int) -> Annotation:
        section = load_case(case, self.keys)
        return Annotation(section.labels, annotated_slices(section), section.is_annotated)

    def is_compared(self, case: Case) -> bool:
        return case.source is not None and len(np.unique(self.annotation(case, 0).slices)) >= 3

    def score(self, case: Case, method: str, seed: int, values: np.ndarray) -> dict[str, float]:
        section = load_case(case, self.keys)
        # What no label is needed for is scored on all spots.
        labels = np.full(len(values), None, dtype=object)
        labels[section.is_annotated] = section.labels
        scores = sps.metrics.integration_scores(
            values, section.slices, labels, unintegrated=self.representation(case, "PCA", 0)
        )
        numbers = {f"bio: {name}": value for name, value in scores.bio.items()} | {"bio": scores.bio_mean}
        numbers |= {f"batch: {name}": value for name, value in scores.batch.items()} | {"batch": scores.batch_mean}
        return numbers | score_domains(case, section, values[section.is_annotated], seed)


def annotated_slices(section: Section) -> np.ndarray:
    """Slice of each annotated spot."""
    return section.slices[section.is_annotated]


def score_domains(case: Case, section: Section, values: np.ndarray, seed: int) -> dict[str, float]:
    """Compare domains of the annotated spots with their labels, pooled and in each slice."""
    adata, slices = AnnData(obsm={"X_found_in": values}), annotated_slices(section)
    sps.tl.domains(adata, "X_found_in", section.n_domains, key_added="found", seed=seed)
    domains = adata.obs["found"].to_numpy(str)
    readouts = {
        "tl.domains": domains,
        "k-means": KMeans(section.n_domains, n_init=10, random_state=seed).fit_predict(values).astype(str),
    }
    numbers = {}
    for readout, found in readouts.items():
        numbers |= {f"{readout} {name}": value for name, value in sps.metrics.scores(section.labels, found).items()}
        for name in np.unique(slices):
            here = slices == name
            numbers[f"{readout} ARI, {name}"] = sps.metrics.adjusted_rand_index(section.labels[here], found[here])
    for name, lacked in lacked_domains(case).items():
        numbers[f"lacked, {name}"] = share_of(section.labels, domains, slices == name, lacked)
    return numbers


def share_of(labels: np.ndarray, found: np.ndarray, here: np.ndarray, wanted: Sequence[str]) -> float:
    """Share of the spots ``here`` whose cluster is matched, over all spots, with one of the labels ``wanted``."""
    table = pd.crosstab(labels, found)
    rows, columns = linear_sum_assignment(table.to_numpy(), maximize=True)
    matched = [table.columns[column] for row, column in zip(rows, columns, strict=True) if table.index[row] in wanted]
    return float(np.isin(found[here], matched).mean())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, then write the summary and the picture."""
    options = _parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.tables_only:
        keys = Keys(size_factor=options.size_factor_key, dropped=tuple(options.drop_label))
        cases = find_cases(options.case, keys, synthetic=options.synthetic)
        # Seed by seed, so that every seed is complete before the next.
        runs = [
            (case, method, seed)
            for seed in range(options.seeds)
            for case in cases
            for method in options.methods
            if seed == 0 or method not in WITHOUT_SEED
        ]
        Benchmark(cases, keys, options.out).measure(runs)
    results = read_results(options.out)
    if results.empty:
        raise SystemExit(f"There are no results in {options.out}.")
    write_summary(results, read_transfers(options.out), options.out / "summary.md")
    write_figure(results, options.out / "integration.png")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", default=[], metavar="NAME=A.h5ad,B.h5ad", help="repeatable")
    parser.add_argument("--synthetic", action="store_true", help="add the made-up tissues")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds (default: 10)")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, *VARIANTS], default=list(METHODS), metavar="NAME")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--drop-label", action="append", default=[], metavar="LABEL", help="no annotation; repeatable")
    parser.add_argument("--size-factor-key", metavar="KEY", help="totals over all genes; used where a file has them")
    parser.add_argument("--tables-only", action="store_true", help="compute nothing")
    options = parser.parse_args(arguments)
    if not (options.case or options.synthetic or options.tables_only):
        parser.error("give at least one --case, --synthetic, or --tables-only")
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; it must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
