"""Measured alignment of two annotated sections, and of simulated sections of other technology, beside floors.

    python benchmarks/alignment.py REFERENCE.h5ad QUERY.h5ad [--seeds 10] [--latents DIR] [--paste PYTHON] --out DIR

Both files have raw counts in ``X``, ``obsm["spatial"]`` and the columns ``slice``, ``domain`` and ``total_umi_full`` of
``obs``. ``SPOTSCAPE`` is trained with its defaults on both slices together, for every case of ``_alignment_cases.py``
and every seed; ``--latents`` keeps the representations, so that a run that was ended goes on where it was, and
``--kept-only`` takes no more than those. Labels of the reference are handed over to the query, and compared with its
own by the label transfer adjusted Rand index. Ways:

* ``tl.align``: the default; ``tl.align, transport``; and ``tl.align, no positions`` (``transform=None``);
* ``components``: the most similar spot by centred principal components of expression averaged twice;
* ``rigid fit``: the nearest spot after the best rigid fit of positions, from 24 angles with and without mirroring;
  ``rigid fit, orientation given`` begins at the orientation of the files only;
* ``PASTE``, if ``--paste`` names a Python that has paste-bio.

DIR/results.csv has a row a case, direction, way and seed; DIR/summary.md the means, DIR/alignment.png one alignment.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from _alignment_cases import CASES, Case, make_pair
from _alignment_floors import match_components, match_positions, smoothed_components
from anndata import AnnData
from scipy import sparse

import spotscape as sps

WAYS = {
    "tl.align": {},
    "tl.align, transport": {"coupling": "transport"},
    "tl.align, no positions": {"transform": None},
}
FLOORS = ("components", "rigid fit", "rigid fit, orientation given", "PASTE")
COLUMNS = ["case", "reference", "query", "way", "seed", "ltari", "coupled", "quality", "margin", "angle"]


def train(pair: AnnData, seed: int) -> np.ndarray:
    """Representation of both slices by the default model. ``(n_spots, n_dimensions)``."""
    adata = pair.copy()
    sps.SPOTSCAPE.setup_anndata(adata, slice_key="slice", size_factor_key="total_umi_full")
    model = sps.SPOTSCAPE(adata, seed=seed)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation()


def kept(case: Case, name: str, folder: Path | None, compute: Callable[[], np.ndarray]) -> np.ndarray:
    """Read a representation from the folder, or compute it and put it there."""
    if folder is None:
        return compute()
    path = folder / f"{case.same_representation_as or case.name}-{name}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(path, compute())
    return np.load(path)


def kept_seeds(case: Case, folder: Path) -> list[int]:
    """Seeds whose representation is in the folder."""
    name = case.same_representation_as or case.name
    return [seed for seed in range(case.n_seeds) if (folder / f"{name}-{seed}.npy").exists()]


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


def as_coupling(matches: np.ndarray, n_reference: int) -> sparse.csr_matrix:
    """Coupling of each query spot with one reference spot."""
    n_query = len(matches)
    return sparse.csr_matrix((np.ones(n_query), (np.arange(n_query), matches)), shape=(n_query, n_reference))


def run_paste(python: str, pair: AnnData, reference: str, query: str) -> sparse.csr_matrix:
    """Coupling of PASTE, from an environment of its own."""
    program = Path(__file__).with_name("_alignment_peer_paste.py")
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "pair.h5ad", Path(folder) / "plan.npz"
        pair.write_h5ad(path)
        subprocess.run([python, str(program), str(path), reference, query, str(out)], check=True)
        return sparse.csr_matrix(sparse.load_npz(out))


def run_case(
    case: Case, pair: AnnData, names: tuple[str, str], *, seeds: Sequence[int], folder: Path | None, paste: str | None
) -> list[dict]:
    """Rows of one case, in one direction or both."""
    slices, labels = pair.obs["slice"].to_numpy(str), pair.obs["domain"].astype(object).to_numpy()
    rows: list[dict] = []
    components = kept(case, "components", folder, lambda: smoothed_components(pair))
    for reference, query in (names, names[::-1])[: 2 if case.both_directions else 1]:
        there, here = np.flatnonzero(slices == reference), np.flatnonzero(slices == query)

        def add(way: str, seed: int, coupling: sparse.csr_matrix, **more: float) -> None:
            handed = hand_over(coupling, labels[there])  # noqa: B023
            score = sps.metrics.label_transfer_adjusted_rand_index(labels[here], handed)  # noqa: B023
            row = {"case": case.name, "reference": reference, "query": query, "way": way, "seed": seed}  # noqa: B023
            rows.append({**row, "ltari": score, **more})

        places = pair.obsm["spatial"]
        floors: dict[str, Callable[[], sparse.csr_matrix]] = {
            "components": lambda: as_coupling(match_components(components, there, here), len(there)),  # noqa: B023
            "rigid fit": lambda: as_coupling(match_positions(places[there], places[here]), len(there)),  # noqa: B023
            "rigid fit, orientation given": lambda: as_coupling(
                match_positions(places[there], places[here], n_starts=1),  # noqa: B023
                len(there),  # noqa: B023
            ),
        }
        if paste is not None:
            floors["PASTE"] = lambda: run_paste(paste, pair, reference, query)  # noqa: B023
        for way, couple in floors.items():
            add(way, 0, couple())
        for seed in seeds:
            pair.obsm["X_spotscape"] = kept(case, str(seed), folder, lambda: train(pair, seed))  # noqa: B023
            for way, arguments in WAYS.items():
                sps.tl.align(pair, reference, query, seed=seed, **arguments)
                found = pair.uns["alignment"]
                more = {"coupled": found["coupled"][0]}
                if "matrix" in found:
                    more |= {"quality": found["quality"][0], "margin": found["margin"][0]}
                    more["angle"] = float(np.degrees(np.arctan2(found["matrix"][0, 1, 0], found["matrix"][0, 0, 0])))
                add(way, seed, pair.obsp["alignment"][here][:, there], **more)
    return rows


def write_summary(results: pd.DataFrame, path: Path) -> None:
    """Write mean and standard deviation over seeds, a row a case and direction."""
    ways = [way for way in (*WAYS, *FLOORS) if way in set(results["way"])]
    lines = ["| case | query on reference | seeds | " + " | ".join(ways) + " |", "|---" * (len(ways) + 3) + "|"]
    for (case, query, reference), part in results.groupby(["case", "query", "reference"], sort=False):
        cells = []
        for way in ways:
            scores = part.loc[part["way"] == way, "ltari"]
            spread = f" ± {scores.std():.3f}" if len(scores) > 1 else ""
            cells.append(f"{scores.mean():.3f}{spread}" if len(scores) else "")
        n_seeds = int((part["way"] == "tl.align").sum())
        lines.append(f"| {case} | {query} on {reference} | {n_seeds} | " + " | ".join(cells) + " |")
    path.write_text("\n".join(lines) + "\n")


def draw(pair: AnnData, reference: str, query: str, path: Path) -> None:
    """Draw the default alignment of a pair, with the annotation."""
    sps.tl.align(pair, reference, query)
    sps.pl.alignment(pair, color="domain", save=path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all cases that are wanted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("query")
    parser.add_argument("--seeds", type=int, help="seeds of the model (default: 10 or 3, as the case has)")
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument("--latents", type=Path, help="folder that keeps the representations")
    parser.add_argument("--kept-only", action="store_true", help="no seed that is not in --latents already")
    parser.add_argument("--paste", metavar="PYTHON", help="Python of an environment that has paste-bio")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.kept_only and options.latents is None:
        parser.error("--kept-only takes the folder of --latents.")
    reference, query = anndata.read_h5ad(options.reference), anndata.read_h5ad(options.query)
    names = tuple(str(one.obs["slice"].iloc[0]) for one in (reference, query))
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    for case in CASES:
        if options.cases is not None and case.name not in options.cases:
            continue
        pair = make_pair(case, reference, query)
        seeds: Sequence[int] = range(case.n_seeds if options.seeds is None else options.seeds)
        if options.kept_only:
            seeds = [seed for seed in kept_seeds(case, options.latents) if seed in seeds]
        rows += run_case(case, pair, names, seeds=seeds, folder=options.latents, paste=options.paste)
        results = pd.DataFrame(rows, columns=COLUMNS)
        results.to_csv(options.out / "results.csv", index=False, float_format="%.4f")
        write_summary(results, options.out / "summary.md")
        print(f"{case.name}: done", flush=True)
        if case.alterations and "X_spotscape" in pair.obsm:
            # The last case is the hardest, and stays.
            draw(pair, *names, options.out / "alignment.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
