"""What a trained model is worth on sections it has not seen: fewer genes, unlike tissue, labels with a confidence.

Four questions, each answered for every seed:

* genes: a section with a random share of its genes, mapped by a model of another one; accuracy of the labels that it
  gets from that one, beside what filling with zeros gives;
* novelty: share of the spots that are novel in sections that are like those trained on, and in others;
* unknown domain: the same in a synthetic slice with a domain that the trained slices lack;
* confidence: how often transferred labels are right, by their confidence; pairs in both directions, and each donor of
  a cohort mapped by a model of the others.

    python -m benchmarks.new_sections --pair 151673.h5ad 151675.h5ad --cohort A.h5ad B.h5ad C.h5ad --out results/

The model is ``SPOTSCAPE``, or another by ``--model``, with its defaults. The rows of a question and seed are appended
to DIR/results.csv as soon as they are known, and what is there is not computed again: take a new DIR after the package
has changed. DIR/summary.md and DIR/new_sections.png are drawn from all rows.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from anndata import AnnData

import spotscape as sps
from benchmarks.common import options as shared
from benchmarks.common.reading import known_labels, read_counts
from benchmarks.common.results import Results, Row, check_settings
from benchmarks.new_sections.questions import (
    confidence_rows,
    gene_rows,
    held_out_rows,
    mapped,
    novelty_rows,
    represent,
    unknown_domain_rows,
)
from benchmarks.new_sections.tables import results_of, write_figure, write_summary


def measure(options: argparse.Namespace, results: Results) -> None:
    """Answer all questions that are not answered yet."""
    settings = {"train": {"max_epochs": options.max_epochs}}
    for seed in range(options.seeds):
        if ("unknown domain", "synthetic", seed) not in results.done():
            results.write(unknown_domain_rows(options.model, seed, settings=settings))
        for first, second in (options.pair, options.pair[::-1]):
            _measure_pair(first, second, seed, options, results)
    for held_out in options.cohort:
        _measure_held_out(held_out, options, results)


def _measure_pair(first: str, second: str, seed: int, options: argparse.Namespace, results: Results) -> None:
    name, done = f"{Path(first).stem} to {Path(second).stem}", results.done()
    if all((question, name, seed) in done for question in ("genes", "confidence", "novelty")):
        return
    reference, query = read(first, options), read(second, options)
    key = options.size_factor_key if options.size_factor_key in reference.obs else None
    settings = {"train": {"max_epochs": options.max_epochs}}
    model = represent(options.model, reference, seed, size_factor_key=key, settings=settings)
    if ("genes", name, seed) not in done:
        results.write(gene_rows(model, reference, query, name, seed))
    if ("confidence", name, seed) not in done:
        results.write(confidence_rows(reference, mapped(model, query), name, seed))
    if ("novelty", name, seed) not in done:
        others = [one_slice(read(path, options)) for path in options.cohort]
        results.write(novelty_rows(model, query, others, name, seed, key))


def _measure_held_out(held_out: str, options: argparse.Namespace, results: Results) -> None:
    name = f"others to {Path(held_out).stem}"
    if {("confidence", name, 0), ("novelty", name, 0)} <= results.done():
        return
    rest = sps.io.read_sections([path for path in options.cohort if path != held_out])
    rest.obs["label"] = pd.Categorical(known_labels(rest.obs[options.label_key], options.drop_label))
    model = represent(options.model, rest, 0, settings={"train": {"max_epochs": options.max_epochs}})
    query = mapped(model, read(held_out, options))
    rows: list[Row] = [*confidence_rows(rest, query, name, 0), *held_out_rows(model, query, name)]
    results.write(rows)


def read(path: str, options: argparse.Namespace) -> AnnData:
    """Section with its labels in ``obs["label"]``, missing where a spot has none."""
    adata = read_counts(path)
    adata.obs["label"] = pd.Categorical(known_labels(adata.obs[options.label_key], options.drop_label))
    return adata


def one_slice(adata: AnnData) -> AnnData:
    """First slice."""
    return adata[adata.obs["slice"] == adata.obs["slice"].iloc[0]].copy()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write table, summary and figure."""
    options = _parse(arguments)
    check_settings(
        options.out, asdict(shared.keys(options)) | {"model": options.model, "max_epochs": options.max_epochs}
    )
    results = results_of(options.out)
    with warnings.catch_warnings():
        # Sections are meant to be out of distribution, and panels to be small.
        warnings.simplefilter("ignore", UserWarning)
        measure(options, results)
    rows = results.read()
    write_summary(rows, options.out / "summary.md")
    write_figure(rows, options.out / "new_sections.png")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("new_sections", __doc__)
    file = {"type": shared.existing_file, "metavar": "FILE"}
    parser.add_argument("--pair", nargs=2, required=True, help="two annotated sections of one donor", **file)
    parser.add_argument("--cohort", nargs="*", default=[], help="annotated sections, a file a donor", **file)
    shared.add_model(parser)
    shared.add_annotation(parser, slices=False)
    shared.add_seeds(parser, 3)
    shared.add_max_epochs(parser)
    return shared.parse(parser, arguments, positive=("seeds", "max_epochs"))


if __name__ == "__main__":
    sys.exit(main())
