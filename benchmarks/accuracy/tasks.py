"""Representations that are to be made and scored: their list, one of them, and all of them in several processes."""

import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context, parent_process

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from tqdm import tqdm

import spotscape as sps
from benchmarks.accuracy.scores import integration_scores, score
from benchmarks.common.processes import one_thread, silence_training
from benchmarks.common.reading import Section, Source, is_joint, load_section
from benchmarks.common.readouts import DEFAULT, EEE, READOUTS, find_domains
from benchmarks.common.registry import DEFAULT_MODEL, FLOORS, MODELS
from benchmarks.common.results import Row
from benchmarks.common.training import finite_or_zero, has_diverged, train
from benchmarks.common.variants import BETWEEN_SLICES, ORACLE

READOUT_SEEDS = range(5)
N_INTEGRATION_SEEDS = 3
# Read-outs that hardly depend on their seed.
_ONCE = (DEFAULT, EEE)


@dataclass(frozen=True)
class Task:
    """One representation and the pairs of seed and read-out that are wanted of it."""

    source: Source
    method: str
    variant: str
    wanted: tuple[tuple[int, str], ...]


def plan_tasks(
    sources: Sequence[Source],
    variants: Sequence[str],
    *,
    n_seeds: int,
    floors: bool,
    done: set[tuple],
    model: str = DEFAULT_MODEL,
    readouts: Sequence[str] = READOUTS,
) -> list[Task]:
    """List what is not there yet, section by section, so that a section is read once by each process.

    Parameters
    ----------
    sources, variants, model, readouts
        What is measured.
    n_seeds
        Seeds of the model. Floors have none: they have one row for each seed of a read-out, and one of ``tl.domains``.
    floors
        Whether the floors are measured.
    done
        Section, method, variant, seed and read-out of what is there.
    """
    of_floors = [(seed, name) for seed in READOUT_SEEDS for name in readouts if seed == 0 or name not in _ONCE]
    tasks = []
    for source in sources:
        runs = [(name, "", of_floors) for name in FLOORS if floors]
        for variant in variants:
            if len(source.slices) > 1 or variant not in BETWEEN_SLICES:
                runs += [(model, variant, [(seed, readout) for readout in readouts]) for seed in range(n_seeds)]
        for method, variant, pairs in runs:
            wanted = tuple(pair for pair in pairs if (source.name, method, variant, *pair) not in done)
            if wanted:
                tasks.append(Task(source, method, variant, wanted))
    return tasks


def run_task(task: Task) -> list[Row]:
    """Compute one representation and the rows that are wanted of it."""
    silence_training()
    with one_thread():
        section, is_model = load_section(task.source), task.method in MODELS
        start = time.perf_counter()
        latent = represent(section, task.method, task.variant, seed=task.wanted[0][0])[section.is_annotated]
        seconds = time.perf_counter() - start
        integration = {}
        n_scored = (N_INTEGRATION_SEEDS if is_model else 1) if is_joint(task.source.name) else 0
        if any(seed < n_scored for seed, _ in task.wanted):
            integration = integration_scores(latent, section.labels, section.annotated_slices)
        rows = []
        for seed, readout in task.wanted:
            start = time.perf_counter()
            # One seed of a clustering is no measurement; the default read-out hardly depends on it.
            seeds = [0] if readout in _ONCE else READOUT_SEEDS if is_model else [seed]
            results = [
                score(section, find_domains(latent, section.n_domains, readout=readout, seed=number))
                for number in seeds
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


def represent(section: Section, method: str, variant: str, seed: int) -> np.ndarray:
    """Representation of all spots by a floor or a variant of a model; zeros where the loss of a model diverged."""
    if method in FLOORS:
        return FLOORS[method].represent(section, seed)
    keys = {"slice_key": section.slice_key, "size_factor_key": section.size_factor_key}
    adata = section.adata.copy()
    if variant == ORACLE:
        _store_oracle_graph(adata, section)
    try:
        model = train(method, adata, seed, settings=MODELS[method].variants[variant], **keys)
    except RuntimeError as error:
        if not has_diverged(error):
            raise
        return np.zeros((section.adata.n_obs, 1))
    return finite_or_zero(model.get_latent_representation())


def _store_oracle_graph(adata: AnnData, section: Section) -> None:
    """Store the default graph without the edges between annotated spots of different labels."""
    sps.pp.spatial_neighbors(adata, slice_key=section.slice_key)
    graph = adata.obsp["spatial_connectivities"].tocoo()
    codes = np.full(adata.n_obs, -1)
    codes[section.is_annotated] = pd.factorize(np.asarray(section.labels))[0]
    first, second = codes[graph.row], codes[graph.col]
    kept = (first == second) | (first < 0) | (second < 0)
    edges = (graph.data[kept], (graph.row[kept], graph.col[kept]))
    adata.obsp["spatial_connectivities"] = sparse.csr_matrix(edges, shape=graph.shape)


def run_tasks(
    tasks: Sequence[Task], *, jobs: int, max_seconds: float | None, write: Callable[[list[Row]], None]
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
                running[executor.submit(run_task, task)] = task
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
