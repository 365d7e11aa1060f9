"""Pseudotime and graph of the domains beside the known order of layers.

    python -m benchmarks.trajectory FILES... [--joint A,B] --root WM [--size-factor-key total] --seeds 10 --out DIR

Each annotated slice of a file is represented by a model, ``SPOTSCAPE`` unless said, with its defaults, and by principal
components averaged twice over neighbours; files of a --joint group are represented together. The labels have an order:
--order names them from first to last, and by default they are sorted. ``tl.trajectory`` starts at the annotated label
--root, and at the domain of ``tl.domains`` that overlaps with it most. A row of DIR/results.csv is one representation,
root and number of neighbours, and what is there is not computed again; representations are kept in DIR/latents.
DIR/summary.md has means and deviations over seeds, and DIR/trajectory.png shows the first section and seed.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.common import options as shared
from benchmarks.common.reading import find_sections, load_section
from benchmarks.common.registry import FLOORS
from benchmarks.common.representations import trained
from benchmarks.common.results import check_settings, kept
from benchmarks.trajectory.scores import FLOOR, N_NEIGHBORS, annotated, measure
from benchmarks.trajectory.tables import draw, results_of, write_summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all sections that are not there yet, and write table and figure."""
    options = _parse(arguments)
    keys, results = shared.keys(options), results_of(options.out)
    order = options.order.split(",") if options.order else None
    check_settings(options.out, asdict(keys) | {"root": options.root, "order": order})
    sources = find_sections(options.files, options.joint, keys)
    drawn = None
    for source in sources:
        section = load_section(source)
        for method, seeds in ((options.model, range(options.seeds)), (FLOOR, range(1))):
            for seed in seeds:
                make = FLOORS[FLOOR].represent if method == FLOOR else partial(trained, name=method)
                path = options.out / "latents" / f"{source.name} {method} {seed}.npy"
                latent = kept(path, partial(make, section, seed))
                adata = annotated(section, latent, order)
                if drawn is None:
                    drawn = adata
                if (source.name, method, seed) in results.done():
                    continue
                with warnings.catch_warnings():
                    # Partitions that fit equally well are expected.
                    warnings.simplefilter("ignore", UserWarning)
                    rows = list(measure(adata, options.root, N_NEIGHBORS))
                results.write({"section": source.name, "method": method, "seed": seed} | row for row in rows)
                print(source.name, method, seed, flush=True)
    write_summary(results.read(), options.out / "summary.md")
    if drawn is not None:
        draw(drawn, options.root, Path(options.out) / "trajectory.png")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("trajectory", __doc__)
    parser.add_argument("files", nargs="+", type=shared.existing_file)
    parser.add_argument("--joint", action="append", default=[], type=shared.file_group, metavar="A.h5ad,B.h5ad")
    parser.add_argument("--root", required=True, metavar="LABEL", help="label at one end of the order")
    parser.add_argument("--order", metavar="A,B,C", help="labels from first to last (default: sorted)")
    shared.add_model(parser)
    shared.add_annotation(parser)
    shared.add_seeds(parser, 10)
    return shared.parse(parser, arguments, positive=("seeds",))


if __name__ == "__main__":
    sys.exit(main())
