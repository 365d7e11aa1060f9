"""Measured integration of slices: the model beside common methods, what is kept of the biology beside what is mixed.

    python benchmarks/integration.py --case cortex=A.h5ad,B.h5ad --case starmap=C.h5ad --synthetic --out DIR

A case is all annotated slices of its files, as in ``accuracy.py``; ``--synthetic`` adds made-up tissues without and
with a strong batch effect, and one whose slices lack domains. Every method sees all spots of a case at once, no label,
and is scored by ``metrics.integration_scores``; by the domains that ``tl.domains`` and k-means find in it, pooled and
in each slice; and by how well its nearest neighbours in the other slices tell the label of a slice that was left out.

A row of DIR/results.csv is one number; rows are appended as soon as a run is done, and what is there is not computed
again: take a new DIR after the package has changed. Representations are kept in DIR/latents. DIR/transfer.csv has the
bootstrap of the transfer of labels; DIR/summary.md and DIR/integration.png are drawn from both; --tables-only draws
them without computing anything.
"""

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _integration_cases import Case, find_cases, lacked_domains, load_case
from _integration_methods import METHODS, OURS, VARIANTS, WITHOUT_SEED
from _integration_tables import write_figure, write_summary
from _integration_transfer import bootstrap, leave_one_slice_out, macro_f1, shared_classes
from _sections import Keys, Section
from anndata import AnnData
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import spotscape as sps

COLUMNS = ["case", "method", "seed", "metric", "value"]


class Benchmark:
    """Runs and their files in one folder."""

    def __init__(self, cases: Sequence[Case], keys: Keys, folder: Path) -> None:
        self.cases, self.keys, self.folder = cases, keys, folder
        (folder / "latents").mkdir(parents=True, exist_ok=True)

    def representation(self, case: Case, method: str, seed: int) -> np.ndarray:
        """Read a representation, or make and keep it."""
        path = self.folder / "latents" / f"{case.name}; {method}; {seed}.npy"
        if not path.exists():
            values = (METHODS | VARIANTS)[method](case, self.keys, seed)
            np.save(path, np.asarray(values, dtype=np.float32))
        return np.load(path)

    def run(self, case: Case, method: str, seed: int) -> pd.DataFrame:
        """Score one representation."""
        section, values = load_case(case, self.keys), self.representation(case, method, seed)
        # What no label is needed for is scored on all spots.
        labels = np.full(len(values), None, dtype=object)
        labels[section.is_annotated] = section.labels
        scores = sps.metrics.integration_scores(
            values, section.slices, labels, unintegrated=self.representation(case, "PCA", 0)
        )
        numbers = {f"bio: {name}": value for name, value in scores.bio.items()} | {"bio": scores.bio_mean}
        numbers |= {f"batch: {name}": value for name, value in scores.batch.items()} | {"batch": scores.batch_mean}
        numbers |= score_domains(case, section, values[section.is_annotated], seed)
        if np.any(kept := shared_classes(section.labels, annotated_slices(section))):
            found = self.transferred(case, method, seed)
            classes, true = np.unique(section.labels[kept], return_inverse=True)
            numbers["macro-F1"] = macro_f1(true, np.searchsorted(classes, found), len(classes))
        row = {"case": case.name, "method": method, "seed": seed}
        return pd.DataFrame([row | {"metric": name, "value": value} for name, value in numbers.items()])

    def transferred(self, case: Case, method: str, seed: int) -> np.ndarray:
        """Labels of the spots of shared classes, each found without its own slice."""
        section = load_case(case, self.keys)
        slices = annotated_slices(section)
        kept = shared_classes(section.labels, slices)
        values = self.representation(case, method, seed)[section.is_annotated][kept]
        return leave_one_slice_out(values, section.labels[kept], slices[kept])

    def compare_transfers(self, results: pd.DataFrame) -> pd.DataFrame:
        """Bootstrap the transfer of labels in every case of at least three slices from files."""
        tables = []
        for case in self.cases:
            runs = results[results["case"] == case.name].drop_duplicates(["method", "seed"])
            section = load_case(case, self.keys)
            slices = annotated_slices(section)
            kept = shared_classes(section.labels, slices)
            if case.source is None or len(np.unique(slices)) < 3 or OURS not in set(runs["method"]) or not kept.any():
                continue
            found: dict[str, list[np.ndarray]] = {}
            for method, seed in zip(runs["method"], runs["seed"], strict=True):
                found.setdefault(method, []).append(self.transferred(case, method, seed))
            tables.append(bootstrap(section.labels[kept], slices[kept], found, ours=OURS).assign(case=case.name))
        return pd.concat(tables) if tables else pd.DataFrame()


def annotated_slices(section: Section) -> np.ndarray:
    """Slice of each annotated spot."""
    return section.slices[section.is_annotated]


