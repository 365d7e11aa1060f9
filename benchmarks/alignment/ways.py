"""Ways to align two slices, each of which gives a coupling of their spots."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

import spotscape as sps
from benchmarks.alignment.cases import Case, rotate
from benchmarks.alignment.floors import N_STARTS, match_components, match_positions, smoothed_components
from benchmarks.common.processes import module_command, module_environment
from benchmarks.common.registry import ALIGNMENT_PEER, DEFAULT_MODEL
from benchmarks.common.results import Row, kept
from benchmarks.common.training import train

#: Arguments of ``tl.align`` for each way that takes a model.
WAYS: dict[str, dict[str, Any]] = {
    "tl.align": {},
    "tl.align, transport": {"coupling": "transport"},
    "tl.align, no positions": {"transform": None},
}
FLOORS = ("components", "rigid fit", "rigid fit, orientation given")
KEYS = ("case", "reference", "query", "way", "seed")


def ways_of(name: str) -> dict[str, dict[str, Any]]:
    """Arguments of ``tl.align`` for each way of a model, by what it is called in the tables."""
    return {way if name == DEFAULT_MODEL else f"{name}, {way}": settings for way, settings in WAYS.items()}


def rows_to_do(
    case: Case, names: tuple[str, str], seeds: int | None, moscot: str | None, model: str = DEFAULT_MODEL
) -> Iterator[tuple]:
    """Give the keys of all rows of a case."""
    n_seeds = case.n_seeds if seeds is None else min(seeds, case.n_seeds)
    for reference, query in (names, names[::-1])[: 2 if case.both_directions else 1]:
        ways = [*FLOORS, *([] if moscot is None else [ALIGNMENT_PEER])]
        if rotate in case.alterations:
            # The orientation of a slice that was turned is not the given one.
            ways.remove("rigid fit, orientation given")
        for way in ways:
            yield case.name, reference, query, way, 0
        for seed in range(n_seeds):
            for way in ways_of(model):
                yield case.name, reference, query, way, seed


def measure(pair: AnnData, key: tuple, case: Case, folder: Path, moscot: str | None, model: str = DEFAULT_MODEL) -> Row:
    """One row of the results."""
    _, reference, query, way, seed = key
    slices, labels = pair.obs["slice"].to_numpy(str), pair.obs["domain"].astype(object).to_numpy()
    there, here = np.flatnonzero(slices == reference), np.flatnonzero(slices == query)
    more = {}
    if (settings := ways_of(model).get(way)) is not None:
        pair.obsm["X_spotscape"] = latents(pair, case, seed, folder, model)
        sps.tl.align(pair, reference, query, seed=seed, **settings)
        found, coupling = pair.uns["alignment"], pair.obsp["alignment"][here][:, there]
        more["coupled"] = found["coupled"][0]
        if "matrix" in found:
            more |= {"quality": found["quality"][0], "margin": found["margin"][0]}
            more["angle"] = float(np.degrees(np.arctan2(found["matrix"][0, 1, 0], found["matrix"][0, 0, 0])))
    else:
        coupling = couple(way, pair, there, here, folder / "components" / f"{case.name}.npy", moscot)
    transferred = transfer_labels(coupling, labels[there])
    score = sps.metrics.label_transfer_adjusted_rand_index(labels[here], transferred)
    return dict(zip(KEYS, key, strict=True)) | {"ltari": score} | more


def latents(pair: AnnData, case: Case, seed: int, folder: Path, model: str = DEFAULT_MODEL) -> np.ndarray:
    """Representation of a pair by a model with its defaults, trained unless it is there already."""
    run = str(seed) if model == DEFAULT_MODEL else f"{model}, {seed}"
    path = folder / "latents" / run / f"{case.same_representation_as or case.name}.npy"
    return kept(path, lambda: represent(pair, seed, model))


def represent(pair: AnnData, seed: int, name: str) -> np.ndarray:
    """Representation of both slices by a model. ``(n_spots, n_dimensions)``."""
    return train(name, pair.copy(), seed, size_factor_key="total_umi_full").get_latent_representation()


def transfer_labels(coupling: sparse.csr_matrix, labels: np.ndarray) -> np.ndarray:
    """Label of most weight in each row of a coupling; ``None`` where no annotated spot has any.

    Parameters
    ----------
    coupling
        ``(n_query, n_reference)``.
    labels
        Labels of the reference, ``None`` or ``NaN`` where it is not annotated. ``(n_reference,)``.

    Returns
    -------
    ``(n_query,)``.
    """
    codes, names = pd.factorize(labels)
    onehot = sparse.csr_matrix(
        (np.ones((codes >= 0).sum()), (np.flatnonzero(codes >= 0), codes[codes >= 0])), shape=(len(codes), len(names))
    )
    votes = (coupling @ onehot).toarray()
    return np.where(votes.sum(axis=1) > 0, np.asarray(names, dtype=object)[votes.argmax(axis=1)], None)


def couple(
    way: str, pair: AnnData, there: np.ndarray, here: np.ndarray, components: Path, moscot: str | None
) -> sparse.csr_matrix:
    """Coupling of a way that takes no model. ``(n_query, n_reference)``."""
    places = pair.obsm["spatial"]
    if way == ALIGNMENT_PEER:
        return run_moscot(str(moscot), pair, there, here)
    if way == "components":
        matches = match_components(kept(components, lambda: smoothed_components(pair)), there, here)
    else:
        matches = match_positions(places[there], places[here], n_starts=N_STARTS if way == "rigid fit" else 1)
    return sparse.csr_matrix((np.ones(len(here)), (np.arange(len(here)), matches)), shape=(len(here), len(there)))


def run_moscot(python: str, pair: AnnData, there: np.ndarray, here: np.ndarray) -> sparse.csr_matrix:
    """Coupling of moscot, from an environment of its own."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("query.h5ad", "reference.h5ad", "plan.npz")]
        for path, spots in zip(paths, (here, there), strict=False):
            pair[spots].write_h5ad(path)
        command = module_command(f"peers.{ALIGNMENT_PEER}", *paths, python=python)
        subprocess.run(command, check=True, env=os.environ | module_environment())
        return sparse.csr_matrix(sparse.load_npz(paths[2]))
