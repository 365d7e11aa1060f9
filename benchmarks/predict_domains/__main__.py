"""Domains of a new section by the clustering of a reference, beside clustering both together.

    python -m benchmarks.predict_domains --pair A B [--synthetic] [--size-factor-key total] --seeds 5 --out DIR

A model, ``SPOTSCAPE`` unless said, is trained on one section and maps the other, in both directions; with --synthetic,
also on all slices but one of the built-in tissue. The new section then gets domains in four ways: predicted from the
reference, clustered together with it in the same representation, trained and clustered together with it, and clustered
on its own. DIR/results.csv has the adjusted Rand index with the annotation of the new section, and the calibration
error of the confidence. What is there is not computed again; representations are kept in DIR/latents.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.common import options as shared
from benchmarks.common.results import check_settings
from benchmarks.predict_domains.tables import results_of, write_summary
from benchmarks.predict_domains.ways import Case, measure, pair_cases, synthetic_cases


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all cases that are not there yet, and write the table."""
    options = _parse(arguments)
    keys, results = shared.keys(options), results_of(options.out)
    check_settings(options.out, asdict(keys) | {"model": options.model, "max_epochs": options.max_epochs})
    cases: list[Case] = [*(pair_cases(options.pair, keys) if options.pair else [])]
    for seed in range(options.seeds):
        for case in [*cases, *(synthetic_cases(seed) if options.synthetic else [])]:
            if (case.name, options.model, seed) in results.done():
                continue
            with warnings.catch_warnings():
                # Partitions that fit equally well, and sections unlike the reference, are expected.
                warnings.simplefilter("ignore", UserWarning)
                rows = list(measure(case, options.model, seed, options.max_epochs, options.out / "latents"))
            results.write({"case": case.name, "model": options.model, "seed": seed} | row for row in rows)
            print(case.name, seed, flush=True)
    write_summary(results.read(), options.out / "summary.md")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("predict_domains", __doc__)
    parser.add_argument("--pair", nargs=2, type=shared.existing_file, metavar="FILE", help="two annotated sections")
    parser.add_argument("--synthetic", action="store_true", help="add the built-in tissue")
    shared.add_model(parser)
    shared.add_annotation(parser)
    shared.add_seeds(parser, 5)
    shared.add_max_epochs(parser)
    options = shared.parse(parser, arguments, positive=("seeds", "max_epochs"))
    if not (options.pair or options.synthetic):
        parser.error("give --pair, or --synthetic")
    return options


if __name__ == "__main__":
    sys.exit(main())
