"""Seconds and memory of every stage, from a file of counts to domains, on synthetic tissues of growing size.

    python -m benchmarks.scaling --out DIR [--model SEDR] [--sizes 3000 10000 ...] [--peers nichepca banksy ...]

Three things are measured, each run in a process of its own, so that the largest memory is that of the run alone:

* a model, ``SPOTSCAPE`` unless said, with its defaults, on --sizes;
* --peers, on the same files (--peer-sizes), each as its own documentation begins and in an environment that is made by
  pip in --peer-environments, on the processor;
* one training step as the published formulas stand against one of ``SPOTSCAPE``, on --literal-sizes in one slice.

Sizes are written CELLS, CELLSxGENES or CELLSxGENESxSLICES. Peers and literal steps have limits of time and memory; a
run that exceeds it is recorded as "did not finish", and the method is not tried on more cells. A row is appended to
DIR/results.csv as soon as it is known, and what is there is not measured again: take a new DIR after the package has
changed. DIR/scaling.md and DIR/scaling.png are made from all rows; --tables-only makes them without measuring.
Linux only. Times are those of a machine that does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.common import options as shared
from benchmarks.common.processes import module_command, module_environment
from benchmarks.common.registry import DOMAIN_PEERS, MODELS
from benchmarks.common.results import Row, require_results
from benchmarks.peers.environments import prepare
from benchmarks.scaling.data import SIZES, Size, write_tissue
from benchmarks.scaling.figure import draw_figure
from benchmarks.scaling.limits import FINISHED, OUT_OF_MEMORY, OUT_OF_TIME, run_limited
from benchmarks.scaling.results import LITERAL, flatten, read_lines, results_of
from benchmarks.scaling.tables import write_tables

SETTINGS = ("repeat", "threads", "accelerator", "precision", "batch_size")
PEER_SIZES = SIZES[:6]
#: What a new environment is tried on.
FIRST_SIZE = Size(300)
#: Libraries that read their number of threads when they are loaded.
THREADED = ("OMP", "OPENBLAS", "MKL", "NUMBA")


@dataclass(frozen=True)
class Run:
    """One process that is to be measured."""

    method: str
    size: Size
    repeat: int = 0
    threads: int = 1
    accelerator: str = "cpu"
    precision: str | None = None
    batch_size: int | None = None

    def record(self) -> dict[str, Any]:
        """What was asked for: the part of a line by which the run is known again."""
        return {"method": self.method, **asdict(self.size), **{name: getattr(self, name) for name in SETTINGS}}


def plan_runs(options: argparse.Namespace) -> list[Run]:
    """List all runs, small sizes first."""
    ours = {name: getattr(options, name) for name in ("accelerator", "precision", "batch_size")}
    wanted: list[tuple[str, Size, dict[str, Any]]] = [(options.model, Size.parse(text), ours) for text in options.sizes]
    wanted += [(LITERAL, Size(n_cells), {}) for n_cells in options.literal_sizes]
    wanted += [(name, Size.parse(text), {}) for name in options.peers for text in options.peer_sizes]
    wanted.sort(key=lambda what: what[1].n_cells * what[1].n_genes)
    return [
        Run(method, size, repeat, options.threads, **settings)
        for method, size, settings in wanted
        for repeat in range(options.repeats)
    ]


def is_there(run: Run, results: Sequence[Row]) -> bool:
    """Whether a run needs no measuring: it has a line that is no failure, or fewer cells were too many."""
    wanted = run.record()
    for line in results:
        same = {name for name, value in wanted.items() if line.get(name) == value}
        if same == set(wanted) and not line["status"].startswith("failed"):
            return True
        fewer = line["n_cells"] * line["n_genes"] <= run.size.n_cells * run.size.n_genes
        if {"method", *SETTINGS} - {"repeat"} <= same and fewer and line["status"] in (OUT_OF_TIME, OUT_OF_MEMORY):
            return True
    return False


def tissue_file(size: Size, folder: Path) -> Path:
    """File of a tissue, drawn if it is not there."""
    path = folder / f"{size.name}.h5ad"
    if not path.exists():
        # In a process of its own, since this one would keep memory that the runs may need.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            pool.submit(write_tissue, size, path).result()
    return path


def command(run: Run, tissue: Path, record: Path, options: argparse.Namespace) -> list[str]:
    """Program and arguments of a run."""
    if run.method in DOMAIN_PEERS:
        first = tissue_file(FIRST_SIZE, options.cache)
        python = prepare(run.method, options.peer_environments, first, options.torch_index_url)
        return module_command(f"peers.{run.method}", tissue, record, python=python)
    if run.method == LITERAL:
        return module_command("scaling.step_cost", tissue, "--record", record)
    arguments = module_command("scaling.run", run.method, tissue, record)
    for name in ("accelerator", "precision", "batch_size"):
        if (value := getattr(run, name)) is not None:
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    return [*arguments, *(["--profile"] if options.profile else [])]


def measure(run: Run, options: argparse.Namespace, watch: Callable[[float, float], None]) -> Row:
    """Do one run and return its row of the results."""
    tissue = tissue_file(run.size, options.cache)
    log = options.out / "logs" / f"{run.method.replace(' ', '-')}_{run.size.name}_{run.repeat}.txt"
    limits = {} if run.method in MODELS else {"max_seconds": options.peer_limit, "max_gib": options.peer_memory}
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.json"
        try:
            arguments = command(run, tissue, record, options)
        except subprocess.CalledProcessError as error:
            return {**run.record(), "status": f"failed: {error}"}
        environment = {f"{library}_NUM_THREADS": str(run.threads) for library in THREADED} | module_environment()
        # Threads that wait for each other shall not take the processor from those that they wait for.
        environment["OMP_WAIT_POLICY"] = "passive"
        outcome = run_limited(arguments, log=log, environment=environment, watch=watch, **limits)
        measured = flatten(json.loads(record.read_text())) if outcome.status == FINISHED else {}
    if options.profile and run.method in MODELS:
        tqdm.write(log.read_text())
    # Where other programs run, times are not those of the methods: the load before the run tells.
    seen = {"status": outcome.status, "process_seconds": outcome.seconds, "process_gib": outcome.gib, "load": load}
    return {**run.record(), **seen, **measured}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, then make the tables and the picture."""
    options = _parse(arguments)
    results, failed = results_of(options.out), 0
    lines = read_lines(results)
    runs = [] if options.tables_only else plan_runs(options)
    # No bar where it would fill a file.
    with tqdm(runs, unit="run", disable=None) as bar:
        for run in bar:
            if is_there(run, lines):
                continue
            title = f"{run.method}, {run.size.name}"
            line = measure(run, options, lambda s, gib, t=title: bar.set_postfix_str(f"{t}: {s:.0f} s, {gib:.2f} GiB"))
            results.write([line])
            lines = read_lines(results)
            failed += line["status"].startswith("failed")
            tqdm.write(f"{title}: {line['status']}, {_totals(line)}")
    require_results(results.read(), results.path)
    write_tables(lines, options.out / "scaling.md")
    draw_figure(lines, options.out / "scaling.png")
    return 1 if failed else 0


