"""Measured accuracy of a model on annotated sections, beside principal components and published figures.

    python benchmarks/accuracy.py FILES... [--joint A.h5ad,B.h5ad] [--model SEDR] --seeds 10 --drop-label undetermined \
        --out DIR

A file has raw counts in ``X``, positions in ``obsm["spatial"]``, slices in ``obs["slice"]`` and annotations in
``obs["domain"]``, missing where a spot is not annotated. Every annotated slice is a section of its own; the annotated
slices of a file, and those of the files of ``--joint``, are also a section together. The model sees all spots of a
section; spots without annotation are left out before its representation is clustered. The number of domains is that of
the labels. Three read-outs make domains of a representation:

* ``k-means`` with 10 restarts, and ``mixture``, a Gaussian mixture of one shared covariance on 20 principal components
  with 10 restarts: each metric is the mean over five seeds of the read-out;
* ``tl.domains`` with its defaults, once.

The principal components do not depend on the seed of a model: their rows are one each for five seeds of the read-out.
A row is appended to DIR/results.csv as soon as it is known, and what is there is not computed again: take a new DIR
after the package has changed. DIR/summary.md and DIR/accuracy.png are drawn from all rows; --tables-only draws them
without computing anything.
"""

import argparse
import importlib.util
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _floors import FLOORS, floor_representation, scaled_expression
from _sections import Keys, Section, Source, find_sections, load_section
from _tables import COLUMNS, READOUTS, is_joint, read_results, write_figure, write_summary
from _variants import BETWEEN_SLICES, MODELS, expand_variants
from anndata import AnnData
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import spotscape as sps

READOUT_SEEDS = range(5)
N_INTEGRATION_SEEDS = 3
N_NEIGHBORS_INTEGRATION = 15


@dataclass(frozen=True)
class Task:
    """One representation and the pairs of seed and read-out that are wanted of it."""

    source: Source
    method: str
    variant: str
    wanted: tuple[tuple[int, str], ...]


# ---------------------------------------------------------------------------------------------- representations


def train_model(section: Section, name: str, variant: str, seed: int) -> tuple[np.ndarray, AnnData]:
    """Train a variant; zeros where its loss diverged. Returns the representation and the data with its graph."""
    model_class, settings = getattr(sps, name), MODELS[name][variant]
    adata = section.adata.copy()
    model_class.setup_anndata(
        adata,
        layer=None,
        slice_key=section.slice_key,
        size_factor_key=section.size_factor_key,
        **settings.get("setup", {}),
    )
    model = model_class(adata, seed=seed, **settings.get("model", {}))
    try:
        model.train(enable_progress_bar=False, **settings.get("train", {}))
    except RuntimeError as error:
        if "training loss became" not in str(error):
            raise
        return np.zeros((adata.n_obs, 1)), adata
    latent = model.get_latent_representation()
    return (latent if np.isfinite(latent).all() else np.zeros((adata.n_obs, 1))), adata


@lru_cache(maxsize=1)
def _scaled_expression(source: Source, keys: Keys) -> np.ndarray:
    section = load_section(source, keys)
    return scaled_expression(section.adata, section.size_factor_key, slice_key=section.slice_key)


# ----------------------------------------------------------------------------------------------------- read-outs


def cluster(representation: np.ndarray, n_domains: int, *, readout: str, seed: int) -> np.ndarray:
    """Find domains by k-means or the mixture. ``(n_spots,)``; all the same where the representation has collapsed."""
    if has_collapsed(representation, n_domains):
        return np.zeros(len(representation), dtype=int)
    if readout == "k-means":
        return KMeans(n_domains, n_init=10, random_state=seed).fit_predict(representation)
    values = representation.astype(np.float64)
    scores = PCA(min(20, *values.shape), svd_solver="full").fit_transform(values)
    spread = scores.var(axis=0)
    # The mixture adds a fixed amount to its covariance: neither unit nor dead directions may matter.
    scores = scores[:, spread > 1e-10 * spread[0]] / np.sqrt(spread.mean())
    return GaussianMixture(n_domains, covariance_type="tied", n_init=10, random_state=seed).fit_predict(scores)


def has_collapsed(representation: np.ndarray, n_domains: int) -> bool:
    """Whether there are too few distinct spots to make the domains of."""
    return len(np.unique(representation, axis=0)) <= n_domains


def default_domains(representation: np.ndarray, adata: AnnData, n_domains: int) -> np.ndarray:
    """Find domains by :func:`spotscape.tl.domains`; ``adata`` are the spots with their graph."""
    if has_collapsed(representation, n_domains):
        return np.zeros(len(representation), dtype=int)
    adata.obsm["X_spotscape"] = representation
    sps.tl.domains(adata, n_domains=n_domains)
    return adata.obs["spatial_domain"].to_numpy(str)


