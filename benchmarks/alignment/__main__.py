"""Measured alignment of two annotated sections, and of simulated sections of other technology, beside floors.

    python -m benchmarks.alignment REFERENCE.h5ad QUERY.h5ad --out DIR [--model SEDR] [--seeds 3] [--moscot PYTHON]

Both files have raw counts in ``X``, ``obsm["spatial"]`` and the columns ``slice``, ``domain`` and ``total_umi_full`` of
``obs``. The model, ``SPOTSCAPE`` unless said, is trained with its defaults on both slices together, for every case of
``benchmarks/alignment/cases.py`` and every seed. Labels of the reference are transferred to the query, and compared
with its own by the label transfer adjusted Rand index. Ways:

* ``tl.align``: the default; ``tl.align, transport``; and ``tl.align, no positions`` (``transform=None``); with the name
  of the model before them where it is not ``SPOTSCAPE``;
* ``components``: the most similar spot by centred principal components of expression averaged twice;
* ``rigid fit``: the nearest spot after the best rigid fit of positions, from 24 angles with and without mirroring;
  ``rigid fit, orientation given`` begins at the orientation of the files only;
* ``moscot``: optimal transport, if ``--moscot`` names a Python that has ``moscot``.

DIR/results.csv has a row a case, direction, way and seed, written as they come: a run that was ended goes on where it
was. DIR/latents keeps the representations, in a folder a seed; remove both after a change of the model. DIR/summary.md
has the means of all models, DIR/alignment.png the last case, seed 0.
"""

import argparse
import sys
from collections.abc import Sequence

import anndata

import spotscape as sps
from benchmarks.alignment.cases import CASES, make_pair
from benchmarks.alignment.tables import results_of, write_summary
from benchmarks.alignment.ways import latents, measure, rows_to_do
from benchmarks.common import options as shared


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all cases that are wanted."""
    options = _parse(arguments)
    reference, query = anndata.read_h5ad(options.reference), anndata.read_h5ad(options.query)
    names = (str(reference.obs["slice"].iloc[0]), str(query.obs["slice"].iloc[0]))
    results = results_of(options.out)
    cases = [case for case in CASES if options.cases is None or case.name in options.cases]
    for case in cases:
        pair, done = make_pair(case, reference, query), results.done()
        for key in rows_to_do(case, names, options.seeds, options.moscot, options.model):
            if key in done:
                continue
            row = measure(pair, key, case, options.out, options.moscot, options.model)
            results.write([row])
            print(*key, f"{row['ltari']:.3f}", flush=True)
    write_summary(results.read(), options.out / "summary.md")
    pair.obsm["X_spotscape"] = latents(pair, cases[-1], 0, options.out, options.model)
    sps.tl.align(pair, *names)
    sps.pl.alignment(pair, color="domain", save=options.out / "alignment.png")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("alignment", __doc__)
    parser.add_argument("reference", type=shared.existing_file)
    parser.add_argument("query", type=shared.existing_file)
    shared.add_model(parser)
    parser.add_argument("--seeds", type=int, help="at most so many seeds of the model (default: 10 or 3, by case)")
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument("--moscot", metavar="PYTHON", help="Python of an environment that has moscot")
    return shared.parse(parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
