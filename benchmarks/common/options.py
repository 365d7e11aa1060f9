"""Arguments of the command line that several benchmarks have."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.reading import Keys
from benchmarks.common.registry import DEFAULT_MODEL, MODELS
from benchmarks.common.sections import find_file

#: Name and files of a case.
NamedFiles = tuple[str, tuple[str, ...]]


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Parser of ``python -m benchmarks.NAME``, with the folder of the results."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    return parser


def add_case(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    """Add a repeatable argument for files that are measured together under a name."""
    parser.add_argument(name, action="append", default=[], type=named_files, metavar="NAME=A.h5ad,B.h5ad", help=text)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model that is measured."""
    parser.add_argument("--model", choices=list(MODELS), default=DEFAULT_MODEL, help=f"default: {DEFAULT_MODEL}")


def add_seeds(parser: argparse.ArgumentParser, default: int) -> None:
    """Add the number of seeds."""
    parser.add_argument("--seeds", type=int, default=default, help=f"number of seeds (default: {default})")


def add_max_epochs(parser: argparse.ArgumentParser) -> None:
    """Add the number of epochs, with which a benchmark is tried out."""
    parser.add_argument("--max-epochs", type=int, metavar="N", help="of all models (default: that of the package)")


def add_tables_only(parser: argparse.ArgumentParser) -> None:
    """Add the option to make tables from the results that are there."""
    parser.add_argument("--tables-only", action="store_true", help="compute nothing")


def add_annotation(parser: argparse.ArgumentParser, *, slices: bool = True) -> None:
    """Add where annotations are, and the slices if asked for; read them by :func:`keys`."""
    parser.add_argument("--label-key", default="domain", metavar="KEY", help="column with the labels")
    if slices:
        parser.add_argument("--slice-key", default="slice", metavar="KEY", help="column with the slices")
    parser.add_argument("--drop-label", action="append", default=[], metavar="LABEL", help="no annotation; repeatable")
    parser.add_argument("--size-factor-key", metavar="KEY", help="totals over all genes; used where a file has them")


def keys(options: argparse.Namespace) -> Keys:
    """Columns that :func:`add_annotation` asks for."""
    slice_key = getattr(options, "slice_key", "slice")
    return Keys(options.label_key, slice_key, options.size_factor_key, tuple(options.drop_label))


def parse(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    *,
    positive: Sequence[str] = ("seeds",),
    intermixed: bool = False,
) -> argparse.Namespace:
    """Read the arguments, and end the program where one of the numbers ``positive`` is below 1.

    ``intermixed`` says whether files may also stand between and behind the options.
    """
    options = parser.parse_intermixed_args(arguments) if intermixed else parser.parse_args(arguments)
    for name in positive:
        if (value := getattr(options, name)) is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} is {value}; it must be at least 1")
    return options


def existing_file(text: str) -> str:
    """Path of a file that is given by its path, or by its name in the folder ``SPOTSCAPE_DATA``."""
    try:
        return find_file(text)
    except FileNotFoundError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def file_group(text: str) -> tuple[str, ...]:
    """Paths of ``A.h5ad,B.h5ad``."""
    return tuple(existing_file(file) for file in text.split(","))


def named_files(text: str) -> NamedFiles:
    """Name and paths of ``NAME=A.h5ad,B.h5ad``."""
    name, separator, files = text.partition("=")
    if not (name and separator and files):
        raise argparse.ArgumentTypeError(f"the case is {text!r}; write NAME=A.h5ad,B.h5ad")
    return name, file_group(files)