def score(section: Section, found: np.ndarray) -> dict[str, float]:
    """Compare found domains with the labels."""
    values = sps.metrics.scores(section.labels, found)
    boundary = sps.metrics.boundary_accuracy(section.labels, found, section.graph)
    return {
        "ari": values["ARI"],
        "nmi": values["NMI"],
        "ca": values["CA"],
        "boundary_ca": boundary.boundary,
        "interior_ca": boundary.interior,
    }


def integration_scores(representation: np.ndarray, labels: np.ndarray, slices: np.ndarray) -> dict[str, float]:
    """Compute scib-metrics with the slice as batch; missing where the representation has collapsed."""
    from scib_metrics import graph_connectivity, silhouette_batch
    from scib_metrics.nearest_neighbors import NeighborsResults

    if has_collapsed(representation, len(np.unique(labels))):
        return {}
    n_neighbors = min(N_NEIGHBORS_INTEGRATION, len(labels))
    distances, indices = NearestNeighbors(n_neighbors=n_neighbors).fit(representation).kneighbors(representation)
    result = {"graph_connectivity": float(graph_connectivity(NeighborsResults(indices, distances), labels))}
    # A label of one slice says nothing about batches.
    if pd.Series(slices).groupby(labels).nunique().max() > 1:
        result["silhouette_batch"] = float(silhouette_batch(representation, labels, slices))
    return result


# --------------------------------------------------------------------------------------------------------- tasks


def run_task(task: Task, keys: Keys) -> list[dict[str, Any]]:
    """Compute one representation and the rows that are wanted of it."""
    for library in ("lightning.pytorch", "scvi"):
        logging.getLogger(library).setLevel(logging.WARNING)
    with _one_thread():
        section = load_section(task.source, keys)
        start = time.perf_counter()
        if task.method in MODELS:
            representation, adata = train_model(section, task.method, task.variant, seed=task.wanted[0][0])
        else:
            scaled, adata = _scaled_expression(task.source, keys), section.adata
            representation = floor_representation(
                scaled, adata.obsm["spatial"], slices=section.slices, n_hops=FLOORS[task.method]
            )
        seconds = time.perf_counter() - start
        latent, adata = representation[section.is_annotated], adata[section.is_annotated].copy()
        integration = {}
        n_scored = (N_INTEGRATION_SEEDS if task.method in MODELS else 1) if is_joint(task.source.name) else 0
        if any(seed < n_scored for seed, _ in task.wanted):
            integration = integration_scores(latent, section.labels, section.slices[section.is_annotated])
        rows = []
        for seed, readout in task.wanted:
            start = time.perf_counter()
            if readout == "tl.domains":
                results = [score(section, default_domains(latent, adata, section.n_domains))]
            else:
                seeds = READOUT_SEEDS if task.method in MODELS else [seed]
                results = [
                    score(section, cluster(latent, section.n_domains, readout=readout, seed=number)) for number in seeds
                ]
            readout_seconds = (time.perf_counter() - start) / len(results)
            rows.append(
                {
                    "section": task.source.name,
                    "n_spots": len(latent),
                    "n_domains": section.n_domains,
                    "method": task.method,
                    "variant": task.variant,
                    "seed": seed,
                    "readout": readout,
                    **pd.DataFrame(results).mean().to_dict(),
                    # From counts to one set of domains.
                    "seconds": seconds + readout_seconds,
                    **(integration if seed < n_scored else {}),
                }
            )
    return rows


@contextmanager
def _one_thread() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(n_threads)


def plan_tasks(
    sources: Sequence[Source],
    variants: Sequence[str],
    *,
    n_seeds: int,
    floors: bool,
    done: pd.DataFrame,
    model: str = "SPOTSCAPE",
    readouts: Sequence[str] = READOUTS,
) -> list[Task]:
    """List what is not there yet, section by section, so that a section is read once by each process."""
    there = set(done[["section", "method", "variant", "seed", "readout"]].itertuples(index=False, name=None))
    tasks = []
    for source in sources:
        runs = [
            (name, "", [(s, r) for s in READOUT_SEEDS for r in readouts if r != READOUTS[2]])
            for name in FLOORS
            if floors
        ]
        for variant in variants:
            if len(source.slices) > 1 or variant not in BETWEEN_SLICES:
                runs += [(model, variant, [(seed, readout) for readout in readouts]) for seed in range(n_seeds)]
        for method, variant, pairs in runs:
            wanted = tuple(pair for pair in pairs if (source.name, method, variant, *pair) not in there)
            if wanted:
                tasks.append(Task(source, method, variant, wanted))
    return tasks