def score_domains(case: Case, section: Section, values: np.ndarray, seed: int) -> dict[str, float]:
    """Compare domains of the annotated spots with their labels, pooled and in each slice."""
    adata, slices = AnnData(obsm={"X_found_in": values}), annotated_slices(section)
    sps.tl.domains(adata, "X_found_in", section.n_domains, key_added="found", seed=seed)
    domains = adata.obs["found"].to_numpy(str)
    readouts = {
        "tl.domains": domains,
        "k-means": KMeans(section.n_domains, n_init=10, random_state=seed).fit_predict(values).astype(str),
    }
    numbers = {}
    for readout, found in readouts.items():
        numbers |= {f"{readout} {name}": value for name, value in sps.metrics.scores(section.labels, found).items()}
        for name in np.unique(slices):
            here = slices == name
            numbers[f"{readout} ARI, {name}"] = sps.metrics.adjusted_rand_index(section.labels[here], found[here])
    for name, lacked in lacked_domains(case).items():
        numbers[f"lacked, {name}"] = share_of(section.labels, domains, slices == name, lacked)
    return numbers


def share_of(labels: np.ndarray, found: np.ndarray, here: np.ndarray, wanted: Sequence[str]) -> float:
    """Share of the spots ``here`` whose cluster is matched, over all spots, with one of the labels ``wanted``."""
    table = pd.crosstab(labels, found)
    rows, columns = linear_sum_assignment(table.to_numpy(), maximize=True)
    matched = [table.columns[column] for row, column in zip(rows, columns, strict=True) if table.index[row] in wanted]
    return float(np.isin(found[here], matched).mean())


def read_results(path: Path) -> pd.DataFrame:
    """Read the rows, without a run that was cut off."""
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    text = path.read_text()
    if not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1])
    return pd.read_csv(path)


def read_transfers(path: Path) -> pd.DataFrame:
    """Read the bootstrap, empty where there is none."""
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["case"])


def update_transfers(path: Path, new: pd.DataFrame) -> None:
    """Write the bootstrap of some cases in place of what was there of them."""
    if not new.empty:
        before = read_transfers(path)
        others = before[~before["case"].isin(new["case"])]
        pd.concat([others, new] if len(others) else [new]).to_csv(path, index=False)


def plan(cases: Sequence[Case], methods: Sequence[str], n_seeds: int, done: pd.DataFrame) -> list:
    """List the runs that are not there yet, seed by seed, so that every seed is complete before the next."""
    there = set(done[["case", "method", "seed"]].itertuples(index=False, name=None))
    runs = [
        (case, method, seed)
        for seed in range(n_seeds)
        for case in cases
        for method in methods
        if seed == 0 or method not in WITHOUT_SEED
    ]
    return [(case, method, seed) for case, method, seed in runs if (case.name, method, seed) not in there]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing, then write the summary and the picture."""
    options = _parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    path, transfers = options.out / "results.csv", options.out / "transfer.csv"
    if not options.tables_only:
        for library in ("lightning.pytorch", "scvi"):
            logging.getLogger(library).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore")
        keys = Keys(size_factor=options.size_factor_key, dropped=tuple(options.drop_label))
        cases = find_cases(options.case, keys, synthetic=options.synthetic)
        benchmark = Benchmark(cases, keys, options.out)
        torch.set_num_threads(1)
        with threadpool_limits(1):
            for case, method, seed in tqdm(plan(cases, options.methods, options.seeds, read_results(path))):
                rows = benchmark.run(case, method, seed).round({"value": 5})
                rows[COLUMNS].to_csv(path, mode="a", header=not path.exists(), index=False)
            update_transfers(transfers, benchmark.compare_transfers(read_results(path)).round(5))
    results = read_results(path)
    if results.empty:
        raise SystemExit(f"There are no results in {path}.")
    write_summary(results, read_transfers(transfers), options.out / "summary.md")
    write_figure(results, options.out / "integration.png")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", default=[], metavar="NAME=A.h5ad,B.h5ad", help="repeatable")
    parser.add_argument("--synthetic", action="store_true", help="add the made-up tissues")
    parser.add_argument("--seeds", type=int, default=10, help="number of seeds (default: 10)")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, *VARIANTS], default=list(METHODS), metavar="NAME")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--drop-label", action="append", default=[], metavar="LABEL", help="no annotation; repeatable")
    parser.add_argument("--size-factor-key", metavar="KEY", help="totals over all genes; used where a file has them")
    parser.add_argument("--tables-only", action="store_true", help="compute nothing")
    options = parser.parse_args(arguments)
    if not (options.case or options.synthetic or options.tables_only):
        parser.error("give at least one --case, --synthetic, or --tables-only")
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}; it must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
