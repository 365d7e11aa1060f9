"""What is left after kills, flipped bits and files with code in them.

    python -m benchmarks.faults --out DIR [--kills 50] [--flips 40]

Everything uses the small built-in tissue. A model is replaced by another one while its process is killed, with and
without the data beside it; a run of the command line replaces the results of an earlier run while it is killed; single
bits of the model files of SPOTSCAPE and SEDR are flipped; and files with code in them are given to every function that
reads a model. DIR/summary.md has the number of each outcome. Needs a system with ``fork``.
"""

import argparse
import contextlib
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import spotscape as sps
from benchmarks.common import options as shared
from benchmarks.common.tables import markdown
from benchmarks.faults.kills import digest_of, outcomes_of_kills, seconds_of
from benchmarks.faults.models import outcome_of_load, outcomes_of_flips, small_model, small_tissue
from benchmarks.faults.payloads import KINDS, doors, outcome_of_door, write_payload

_OVERSHOOT = 1.1
Row = tuple[str, Counter[str]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the harm, and write the table."""
    options = _parse(arguments)
    import scvi

    scvi.settings.verbosity = logging.ERROR
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(Path(folder), options):
            print(row[0], dict(row[1]), flush=True)
            rows.append(row)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "summary.md").write_text(table_of(rows) + "\n", encoding="utf-8")
    return 0


def table_of(rows: Sequence[Row]) -> str:
    """Markdown of the outcomes, one row for each kind of harm."""
    cells = [
        (harm, found.total(), ", ".join(f"{name}: {number}" for name, number in sorted(found.items())))
        for harm, found in rows
    ]
    return markdown(["harm", "number", "found afterwards"], cells)


def _rows(folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    # First, because a copy of a process that has trained cannot train.
    yield "process killed during `spotscape run --force` over an earlier run", _kills_of_run(folder, options.kills)
    yield from _kills_of_save(folder, options.kills)
    for name in ("SPOTSCAPE", "SEDR"):
        yield (
            f"one bit of a {name} file flipped",
            outcomes_of_flips(small_model(name, small_tissue()), options.flips, 0),
        )
    yield "file with code, through every function that reads a model", _payloads(folder)


def _kills_of_save(folder: Path, n_kills: int) -> Iterator[Row]:
    old, new = (small_model("SPOTSCAPE", small_tissue(), seed) for seed in (0, 1))
    known = {"old": old.get_latent_representation(), "new": new.get_latent_representation()}
    target = folder / "model"

    def prepare() -> None:
        shutil.rmtree(target, ignore_errors=True)
        old.save(target, save_anndata=True)

    def outcome() -> str:
        try:
            sps.SPOTSCAPE.load(target)
        except (ValueError, OSError):
            return "damaged data"
        return outcome_of_load(sps.SPOTSCAPE, target, known)

    for with_data in (False, True):

        def action(with_data: bool = with_data) -> None:
            new.save(target, overwrite=True, save_anndata=with_data)

        prepare()
        seconds = _OVERSHOOT * seconds_of(action)
        found = outcomes_of_kills(action, outcome, prepare, n_kills, seconds=seconds, seed=int(with_data))
        yield f"process killed during `save(overwrite=True{', save_anndata=True' if with_data else ''})`", found


def _kills_of_run(folder: Path, n_kills: int) -> Counter[str]:
    # Loaded once, so that it is not a part of the runs that are killed.
    import matplotlib.pyplot  # noqa: F401
    import sklearn.mixture  # noqa: F401
    import umap  # noqa: F401

    import spotscape._workflow  # noqa: F401
    from spotscape._cli import main as run

    small_tissue().write_h5ad(folder / "tissue.h5ad")
    whole, target = folder / "whole", folder / "results"

    def results(out: Path, seed: int) -> None:
        arguments = ["--layer", "counts", "--n-domains", "4", "--max-epochs", "2", "--seed", str(seed), "--force"]
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            if run(["run", str(folder / "tissue.h5ad"), "--out", str(out), *arguments]):
                raise RuntimeError("The run fails by itself.")

    def prepare() -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(whole, target)

    def outcome() -> str:
        if digest_of(target) == old:
            return "old"
        complete = set(digest_of(target)) == set(old)
        try:
            sps.SPOTSCAPE.load(target / "model", adata=False)
            adata = sps.io.read_sections([target / "sections.h5ad"])
        except (ValueError, OSError):
            return "damaged"
        return "new" if complete and "spatial_domain" in adata.obs else "incomplete"

    seconds_of(lambda: results(whole, 0))
    old = digest_of(whole)
    prepare()
    seconds = _OVERSHOOT * seconds_of(lambda: results(target, 1))
    return outcomes_of_kills(lambda: results(target, 1), outcome, prepare, n_kills, seconds=seconds, seed=0)


def _payloads(folder: Path) -> Counter[str]:
    small_model("SPOTSCAPE", small_tissue()).save(folder / "good")
    found, flag = Counter[str](), folder / "flag"
    for kind in KINDS:
        bad = folder / kind
        write_payload(kind, folder / "good" / "model.pt", bad / "model.pt", flag)
        found.update(outcome_of_door(call, flag) for _, call in doors(sps.SPOTSCAPE, bad))
    return found


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("faults", __doc__)
    parser.add_argument("--kills", type=int, default=50, help="kills of each kind (default: 50)")
    parser.add_argument("--flips", type=int, default=40, help="flipped bits of each model (default: 40)")
    return shared.parse(parser, arguments, positive=("kills", "flips"))


if __name__ == "__main__":
    sys.exit(main())
