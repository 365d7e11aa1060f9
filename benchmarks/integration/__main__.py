"""Measured integration of slices: the model beside common methods, what is kept of the biology beside what is mixed.

    python -m benchmarks.integration --case cortex=A.h5ad,B.h5ad --case starmap=C.h5ad --synthetic --out DIR

A case is all annotated slices of its files, as in ``benchmarks.accuracy``; ``--synthetic`` adds made-up tissues without
and with a strong batch effect, and one whose slices lack domains. Every method sees all spots of a case at once, no
label, and is scored by ``metrics.integration_scores``; by the domains that ``tl.domains`` and k-means find in it,
pooled and in each slice; and by how well its nearest neighbours in the other slices tell the label of a slice that was
left out.

A row of DIR/results.csv is one number; rows are appended as soon as a run is done, and what is there is not computed
again: take a new DIR after the package has changed. Representations are kept in DIR/latents. DIR/transfer.csv has the
bootstrap of the transfer of labels; DIR/summary.md and DIR/integration.png are drawn from both; --tables-only draws
them without computing anything.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

import spotscape as sps
from benchmarks.common import options as shared
from benchmarks.common.reading import Section
from benchmarks.common.readouts import DEFAULT, KMEANS, find_domains
from benchmarks.common.registry import DEFAULT_MODEL, INTEGRATION, INTEGRATION_VARIANTS
from benchmarks.common.results import check_settings
from benchmarks.common.transfer_runs import TransferBenchmark, write_tables
from benchmarks.integration.cases import Case, find_cases, lacked_domains, load_case
from benchmarks.integration.tables import write_figure, write_summary

METHODS = INTEGRATION | INTEGRATION_VARIANTS


class Benchmark(TransferBenchmark):
    """Integration of the slices of a case."""

    ours = DEFAULT_MODEL

    def section(self, case: Case, seed: int) -> Section:
        return load_case(case)

    def make(self, case: Case, method: str, seed: int) -> np.ndarray:
        return METHODS[method].represent(load_case(case), seed)

    def is_compared(self, case: Case) -> bool:
        return case.source is not None and len(np.unique(load_case(case).annotated_slices)) >= 3

    def score(self, case: Case, method: str, seed: int, values: np.ndarray) -> dict[str, float]:
        section = load_case(case)
        # What no label is needed for is scored on all spots.
        scores = sps.metrics.integration_scores(
            values, section.slices, section.labels_of_all, unintegrated=self.representation(case, "PCA", 0)
        )
        numbers = {f"bio: {name}": value for name, value in scores.bio.items()} | {"bio": scores.bio_mean}
        numbers |= {f"batch: {name}": value for name, value in scores.batch.items()} | {"batch": scores.batch_mean}
        return numbers | score_domains(case, section, values[section.is_annotated], seed)


def score_domains(case: Case, section: Section, values: np.ndarray, seed: int) -> dict[str, float]:
    """Compare domains of the annotated spots with their labels, pooled and in each slice."""
    slices, numbers, found = section.annotated_slices, {}, {}
    for readout in (DEFAULT, KMEANS):
        found[readout] = find_domains(values, section.n_domains, readout=readout, seed=seed).astype(str)
        scores = sps.metrics.scores(section.labels, found[readout])
        numbers |= {f"{readout} {name}": value for name, value in scores.items()}
        for name in np.unique(slices):
            here = slices == name
            ari = sps.metrics.adjusted_rand_index(section.labels[here], found[readout][here])
            numbers[f"{readout} ARI, {name}"] = ari
    for name, lacked in lacked_domains(case).items():
        numbers[f"lacked, {name}"] = share_of(section.labels, found[DEFAULT], slices == name, lacked)
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
    if not options.tables_only:
        keys = shared.keys(options)
        cases = find_cases(options.case, keys, synthetic=options.synthetic)
        check_settings(options.out, asdict(keys))
        # Seed by seed, so that every seed is complete before the next.
        runs = [
            (case, method, seed)
            for seed in range(options.seeds)
            for case in cases
            for method in options.methods
            if seed == 0 or METHODS[method].draws
        ]
        Benchmark(cases, options.out).measure(runs)
    write_tables(options.out, "integration.png", write_summary, write_figure)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("integration", __doc__)
    shared.add_case(parser, "--case", "annotated slices; repeatable")
    parser.add_argument("--synthetic", action="store_true", help="add the made-up tissues")
    shared.add_seeds(parser, 10)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(INTEGRATION), metavar="NAME")
    shared.add_annotation(parser)
    shared.add_tables_only(parser)
    options = shared.parse(parser, arguments)
    if not (options.case or options.synthetic or options.tables_only):
        parser.error("give at least one --case, --synthetic, or --tables-only")
    return options


if __name__ == "__main__":
    sys.exit(main())
