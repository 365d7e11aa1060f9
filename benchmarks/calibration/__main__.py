"""Confidence in domains beside the share of spots whose domain agrees with the annotation.

    python -m benchmarks.calibration --known regions --seeds 3 --out DIR
    python -m benchmarks.calibration FILES... [--size-factor-key total] --seeds 3 --out DIR

A model is trained on each annotated slice with its defaults, and the mixture of ``tl.domains`` is fitted to the
annotated spots, with the number of domains of the annotation. Domains are matched to labels one to one, so that as many
spots as possible agree. For each temperature, DIR/results.csv has the spots of each tenth of the confidence, and what
is there is not computed again. DIR/summary.md has the expected calibration error at the default temperature, and at the
temperature that is best on all other tissues; every tissue has the same weight, and every section within it.
DIR/calibration.png shows the share of right spots by confidence.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.calibration.curves import TEMPERATURES, bins_of, draw, results_of, summarize
from benchmarks.common import options as shared
from benchmarks.common.reading import find_known_sections, find_sections, is_joint, load_section
from benchmarks.common.representations import graph_model
from benchmarks.common.sections import GROUPS, tissues_of
from spotscape.cluster import mixture_partition


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all sections that are not there yet, and write the summary."""
    options = _parse(arguments)
    if options.known:
        sources = [source for group in options.known for source in find_known_sections(group)]
    else:
        sources = find_sections(options.files, [], shared.keys(options))
    results = results_of(options.out)
    done = results.done()
    for source in (source for source in sources if not is_joint(source.name)):
        for seed in range(options.seeds):
            if (source.name, options.model, seed) in done:
                continue
            section = load_section(source)
            latent = graph_model(section, seed, name=options.model)[section.is_annotated].astype(np.float64)
            rows = []
            for temperature in TEMPERATURES:
                found = mixture_partition(latent, section.n_domains, 100, seed, temperature=temperature)
                codes = found.affinities.argmax(axis=1)
                confidence = found.confidences[np.arange(len(codes)), codes]
                for row in bins_of(confidence, codes, section.labels):
                    rows.append(
                        {"section": source.name, "model": options.model, "seed": seed, "temperature": temperature} | row
                    )
            results.write(rows)
            print(source.name, seed, flush=True)
    table = results.read()
    names = table["section"].unique()
    known = tissues_of(names) if options.known else {name: name for name in names}
    (options.out / "summary.md").write_text(summarize(table, known), encoding="utf-8")
    draw(table, known, options.out / "calibration.png")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("calibration", __doc__)
    parser.add_argument("files", nargs="*", type=shared.existing_file)
    parser.add_argument("--known", nargs="+", choices=GROUPS, default=[], help="groups of known files")
    shared.add_model(parser)
    shared.add_annotation(parser)
    shared.add_seeds(parser, 3)
    options = shared.parse(parser, arguments, positive=("seeds",))
    if bool(options.files) == bool(options.known):
        parser.error("give files, or --known")
    return options


if __name__ == "__main__":
    sys.exit(main())
