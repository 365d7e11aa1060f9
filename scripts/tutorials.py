"""Execute the tutorials and stop at the first error; run with ``python3 scripts/dev.py tutorials``.

Nothing is written: the notebooks keep the outputs that they have. By default models are trained for a few epochs only,
which is enough to find code that no longer runs. ``--full`` executes the notebooks as they are.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"
AS_PUBLISHED, SHORT = ".train()", ".train(max_epochs=5)"


def main() -> int:
    """Execute the tutorials that were asked for and return the exit code."""
    names = sorted(path.stem for path in TUTORIALS.glob("*.ipynb"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(names)}; all by default")
    parser.add_argument("--full", action="store_true", help="train for as long as the notebooks say")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(names)):
        parser.error(f"there is no tutorial {unknown[0]!r}; choose from {', '.join(names)}")

    # figures are drawn as a reader's notebook draws them
    os.environ.pop("MPLBACKEND", None)
    for name in arguments.names or names:
        start = time.monotonic()
        try:
            execute(TUTORIALS / f"{name}.ipynb", full=arguments.full)
        except CellExecutionError as error:
            print(f"tutorials/{name}.ipynb failed:\n{error}", flush=True)
            return 1
        print(f"tutorials/{name}.ipynb ran in {time.monotonic() - start:.0f} s", flush=True)
    return 0


def execute(path: Path, *, full: bool) -> None:
    """Run all cells of a notebook in a kernel of this environment."""
    notebook = nbformat.read(path, as_version=4)
    if not full:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.source = cell.source.replace(AS_PUBLISHED, SHORT)
    client = NotebookClient(
        notebook,
        timeout=1200,
        kernel_name="python3",
        # errors only; the kernel would warn that its connection, to this same machine, is not encrypted
        extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": path.parent}},
    )
    client.execute()


if __name__ == "__main__":
    sys.exit(main())
