"""Measured accuracy of a model on annotated sections, beside principal components and published figures.

    python -m benchmarks.accuracy FILES... [--joint A.h5ad,B.h5ad] [--model SEDR] --seeds 10 --drop-label undetermined \
        --out DIR
    python -m benchmarks.accuracy --known regions --seeds 10 --out DIR

A file has raw counts in ``X``, positions in ``obsm["spatial"]``, slices in ``obs["slice"]`` and annotations in
``obs["domain"]``, missing where a spot is not annotated. It is given by its path, or by its name in the folder that
``SPOTSCAPE_DATA`` names. Every annotated slice is a section of its own; the annotated slices of a file, and those of
the files of ``--joint``, are also a section together. ``--known`` takes the files of a group of
``benchmarks/common/sections.py``, with the columns that stand there. The model sees all spots of a section; spots
without annotation are left out before its representation is clustered. The number of domains is that of the labels.
Three read-outs make domains of a representation:

* ``k-means`` with 10 restarts, and ``mixture``, a Gaussian mixture of one shared covariance on 20 principal components
  with 10 restarts: each metric is the mean over five seeds of the read-out;
* ``tl.domains`` with its defaults, once; ``EEE``, with ``method="eee"``, is measured where it is asked for.

The floors are principal components of expression averaged over a spot and its six nearest neighbours: of scaled
expression with no, one and two averagings, and of unscaled expression with one and two. They do not depend on the seed
of a model: their rows are one each for five seeds of a read-out, and one of ``tl.domains``.

A row is appended to DIR/results.csv as soon as it is known, and what is there is not computed again: take a new DIR
after the package has changed. DIR/summary.md and DIR/accuracy.png are drawn from all rows; --tables-only draws them
without computing anything.
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.accuracy.figure import write_figure
from benchmarks.accuracy.tables import results_of, write_summary
from benchmarks.accuracy.tasks import plan_tasks, run_tasks
from benchmarks.common import options as shared
from benchmarks.common.reading import Source, find_known_sections, find_sections, is_joint
from benchmarks.common.readouts import EEE, READOUTS
from benchmarks.common.results import check_settings, require_results
from benchmarks.common.sections import GROUPS
from benchmarks.common.variants import expand_variants


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, then write the summary and the picture."""
    options = _parse(arguments)
    results, failed = results_of(options.out), []
    if not options.tables_only:
        # Read by the libraries when the processes load them.
        if options.jobs > 1:
            os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
        sources = _sources(options)
        check_settings(options.out, {"known": True} if options.known else asdict(shared.keys(options)))
        if any(is_joint(source.name) for source in sources) and importlib.util.find_spec("scib_metrics") is None:
            raise SystemExit('Joint sections need scib-metrics; run: pip install "spotscape[scib]"')
        tasks = plan_tasks(
            sources,
            expand_variants(options.variant, options.model),
            n_seeds=options.seeds,
            floors=options.floors,
            done=results.done(),
            model=options.model,
            readouts=options.readout,
        )
        print(f"{len(sources)} sections, {len(tasks)} runs to do", flush=True)
        failed = run_tasks(tasks, jobs=options.jobs, max_seconds=options.max_seconds, write=results.write)
    rows = results.read()
    require_results(rows, results.path)
    write_summary(rows, options.out / "summary.md", options.model)
    write_figure(rows, options.out / "accuracy.png", options.model)
    return 1 if failed else 0


def _sources(options: argparse.Namespace) -> list[Source]:
    try:
        if options.known:
            return [source for group in options.known for source in find_known_sections(group)]
        return find_sections(options.files, options.joint, shared.keys(options))
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("accuracy", __doc__)
    parser.add_argument("files", nargs="*", type=shared.existing_file, metavar="FILES")
    parser.add_argument(
        "--joint",
        nargs="+",
        default=[],
        type=shared.file_group,
        metavar="A.h5ad,B.h5ad",
        help="files to take together",
    )
    parser.add_argument("--known", nargs="+", choices=GROUPS, default=[], help="groups of known files")
    shared.add_model(parser)
    shared.add_seeds(parser, 10)
    shared.add_annotation(parser)
    parser.add_argument("--variant", nargs="+", default=["default"], metavar="NAME", help="or a group of variants")
    choices = (*READOUTS, EEE)
    parser.add_argument("--readout", nargs="+", choices=choices, default=list(READOUTS), help="default: all but EEE")
    parser.add_argument("--floors", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--jobs", type=int, default=2, help="processes; 1 runs all in this one (default: 2)")
    parser.add_argument("--max-seconds", type=float, metavar="N", help="begin no run after this time")
    shared.add_tables_only(parser)
    options = shared.parse(parser, arguments, positive=("seeds", "jobs"), intermixed=True)
    if not (options.files or options.joint or options.known or options.tables_only):
        parser.error("give at least one file, --known, or --tables-only")
    if options.known and (options.files or options.joint):
        parser.error("--known brings its own files; give it without others")
    try:
        expand_variants(options.variant, options.model)
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    sys.exit(main())
