"""The command line: ``spotscape run``, ``demo``, ``report``, ``map`` and ``align``.

What loads heavy libraries is in :mod:`spotscape._commands`, so that help and mistakes are answered at once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from spotscape import _commands
from spotscape._config import arguments_of, as_toml
from spotscape._progress import Progress

#: Options that are not settings of the analysis.
_NOT_IN_CONFIG = {"command", "config", "out", "force", "resume", "quiet", "traceback"}


class UsageError(ValueError):
    """Arguments that do not fit, with the usage of the command."""

    def __init__(self, message: str, usage: str):
        super().__init__(message)
        self.usage = usage


class _Parser(argparse.ArgumentParser):
    """Parser that raises instead of leaving, so that a mistake in a file can be told from one on the command line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, self.format_usage())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        Arguments; those of the process if ``None``.

    Returns
    -------
    Exit status: 0; 1 if the data could not be used, 2 if the arguments do not fit, or 130 if interrupted. What is wrong
    is explained on standard error.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = vars(_parse(arguments))
    except UsageError as error:
        print(f"{error.usage}spotscape: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"spotscape: {error}", file=sys.stderr)
        return 2
    command, traceback = options.pop("command"), options.pop("traceback")
    progress = Progress(options.pop("quiet"))
    try:
        with progress.listening():
            command(**options, progress=progress)
    except (KeyboardInterrupt, SystemExit):
        # Lightning leaves the process when training is interrupted.
        if isinstance(sys.exc_info()[1], SystemExit) and not progress.was_interrupted:
            raise
        print("spotscape: interrupted", file=sys.stderr)
        return 130
    # Whichever library an error comes from, users of the command line get a sentence.
    except Exception as error:
        if traceback:
            raise
        print(f"spotscape: {_sentence(error)}", file=sys.stderr)
        return 1
    return 0


def _sentence(error: Exception) -> str:
    """Message of an error, with its kind where it is not one of ours."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = " ".join(str(text).split())
    if isinstance(error, MemoryError):
        return "There is not enough memory; try --lazy, or fewer sections."
    if isinstance(error, KeyError | ValueError | TypeError | OSError | ImportError | RuntimeError) and text:
        return text
    return f"unexpected {type(error).__name__}: {text or 'no message'}; --traceback shows where it comes from."


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command line, over those of ``--config``."""
    parser = _parser()
    options = parser.parse_args(arguments)
    file = getattr(options, "config", None)
    if hasattr(options, "config"):
        given = [] if file is None else arguments_of(file)
        known = {action.option_strings[-1] for action in parser.runs._actions if action.option_strings}
        unknown = [one for one in given if one[2:] and one.startswith("--") and one.split("=")[0] not in known]
        if unknown:
            raise ValueError(f"{file}: there is no setting {unknown[0].split('=')[0].removeprefix('--')!r}.")
        try:
            from_file = parser.parse_args(["run", *given])
        except UsageError as error:
            raise ValueError(f"{file}: {error}") from error
        # The rest of the command line follows, so that it wins.
        where = arguments.index("run") + 1
        paths = [] if options.paths else [str(path) for path in from_file.paths]
        without_paths = given[: given.index("--")] if "--" in given else given
        options = parser.parse_args([*arguments[:where], *without_paths, *arguments[where:], *paths])
        if not options.paths:
            parser.runs.error("no files; name the files or folders with the sections")
        if options.out is None:
            parser.runs.error("no folder for the results; pass --out FOLDER")
        settings = {name: value for name, value in vars(options).items() if name not in _NOT_IN_CONFIG}
        options.config = as_toml(settings | {"paths": [os.path.abspath(path) for path in options.paths]})
    return options


def _parser() -> Any:
    parser = _Parser(prog="spotscape", description=sys.modules["spotscape"].__doc__)
    parser.add_argument("--version", action="version", version=f"spotscape {version('spotscape')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = _command(commands, "run", _commands.run, "from sections to a report, domains, tables and a saved model")
    parser.runs = run  # type: ignore[attr-defined]
    run.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a file or folder with one slice or several: .h5ad, .zarr, .h5mu, or the output folder of an instrument",
    )
    run.add_argument("--out", type=Path, help="folder for the results")
    run.add_argument(
        "--n-domains",
        type=_number_or_auto,
        default="auto",
        help="number of spatial domains, or auto: the most reproducible one (default: auto)",
    )
    run.add_argument(
        "--model",
        dest="model_name",
        choices=("SPOTSCAPE", "SEDR"),
        default="SPOTSCAPE",
        help="model that represents the spots (default: SPOTSCAPE)",
    )
    run.add_argument("--layer", help="layer with the counts (default: X)")
    _add_reading(run)
    run.add_argument("--lazy", action="store_true", help="leave the expression in the files, for data above the memory")
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
    run.add_argument(
        "--slice-correction",
        choices=("none", "centre", "combat", "harmony"),
        help="how differences between slices are removed (default: harmony, none for one slice)",
    )
    run.add_argument("--label-key", help="column of obs with annotated domains, to score against")
    run.add_argument(
        "--method", choices=("mixture", "eee", "kmeans", "leiden"), default="mixture", help="how domains are found"
    )
    run.add_argument(
        "--genes",
        type=_names,
        default=[],
        metavar="A,B",
        help="genes whose denoised expression is written (default: none)",
    )
    run.add_argument("--max-epochs", type=int, help="passes through the spots (default: by their number)")
    run.add_argument("--batch-size", type=int, help="spots a step (default: all, and 8,192 of more than 10,000)")
    run.add_argument("--accelerator", default="auto", help="auto, cpu, gpu, ... (default: auto)")
    run.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    run.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML, such as config.toml of a run")
    _add_force(run)
    run.add_argument(
        "--resume", action="store_true", help="keep a checkpoint beside --out, and continue from the one that is there"
    )

    demo = _command(commands, "demo", _commands.demo, "the same on the built-in tissue, with scores")
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    demo.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    _add_force(demo)

    report = _command(commands, "report", _commands.report, "write the report of a run again")
    report.add_argument("folder", type=Path, metavar="DIR", help="folder with the results of a run")
    report.add_argument("--out", type=Path, metavar="FILE", help="file to write (default: report.html in DIR)")
    report.add_argument("--title", help="title of the page")
    report.add_argument("--lazy", action="store_true", help="leave the expression in the file")

    mapped = _command(commands, "map", _commands.map_sections, "find the domains of a run in new sections")
    mapped.add_argument("folder", type=Path, metavar="DIR", help="folder with the results of a run")
    mapped.add_argument("paths", nargs="+", metavar="PATH", help="files or folders with the new sections")
    mapped.add_argument("--out", type=Path, required=True, help="folder for the results")
    _add_reading(mapped)
    _add_force(mapped)

    align = _command(commands, "align", _commands.align, "align the slices of a run with one of them")
    align.add_argument("folder", type=Path, metavar="DIR", help="folder with the results of a run")
    align.add_argument("--out", type=Path, required=True, help="folder for the results")
    align.add_argument("--reference", help="slice that stays in place (default: the one with the most spots)")
    align.add_argument(
        "--transform", choices=("rigid", "similarity", "affine"), default="rigid", help="how slices move"
    )
    _add_force(align)
    return parser


def _command(commands: Any, name: str, function: Callable[..., None], text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
    command.set_defaults(command=function)
    command.add_argument("--quiet", action="store_true", help="say nothing but errors; the report has the notes")
    command.add_argument("--traceback", action="store_true", help=argparse.SUPPRESS)
    return command


def _add_reading(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--slice-key",
        help="column of obs with the slice of each spot, which all files must have (default: slice, or else each file "
        "is one slice)",
    )
    command.add_argument(
        "--table", help="table of SpatialData stores, or modality of MuData files (default: the only one)"
    )
    command.add_argument("--bin-size", type=int, help="bin size of Visium HD in micrometres (default: the only one)")


def _add_force(command: argparse.ArgumentParser) -> None:
    command.add_argument("--force", action="store_true", help="replace the results of an earlier run in --out")


def _number_or_auto(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor auto") from error


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
