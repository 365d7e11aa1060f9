"""Measured AESTETIK across samples: what each of its parts does, beside other methods, with an image and without.

    python benchmarks/cross_sample.py --expression tumours=A.h5ad,B.h5ad --image C=C.h5ad --simulation --out DIR

On the slices of ``--expression``, AESTETIK runs with each correction, without space, without triplets and without
positives from other samples, beside common methods, SPOTSCAPE and SEDR, and the authors' own package if ``--aestetik``
names a Python that has it (sections of square lattices). On sections with an image (``--image``: image
features in ``obsm["image_features"]``, or an image in ``uns["spatial"]``) and on the simulation, it runs on
expression, on the image and on both. Its ``n_clusters`` is the number of annotated kinds, as that of the domains
that are scored; nothing else of the labels is seen.

Two axes: how well labels are handed on (macro-F1 of a nearest-neighbour vote of the other slices) and found (ARI of
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
from pathlib import Path

import numpy as np
from _cross_sample_cases import Case, find_cases, load_case
from _cross_sample_methods import (
    AUTHORS,
    EXPRESSION,
    GRAPH_MODELS,
    IMAGES,
    OURS,
    PEERS,
    WITHOUT_SEED,
    authors,
    methods_of,
)
from _cross_sample_tables import write_figure, write_summary
from _sections import Keys
from _transfer_runs import Annotation, TransferBenchmark, read_results, read_transfers
from anndata import AnnData

import spotscape as sps


class Benchmark(TransferBenchmark):
    """AESTETIK, its parts and other methods on the samples of a case."""

    ours = OURS

    def __init__(self, cases: Sequence[Case], keys: Keys, folder: Path, *, aestetik: str | None = None) -> None:
        super().__init__(cases, keys, folder)
        self.aestetik = aestetik

    def make(self, case: Case, method: str, seed: int) -> np.ndarray:
        if method == AUTHORS:
            return authors(case, self.keys, seed, python=str(self.aestetik))
        return methods_of(case)[method](case, self.keys, seed)

    def annotation(self, case: Case, seed: int) -> Annotation:
        data = load_case(case, self.keys, seed)
        return Annotation(data.labels, data.slices[data.is_annotated], data.is_annotated)

    def is_compared(self, case: Case) -> bool:
        return not case.has_image

    def score(self, case: Case, method: str, seed: int, values: np.ndarray) -> dict[str, float]:
        data = load_case(case, self.keys, seed)
        labels, slices, is_annotated = self.annotation(case, seed)
        adata = AnnData(obsm={"X_found_in": values})
        # Domains are found in all spots; those without a label are not scored.
        sps.tl.domains(adata, "X_found_in", data.n_kinds, key_added="found", seed=seed)
        found = adata.obs["found"].to_numpy(str)[is_annotated]
        numbers = {"ARI": sps.metrics.adjusted_rand_index(labels, found)}
        if len(names := np.unique(slices)) > 1:
            own = [sps.metrics.adjusted_rand_index(labels[slices == name], found[slices == name]) for name in names]
            numbers |= {
                "mean ARI within slices": float(np.mean(own)),
                "mixing": sps.data.slice_mixing(values, data.slices),
            }
        if not case.has_image and method in {OURS, *PEERS, *GRAPH_MODELS, AUTHORS}:
            numbers |= self.mixing_scores(case, values, seed)
        return numbers

    def mixing_scores(self, case: Case, values: np.ndarray, seed: int) -> dict[str, float]:
        """Means of both groups of the integration scores."""
        data = load_case(case, self.keys, seed)
        labels = np.full(len(values), None, dtype=object)
        labels[data.is_annotated] = data.labels
        before = self.representation(case, "PCA", 0)
        scores = sps.metrics.integration_scores(values, data.slices, labels, unintegrated=before)
        return {"bio": scores.bio_mean, "batch": scores.batch_mean}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, then write the summary and the picture."""
    options = _parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.tables_only:
        keys = Keys(size_factor=options.size_factor_key, dropped=tuple(options.drop_label))
        cases = find_cases(options.expression, options.image, simulation=options.simulation)
        # Seed by seed, so that every seed is complete before the next.
        runs = [
            (case, method, seed)
            for seed in range(options.seeds)
            for case in cases
            # The package knows square lattices, not the simulated one.
            for method in [*methods_of(case), *([AUTHORS] if options.aestetik and case.files else [])]
            if method in options.methods and (seed == 0 or method not in WITHOUT_SEED)
        ]
        Benchmark(cases, keys, options.out, aestetik=options.aestetik).measure(runs)
    results = read_results(options.out)
    if results.empty:
        raise SystemExit(f"There are no results in {options.out}.")
    write_summary(results, read_transfers(options.out), options.out / "summary.md")
    write_figure(results, options.out / "cross_sample.png")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    files = {"action": "append", "default": [], "metavar": "NAME=A.h5ad,B.h5ad"}
    parser.add_argument("--expression", **files, help="annotated slices, of several patients; repeatable")
    parser.add_argument("--image", **files, help="annotated sections with an image; repeatable")
    parser.add_argument("--simulation", action="store_true", help="add the simulation of two modalities")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds (default: 10)")
    names = [*dict.fromkeys([*EXPRESSION, *IMAGES]), AUTHORS]
    parser.add_argument("--methods", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--drop-label", action="append", default=[], metavar="LABEL", help="no annotation; repeatable")
    parser.add_argument("--aestetik", metavar="PYTHON", help="Python that has the authors' package aestetik")
    parser.add_argument("--size-factor-key", metavar="KEY", help="totals over all genes; used where a file has them")
    parser.add_argument("--tables-only", action="store_true", help="compute nothing")
    options = parser.parse_args(arguments)
    if not (options.expression or options.image or options.simulation or options.tables_only):
        parser.error("give at least one --expression, --image, --simulation, or --tables-only")
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; it must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
