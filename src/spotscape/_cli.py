"""The command line: ``spotscape run`` and ``spotscape demo``."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        Arguments; those of the process if ``None``.

    Returns
    -------
    Exit status: 0, or 1 if the data could not be used, which is explained on standard error.
    """
    options = vars(_parser().parse_args(arguments))
    command = options.pop("command")
    _quieten()
    try:
        command(**options)
    except (KeyError, ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"spotscape: {message}", file=sys.stderr)
        return 1
    return 0


def _quieten() -> None:
    """Leave to the terminal what concerns the data: progress, warnings and results."""
    import scvi

    scvi.settings.verbosity = logging.WARNING
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


def _run(
    paths: list[Path],
    out: Path,
    slice_key: str | None,
    table: str | None,
    bin_size: int | None,
    force: bool,
    **options: Any,
) -> None:
    from spotscape._results import check_out

    check_out(out, force=force, inputs=paths)
    from spotscape._workflow import analyse
    from spotscape.io import read_sections

    adata = read_sections(paths, slice_key=slice_key, table=table, bin_size=bin_size)
    _report(analyse(adata, out, slice_key=slice_key or "slice", force=force, **options), out)


def _demo(out: Path, seed: int, force: bool) -> None:
    from spotscape._results import check_out

    check_out(out, force=force)
    from spotscape._workflow import analyse
    from spotscape.datasets import synthetic_tissue

    adata = synthetic_tissue(seed=seed)
    n_domains = adata.obs["domain"].nunique()
    _report(analyse(adata, out, n_domains=n_domains, layer="counts", label_key="domain", seed=seed, force=force), out)


def _report(result: dict[str, Any], out: Path) -> None:
    print("\nseconds  " + ", ".join(f"{name} {value}" for name, value in result["seconds"].items()))
    for name, scores in result.get("scores", {}).items():
        print(f"{name:<12}" + "  ".join(f"{score} {value:.3f}" for score, value in scores.items()))
    print(f"Wrote {', '.join(sorted(path.name for path in out.iterdir()))} to {out}/")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="spotscape", description=sys.modules["spotscape"].__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="from sections to domains, pictures and a saved model")
    run.set_defaults(command=_run)
    run.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a file or folder with one slice or several: .h5ad, .zarr, .h5mu, or the output folder of an instrument",
    )
    run.add_argument("--n-domains", type=int, required=True, help="number of spatial domains")
    run.add_argument("--out", type=Path, required=True, help="folder for the results")
    run.add_argument("--layer", help="layer with the counts (default: X)")
    run.add_argument(
        "--slice-key",
        help="column of obs with the slice of each spot, which all files must have (default: slice, or else each file "
        "is one slice)",
    )
    run.add_argument("--table", help="table of SpatialData stores, or modality of MuData files (default: the only one)")
    run.add_argument("--bin-size", type=int, help="bin size of Visium HD in micrometres (default: the only one)")
    run.add_argument("--spatial-key", default="spatial", help="key of obsm with the coordinates (default: spatial)")
    run.add_argument(
        "--size-factor-key", help="column of obs with each spot's total over all genes (default: computed)"
    )
    run.add_argument(
        "--values",
        choices=("auto", "counts", "normalized", "log-normalized"),
        default="auto",
        help="what the expression is (default: recognised)",
    )
    run.add_argument("--label-key", help="column of obs with annotated domains, to score against")
    run.add_argument(
        "--method", choices=("mixture", "kmeans", "leiden"), default="mixture", help="how domains are found"
    )
    run.add_argument("--max-epochs", type=int, help="passes through the spots (default: by their number)")
    run.add_argument("--batch-size", type=int, help="spots a step (default: all)")
    run.add_argument("--accelerator", default="auto", help="auto, cpu, gpu, ... (default: auto)")
    run.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    run.add_argument("--force", action="store_true", help="replace the results of an earlier run in --out")

    demo = commands.add_parser("demo", help="the same on the built-in tissue, with scores")
    demo.set_defaults(command=_demo)
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    demo.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    demo.add_argument("--force", action="store_true", help="replace the results of an earlier run in --out")
    return parser


if __name__ == "__main__":
    sys.exit(main())