def run_tasks(
    tasks: Sequence[Task],
    keys: Keys,
    *,
    jobs: int,
    max_seconds: float | None,
    write: Callable[[list[dict[str, Any]]], None],
) -> list[Task]:
    """Run tasks in ``jobs`` processes (one: in this process) and write their rows; return those that failed."""
    start, waiting, failed = time.perf_counter(), deque(tasks), []
    executor: Executor = ThreadPoolExecutor(1)
    if jobs > 1:
        executor = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_end_with_parent)
    running: dict[Future, Task] = {}
    with executor, tqdm(total=len(tasks), unit="run") as bar:
        while True:
            in_time = max_seconds is None or time.perf_counter() - start < max_seconds
            while waiting and in_time and len(running) < jobs:
                task = waiting.popleft()
                running[executor.submit(run_task, task, keys)] = task
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                if error := future.exception():
                    failed.append(task)
                    tqdm.write(f"{task}\n{''.join(traceback.format_exception(error))}", file=sys.stderr)
                else:
                    write(future.result())
                bar.update()
    if waiting:
        print(f"Out of time with {len(waiting)} runs left; the same command goes on with them.")
    return failed


def _end_with_parent() -> None:
    """Let a process end when the program is killed, which processes of a pool do not by themselves."""

    def wait_for_parent() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()


def append_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Append rows to the results."""
    pd.DataFrame(rows, columns=COLUMNS).to_csv(path, mode="a", header=not path.exists(), index=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, then write the summary and the picture."""
    options = _parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    path, failed = options.out / "results.csv", []
    if not options.tables_only:
        # Read by the libraries when the processes load them.
        if options.jobs > 1:
            os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
        keys = Keys(options.label_key, options.slice_key, options.size_factor_key, tuple(options.drop_label))
        _check_same_settings(options.out / "settings.json", keys)
        sources = find_sections(options.files, [group.split(",") for group in options.joint], keys)
        if any(is_joint(source.name) for source in sources) and importlib.util.find_spec("scib_metrics") is None:
            raise SystemExit('Joint sections need scib-metrics; run: pip install "spotscape[scib]"')
        done = read_results(path)
        plan = {
            "n_seeds": options.seeds,
            "floors": options.floors,
            "done": done,
            "model": options.model,
            "readouts": options.readout,
        }
        tasks = plan_tasks(sources, expand_variants(options.variant, options.model), **plan)
        print(f"{len(sources)} sections, {len(tasks)} runs to do", flush=True)
        failed = run_tasks(
            tasks,
            keys,
            jobs=options.jobs,
            max_seconds=options.max_seconds,
            write=lambda rows: append_rows(path, rows),
        )
    results = read_results(path)
    if results.empty:
        raise SystemExit(f"There are no results in {path}.")
    write_summary(results, options.out / "summary.md", options.model)
    write_figure(results, options.out / "accuracy.png", options.model)
    return 1 if failed else 0


def _check_same_settings(path: Path, keys: Keys) -> None:
    settings = json.loads(json.dumps(asdict(keys)))
    if path.exists() and (before := json.loads(path.read_text())) != settings:
        raise SystemExit(f"{path.parent} has results of other settings, {before}; give another --out.")
    path.write_text(json.dumps(settings))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILES")
    parser.add_argument("--joint", nargs="+", default=[], metavar="A.h5ad,B.h5ad", help="files to take together")
    parser.add_argument("--model", choices=list(MODELS), default="SPOTSCAPE", help="default: SPOTSCAPE")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds of the model (default: 10)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--drop-label", action="append", default=[], metavar="LABEL", help="no annotation; repeatable")
    parser.add_argument("--size-factor-key", metavar="KEY", help="totals over all genes; used where a file has them")
    parser.add_argument("--label-key", default="domain", metavar="KEY")
    parser.add_argument("--slice-key", default="slice", metavar="KEY")
    parser.add_argument("--variant", nargs="+", default=["default"], metavar="NAME", help="or a group of variants")
    parser.add_argument("--readout", nargs="+", choices=READOUTS, default=list(READOUTS), help="default: all")
    parser.add_argument("--floors", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--jobs", type=int, default=2, help="processes; 1 runs all in this one (default: 2)")
    parser.add_argument("--max-seconds", type=float, metavar="N", help="begin no run after this time")
    parser.add_argument("--tables-only", action="store_true", help="compute nothing")
    options = parser.parse_intermixed_args(arguments)
    if not (options.files or options.joint or options.tables_only):
        parser.error("give at least one file, or --tables-only")
    for name in ("seeds", "jobs"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}; it must be at least 1")
    try:
        expand_variants(options.variant, options.model)
    except ValueError as error:
        parser.error(str(error))
    return options


if __name__ == "__main__":
    sys.exit(main())