def _totals(line: Row) -> str:
    seconds, gib = line.get("total_seconds", line.get("process_seconds")), line.get("max_gib", line.get("process_gib"))
    return "nothing measured" if seconds is None or gib is None else f"{seconds:.1f} s, {gib:.2f} GiB"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("scaling", __doc__)
    temporary = Path(tempfile.gettempdir()) / "spotscape-scaling"
    shared.add_model(parser)
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), metavar="SIZE", help=f"default: {' '.join(SIZES)}")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each kind (default: 1)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each run (default: all)")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu", help="that the model trains on")
    parser.add_argument("--precision", help="argument of train (default: that of the package)")
    parser.add_argument("--batch-size", type=int, help="argument of train (default: that of the package)")
    parser.add_argument("--profile", action="store_true", help="print the seconds of every step of the model")
    parser.add_argument(
        "--cache", type=Path, default=temporary / "tissues", metavar="DIR", help="where tissues are kept"
    )
    parser.add_argument("--literal-sizes", nargs="*", type=int, default=[3000, 10_000, 20_000], metavar="CELLS")
    parser.add_argument("--peers", nargs="*", choices=DOMAIN_PEERS, default=[], help="default: none")
    parser.add_argument("--peer-sizes", nargs="*", default=list(PEER_SIZES), metavar="SIZE")
    parser.add_argument("--peer-limit", type=float, default=1800, metavar="SECONDS", help="also of literal steps")
    parser.add_argument("--peer-memory", type=float, default=18, metavar="GIB", help="also of literal steps")
    parser.add_argument("--peer-environments", type=Path, default=temporary / "environments", metavar="DIR")
    parser.add_argument("--torch-index-url", metavar="URL", help="index that peers get PyTorch from")
    shared.add_tables_only(parser)
    options = shared.parse(parser, arguments, positive=("repeats", "threads"))
    for text in [*options.sizes, *options.peer_sizes]:
        try:
            Size.parse(text)
        except ValueError as error:
            parser.error(str(error))
    return options


if __name__ == "__main__":
    sys.exit(main())
