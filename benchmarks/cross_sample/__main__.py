"""Measured AESTETIK across samples: what each of its parts does, beside other methods, with an image and without.

    python -m benchmarks.cross_sample --expression tumours=A.h5ad,B.h5ad --image C=C.h5ad --simulation --out DIR

On the slices of ``--expression``, AESTETIK runs with each correction, without space, without triplets and without
positives from other samples, beside common methods, SPOTSCAPE and SEDR, and the authors' own package if ``--aestetik``
names a Python that has it (sections of square lattices). ``--preset`` adds the published method, which takes minutes a
run. On sections with an image (``--image``: image features in ``obsm["image_features"]``, or an image in
``uns["spatial"]``) and on the simulation, it runs on expression, on the image and on both. Its ``n_clusters`` is the
number of annotated kinds, as that of the domains that are scored; nothing else of the labels is seen.

Two axes: how well labels are transferred (macro-F1 of a nearest-neighbour vote of the other slices) and found (ARI of
pooled ``tl.domains``), and how well samples mix (``mixing``: slices among the 30 nearest neighbours, 1 as by chance;
and, for whole methods on expression, ``metrics.integration_scores``). Methods are compared by a
bootstrap over spots, and over patients and spots, DIR/transfer.csv.

A row of DIR/results.csv is one number; rows are appended as soon as a run is done, and what is there is not computed
again: take a new DIR after the package has changed. Representations are kept in DIR/latents. DIR/summary.md and
DIR/cross_sample.png are drawn from the tables; --tables-only draws them without computing anything.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

import spotscape as sps
from benchmarks.common import options as shared
from benchmarks.common.reading import Section
from benchmarks.common.readouts import DEFAULT, find_domains
from benchmarks.common.registry import (
    AESTETIK_PRESETS,
    COMMON,
    CROSS_SAMPLE,
    CROSS_SAMPLE_IMAGE,
    CROSS_SAMPLE_IMAGE_PRESETS,
    CROSS_SAMPLE_PRESETS,
    IMAGE_MODEL,
    MODELS,
    Method,
)
from benchmarks.common.results import check_settings
from benchmarks.common.transfer_runs import TransferBenchmark, write_tables
from benchmarks.cross_sample.authors import AUTHORS, authors
from benchmarks.cross_sample.cases import Case, find_cases, load_case
from benchmarks.cross_sample.tables import write_figure, write_summary
from spotscape.cluster import fit_shared_mixture
from spotscape.preprocessing._agreement import slice_mixing

#: Methods that are also scored by the integration scores, which take long.
WHOLE_METHODS = frozenset({IMAGE_MODEL, *COMMON, *MODELS, AUTHORS})


class Benchmark(TransferBenchmark):
    """AESTETIK, its parts and other methods on the samples of a case."""

    ours = IMAGE_MODEL

    def __init__(self, cases: Sequence[Case], folder: Path, *, aestetik: str | None = None) -> None:
        super().__init__(cases, folder)
        self.aestetik = aestetik

    def section(self, case: Case, seed: int) -> Section:
        return load_case(case, seed)

    def make(self, case: Case, method: str, seed: int) -> np.ndarray:
        section = load_case(case, seed)
        if method == AUTHORS:
            return authors(section, seed, python=str(self.aestetik))
        return methods_of(case)[method].represent(section, seed)

    def is_compared(self, case: Case) -> bool:
        return not case.has_image

    def score(self, case: Case, method: str, seed: int, values: np.ndarray) -> dict[str, float]:
        section = load_case(case, seed)
        labels, slices = section.labels, section.annotated_slices
        # Domains are found in all spots; those without a label are not scored.
        found = find_domains(values, section.n_domains, readout=DEFAULT, seed=seed)[section.is_annotated]
        numbers = {"ARI": sps.metrics.adjusted_rand_index(labels, found)}
        if method.startswith(IMAGE_MODEL):
            # As the model finds its clusters, up to 4,096 spots.
            own = fit_shared_mixture(values, section.n_domains, n_init=10, seed=seed).predict(values)
            numbers["ARI of its clusters"] = sps.metrics.adjusted_rand_index(labels, own[section.is_annotated])
        if len(names := np.unique(slices)) > 1:
            within = [sps.metrics.adjusted_rand_index(labels[slices == name], found[slices == name]) for name in names]
            numbers |= {
                "mean ARI within slices": float(np.mean(within)),
                "mixing": slice_mixing(values, section.slices),
            }
        if not case.has_image and method in WHOLE_METHODS:
            before = self.representation(case, "PCA", 0)
            scores = sps.metrics.integration_scores(values, section.slices, section.labels_of_all, unintegrated=before)
            numbers |= {"bio": scores.bio_mean, "batch": scores.batch_mean}
        return numbers


def methods_of(case: Case) -> dict[str, Method]:
    """Methods that fit a case."""
    if case.has_image:
        return CROSS_SAMPLE_IMAGE | CROSS_SAMPLE_IMAGE_PRESETS
    return CROSS_SAMPLE | CROSS_SAMPLE_PRESETS


def runs_of(case: Case, seed: int, wanted: Sequence[str], *, aestetik: str | None) -> list[tuple[Case, str, int]]:
    """Runs of a case and a seed; methods that draw nothing have one, unless the data are drawn by the seed."""
    methods = methods_of(case)
    # The package knows square lattices, not the simulated one.
    names = [*methods, *([AUTHORS] if aestetik and case.files else [])]
    return [
        (case, name, seed)
        for name in names
        if name in wanted and (seed == 0 or name not in methods or methods[name].draws)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, then write the summary and the picture."""
    options = _parse(arguments)
    if not options.tables_only:
        keys = shared.keys(options)
        cases = find_cases(options.expression, options.image, keys, simulation=options.simulation)
        check_settings(options.out, asdict(keys))
        # Seed by seed, so that every seed is complete before the next.
        seeds = [(case, seed) for seed in range(options.seeds) for case in cases]
        runs = [run for pair in seeds for run in runs_of(*pair, options.methods, aestetik=options.aestetik)]
        Benchmark(cases, options.out, aestetik=options.aestetik).measure(runs)
    write_tables(options.out, "cross_sample.png", write_summary, write_figure)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("cross_sample", __doc__)
    shared.add_case(parser, "--expression", "annotated slices, of several patients; repeatable")
    shared.add_case(parser, "--image", "annotated sections with an image; repeatable")
    parser.add_argument("--simulation", action="store_true", help="add the simulation of two modalities")
    shared.add_seeds(parser, 10)
    names = [*dict.fromkeys([*CROSS_SAMPLE, *CROSS_SAMPLE_IMAGE]), AUTHORS]
    parser.add_argument("--methods", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument(
        "--preset", nargs="+", choices=AESTETIK_PRESETS, default=[], help="add the published AESTETIK, on lattices"
    )
    parser.add_argument("--aestetik", metavar="PYTHON", help="Python that has the authors' package aestetik")
    shared.add_annotation(parser)
    shared.add_tables_only(parser)
    options = shared.parse(parser, arguments)
    if not (options.expression or options.image or options.simulation or options.tables_only):
        parser.error("give at least one --expression, --image, --simulation, or --tables-only")
    presets = CROSS_SAMPLE_PRESETS | CROSS_SAMPLE_IMAGE_PRESETS
    options.methods = [*options.methods, *(name for name in presets if name.split()[-1] in options.preset)]
    return options


if __name__ == "__main__":
    sys.exit(main())
