"""What long use, many slices, many genes and a busy machine cost.

    python -m benchmarks.load --out DIR [--fits 200] [--slices 10000] [--genes 30000]

Many models are set up, trained and asked in one process, with its memory, open files and threads after a quarter of
them and after all, and the number of AnnData that are still alive. Then come many slices of ten spots, many genes, and
set-up to latent representation beside one process for each core that only computes, as a ratio to the time without.
DIR/summary.md has the figures. Needs a system with ``/proc``, such as Linux.
"""

import argparse
import gc
import logging
import os
import subprocess
import sys
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from anndata import AnnData
from scipy import sparse

import spotscape as sps
from benchmarks.common import options as shared
from benchmarks.common.tables import markdown

_SPOTS_OF_A_SLICE = 10
_N_GENES = 60
Row = tuple[str, str]


class Resources(NamedTuple):
    """What this process holds."""

    memory: float
    """Resident memory in MB."""
    n_files: int
    n_threads: int


def resources() -> Resources:
    """Read what this process holds from ``/proc``."""
    gc.collect()
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    memory = int(status["VmRSS"].split()[0]) / 1024
    return Resources(memory, len(os.listdir("/proc/self/fd")), int(status["Threads"]))


def fits(n_fits: int) -> tuple[Resources, Resources, int]:
    """Set up, train and ask many models.

    Parameters
    ----------
    n_fits
        Number of models, one after the other.

    Returns
    -------
    Resources after a quarter of them and after all, and the number of their AnnData that are still alive.
    """
    alive: list[weakref.ref[AnnData]] = []
    found = []
    for number in range(n_fits):
        adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=_N_GENES, n_domains=3, seed=number)
        alive.append(weakref.ref(adata))
        _fit(adata, max_epochs=1 + number % 3)
        del adata
        if number + 1 in (max(1, n_fits // 4), n_fits):
            found.append(resources())
    return found[0], found[-1], sum(one() is not None for one in alive)


def many_slices(n_slices: int) -> AnnData:
    """Counts of slices of ten spots each."""
    rng = np.random.default_rng(0)
    n_spots = n_slices * _SPOTS_OF_A_SLICE
    counts = sparse.csr_matrix(rng.poisson(1.0, (n_spots, _N_GENES)).astype(np.float32))
    adata = AnnData(counts, obsm={"spatial": rng.random((n_spots, 2))})
    adata.obs_names = [f"spot_{row}" for row in range(n_spots)]
    adata.obs["slice"] = np.repeat([f"slice_{number}" for number in range(n_slices)], _SPOTS_OF_A_SLICE)
    return adata


def many_genes(n_genes: int) -> AnnData:
    """Counts of 2,000 spots of one slice, of which a tenth is not zero."""
    rng = np.random.default_rng(0)
    counts = sparse.random(2000, n_genes, 0.1, "csr", np.float32, rng, lambda size: rng.poisson(1.0, size) + 1)
    adata = AnnData(counts, obsm={"spatial": rng.random((2000, 2))})
    adata.obs_names = [f"spot_{row}" for row in range(adata.n_obs)]
    adata.obs["slice"] = "one"
    return adata


def seconds_of(action: Callable[[], object]) -> float:
    """Run time of an action."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def busy_ratio(action: Callable[[], object]) -> float:
    """Run time of an action beside a computing process for each core, divided by that without them."""
    action()
    quiet = seconds_of(action)
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        return seconds_of(action) / quiet
    finally:
        for other in others:
            other.kill()
            other.wait()


def _fit(adata: AnnData, max_epochs: int = 1) -> None:
    sps.SPOTSCAPE.setup_anndata(adata, slice_key="slice", layer="counts" if "counts" in adata.layers else None)
    model = sps.SPOTSCAPE(adata, n_hidden=16, n_latent=8, n_prototypes=(3,), slice_correction="none")
    model.train(max_epochs, enable_progress_bar=False)
    model.get_latent_representation()


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Measure, one row after the other."""
    early, late, n_alive = fits(options.fits)
    yield f"memory after {options.fits // 4} and {options.fits} fits", f"{early.memory:.0f} and {late.memory:.0f} MB"
    yield "open files", f"{early.n_files} and {late.n_files}"
    yield "threads", f"{early.n_threads} and {late.n_threads}"
    yield "AnnData still alive", str(n_alive)
    for what, adata in (
        (f"{options.slices:,} slices of {_SPOTS_OF_A_SLICE} spots", many_slices(options.slices)),
        (f"2,000 spots of {options.genes:,} genes", many_genes(options.genes)),
    ):
        yield f"set-up, one epoch and latent representation of {what}", f"{seconds_of(partial(_fit, adata)):.0f} s"
    tissue = sps.datasets.synthetic_tissue(n_slices=2, n_spots=1000, n_genes=300, seed=0)
    ratio = busy_ratio(lambda: _fit(tissue.copy(), 10))
    yield f"the same of 2,000 spots beside {os.cpu_count()} computing processes", f"{ratio:.1f} times the quiet time"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the table."""
    options = _parse(arguments)
    import scvi

    scvi.settings.verbosity = logging.ERROR
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    found = []
    for row in rows(options):
        print(*row, sep=": ", flush=True)
        found.append(row)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "summary.md").write_text(markdown(["load", "found"], found) + "\n", encoding="utf-8")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = shared.make_parser("load", __doc__)
    parser.add_argument("--fits", type=int, default=200, help="models in one process (default: 200)")
    parser.add_argument("--slices", type=int, default=10_000, help="number of slices (default: 10000)")
    parser.add_argument("--genes", type=int, default=30_000, help="number of genes (default: 30000)")
    return shared.parse(parser, arguments, positive=("fits", "slices", "genes"))


if __name__ == "__main__":
    sys.exit(main())
