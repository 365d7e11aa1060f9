"""Numbers of domains chosen without annotations, beside the annotated ones.

    python -m benchmarks.n_domains [FILES...] [--model SEDR] [--size-factor-key total] --seeds 3 --out DIR

Each annotated slice of a file, all of them together and, with --synthetic, six built-in tissues are embedded by a
model, ``SPOTSCAPE`` unless said, with its defaults. ``tl.choose_n_domains`` and three older criteria then choose from
2 to 15 domains. A row of DIR/results.csv is one representation, and what is there is not computed again. Labels are
counted for comparison and used for nothing else.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from anndata import AnnData

import spotscape as sps
from benchmarks.common import options as shared
from benchmarks.common.reading import Keys, find_sections, load_section
from benchmarks.common.results import Results, check_settings
from benchmarks.common.training import train
from benchmarks.n_domains.criteria import N_ERRORS, choose

SYNTHETIC = (
    {"n_slices": 2, "n_spots": 1500, "n_domains": 4, "seed": 1},
    {"n_slices": 1, "n_spots": 2500, "n_domains": 5, "seed": 2},
    {"n_slices": 4, "n_spots": 2500, "n_domains": 7, "seed": 0},
    {"n_slices": 3, "n_spots": 1500, "n_domains": 7, "batch_effect": "strong", "seed": 3},
    {"n_slices": 2, "n_spots": 2000, "n_domains": 9, "seed": 4},
    {"n_slices": 3, "n_spots": 2000, "n_domains": 10, "seed": 5},
)
COLUMNS = {
    **{"tissue": str, "model": str, "seed": int, "n_labels": int, "chosen": int},
    **{f"{n_errors} errors": int for n_errors in N_ERRORS},
    **dict.fromkeys(("largest mean", "BIC", "silhouette", "gap"), int),
}


def tissues(
    files: Sequence[str], keys: Keys, synthetic: bool
) -> Iterator[tuple[str, AnnData, dict[str, str | None], int]]:
    """Yield name, data, their columns and the number of labels of each tissue."""
    for source in find_sections(files, [], keys):
        section = load_section(source)
        columns = {"slice_key": section.slice_key, "size_factor_key": section.size_factor_key}
        yield source.name, section.adata, columns, section.n_domains
    for arguments in SYNTHETIC if synthetic else ():
        name = " ".join(f"{key}={value}" for key, value in arguments.items())
        yield name, sps.datasets.synthetic_tissue(**arguments), {}, arguments["n_domains"]


def results_of(folder: Path) -> Results:
    """Rows in a folder, each of a tissue, model and seed."""
    return Results(folder / "results.csv", COLUMNS, ["tissue", "model", "seed"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all tissues that are not there yet."""
    options = _parse(arguments)
    keys, results = shared.keys(options), results_of(options.out)
    check_settings(options.out, asdict(keys) | {"max_epochs": options.max_epochs})
    settings, done = {"train": {"max_epochs": options.max_epochs}}, results.done()
    for name, adata, columns, n_labels in tissues(options.files, keys, options.synthetic):
        for seed in range(options.seeds):
            if (name, options.model, seed) in done:
                continue
            model = train(options.model, adata, seed, settings=settings, **columns)
            adata.obsm["X_spotscape"] = model.get_latent_representation()
            row = {"tissue": name, "model": options.model, "seed": seed, "n_labels": n_labels} | choose(adata)
            results.write([row])
            print(row, flush=True)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("n_domains", __doc__)
    parser.add_argument("files", nargs="*", type=shared.existing_file)
    shared.add_model(parser)
    shared.add_annotation(parser)
    parser.add_argument("--synthetic", action="store_true", help="add the made-up tissues")
    shared.add_seeds(parser, 1)
    shared.add_max_epochs(parser)
    options = shared.parse(parser, arguments, positive=("seeds", "max_epochs"))
    if not (options.files or options.synthetic):
        parser.error("give at least one file, or --synthetic")
    return options


if __name__ == "__main__":
    sys.exit(main())
