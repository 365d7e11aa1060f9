"""Measured alignment of two annotated sections, and of simulated sections of other technology, beside floors.

    python benchmarks/alignment.py REFERENCE.h5ad QUERY.h5ad --out DIR [--model SEDR] [--seeds 3] [--moscot PYTHON]

Both files have raw counts in ``X``, ``obsm["spatial"]`` and the columns ``slice``, ``domain`` and ``total_umi_full`` of
``obs``. The model, ``SPOTSCAPE`` unless said, is trained with its defaults on both slices together, for every case of
``_alignment_cases.py`` and every seed. Labels of the reference are handed over to the query, and compared with its own
by the label transfer adjusted Rand index. Ways:

* ``tl.align``: the default; ``tl.align, transport``; and ``tl.align, no positions`` (``transform=None``); with the name
  of the model before them where it is not ``SPOTSCAPE``;
* ``components``: the most similar spot by centred principal components of expression averaged twice;
* ``rigid fit``: the nearest spot after the best rigid fit of positions, from 24 angles with and without mirroring;
  ``rigid fit, orientation given`` begins at the orientation of the files only;
* ``moscot``: optimal transport, if ``--moscot`` names a Python that has ``moscot``.

DIR/results.csv has a row a case, direction, way and seed, written as they come: a run that was ended goes on where it
was. DIR/latents keeps the representations, in a folder a seed; remove both after a change of the model. DIR/summary.md
has the means of all models, DIR/alignment.png the last case, seed 0.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from _alignment_cases import CASES, Case, make_pair, rotate
from _alignment_floors import N_STARTS, match_components, match_positions, smoothed_components
from _variants import MODELS
from anndata import AnnData
from scipy import sparse

import spotscape as sps

OURS = "SPOTSCAPE"
WAYS: dict[str, dict[str, Any]] = {
    "tl.align": {},
    "tl.align, transport": {"coupling": "transport"},
    "tl.align, no positions": {"transform": None},
}
FLOORS = ("components", "rigid fit", "rigid fit, orientation given")
KEYS = ["case", "reference", "query", "way", "seed"]
COLUMNS = [*KEYS, "ltari", "coupled", "quality", "margin", "angle"]


def ways_of(name: str) -> dict[str, dict[str, Any]]:
    """Arguments of ``tl.align`` for each way of a model, by what it is called in the tables."""
    return {way if name == OURS else f"{name}, {way}": settings for way, settings in WAYS.items()}


def train(pair: AnnData, seed: int, name: str = OURS) -> np.ndarray:
    """Representation of both slices by a model with its defaults. ``(n_spots, n_dimensions)``."""
    adata, model_class = pair.copy(), getattr(sps, name)
    model_class.setup_anndata(adata, slice_key="slice", size_factor_key="total_umi_full")
    model = model_class(adata, seed=seed)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation()


def kept(path: Path, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Read an array from a file, or compute it and put it there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, compute())
    return np.load(path)


def hand_over(coupling: sparse.csr_matrix, labels: np.ndarray) -> np.ndarray:
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
    if way == "moscot":
        return run_moscot(str(moscot), pair, there, here)
    if way == "components":
        matches = match_components(kept(components, lambda: smoothed_components(pair)), there, here)
    else:
        matches = match_positions(places[there], places[here], n_starts=N_STARTS if way == "rigid fit" else 1)
    return sparse.csr_matrix((np.ones(len(here)), (np.arange(len(here)), matches)), shape=(len(here), len(there)))


def run_moscot(python: str, pair: AnnData, there: np.ndarray, here: np.ndarray) -> sparse.csr_matrix:
    """Coupling of moscot, from an environment of its own."""
    program = Path(__file__).with_name("_alignment_peer_moscot.py")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("query.h5ad", "reference.h5ad", "plan.npz")]
        for path, spots in zip(paths, (here, there), strict=False):
            pair[spots].write_h5ad(path)
        subprocess.run([python, str(program), *map(str, paths)], check=True)
        return sparse.csr_matrix(sparse.load_npz(paths[2]))


def rows_to_do(
    case: Case, names: tuple[str, str], seeds: int | None, moscot: str | None, model: str = OURS
) -> Iterator[tuple]:
    """Give the keys of all rows of a case."""
    n_seeds = case.n_seeds if seeds is None else min(seeds, case.n_seeds)
    for reference, query in (names, names[::-1])[: 2 if case.both_directions else 1]:
        ways = [*FLOORS, *([] if moscot is None else ["moscot"])]
        if rotate in case.alterations:
            # The orientation of a slice that was turned is not the given one.
            ways.remove("rigid fit, orientation given")
        for way in ways:
            yield case.name, reference, query, way, 0
        for seed in range(n_seeds):
            for way in ways_of(model):
                yield case.name, reference, query, way, seed


def measure(pair: AnnData, key: tuple, case: Case, folder: Path, moscot: str | None, model: str = OURS) -> dict:
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
    score = sps.metrics.label_transfer_adjusted_rand_index(labels[here], hand_over(coupling, labels[there]))
    return dict(zip(KEYS, key, strict=True)) | {"ltari": score} | more


def latents(pair: AnnData, case: Case, seed: int, folder: Path, model: str = OURS) -> np.ndarray:
    """Representation of a pair by a model, trained unless it is there already."""
    run = str(seed) if model == OURS else f"{model}, {seed}"
    path = folder / "latents" / run / f"{case.same_representation_as or case.name}.npy"
    return kept(path, lambda: train(pair, seed, model))


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write mean and standard deviation over seeds, a row a case and direction."""
    of_models = [way for model in MODELS for way in ways_of(model)]
    ways = [way for way in (*of_models, *FLOORS, "moscot") if way in set(results["way"])]
    lines = ["| case | query on reference | seeds | " + " | ".join(ways) + " |", "|---" * (len(ways) + 3) + "|"]
    order = {case.name: number for number, case in enumerate(CASES)}
    results = results.sort_values("case", key=lambda names: names.map(order), kind="stable")
    for (case, query, reference), part in results.groupby(["case", "query", "reference"], sort=False):
        cells = []
        for way in ways:
            scores = part.loc[part["way"] == way, "ltari"]
            spread = f" ± {scores.std():.3f}" if len(scores) > 1 else ""
            cells.append(f"{scores.mean():.3f}{spread}" if len(scores) else "")
        n_seeds = [int((part["way"] == next(iter(ways_of(model)))).sum()) for model in MODELS]
        seeds = ", ".join(str(number) for number in n_seeds if number)
        lines.append(f"| {case} | {query} on {reference} | {seeds} | " + " | ".join(cells) + " |")
    path.write_text("\n".join(lines) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all cases that are wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("query")
    parser.add_argument("--model", choices=list(MODELS), default=OURS, help=f"default: {OURS}")
    parser.add_argument("--seeds", type=int, help="at most so many seeds of the model (default: 10 or 3, by case)")
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument("--moscot", metavar="PYTHON", help="Python of an environment that has moscot")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    reference, query = anndata.read_h5ad(options.reference), anndata.read_h5ad(options.query)
    names = (str(reference.obs["slice"].iloc[0]), str(query.obs["slice"].iloc[0]))
    options.out.mkdir(parents=True, exist_ok=True)
    table = options.out / "results.csv"
    cases = [case for case in CASES if options.cases is None or case.name in options.cases]
    for case in cases:
        pair = make_pair(case, reference, query)
        there = read_results(table)
        done = set(there[KEYS].itertuples(index=False, name=None))
        for key in rows_to_do(case, names, options.seeds, options.moscot, options.model):
            if key in done:
                continue
            measured = measure(pair, key, case, options.out, options.moscot, options.model)
            row = pd.DataFrame([measured], columns=COLUMNS)
            row.to_csv(table, mode="a", header=not table.exists(), index=False, float_format="%.4f")
            print(*key, f"{row['ltari'][0]:.3f}", flush=True)
    write_summary(read_results(table), options.out / "summary.md")
    pair.obsm["X_spotscape"] = latents(pair, cases[-1], 0, options.out, options.model)
    sps.tl.align(pair, *names)
    sps.pl.alignment(pair, color="domain", save=options.out / "alignment.png")
    return 0


def read_results(table: Path) -> pd.DataFrame:
    """Rows that are there already, in the order of the cases."""
    if not table.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(table, dtype={"reference": str, "query": str})


if __name__ == "__main__":
    sys.exit(main())
