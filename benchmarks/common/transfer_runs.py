"""Runs of methods over cases and seeds: their representations, numbers and bootstraps are kept and not made again."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.common.processes import one_thread, silence_training
from benchmarks.common.reading import Section
from benchmarks.common.results import Results, kept, require_results
from benchmarks.common.transfer import bootstrap, leave_one_slice_out, macro_f1, shared_classes

COLUMNS = {"case": str, "method": str, "seed": int, "metric": str, "value": float}
TRANSFER_COLUMNS = {"method": str, "drawn": str, "difference": float, "low": float, "high": float, "case": str}
#: Case, which has a name; method; seed.
Run = tuple[Any, str, int]


class TransferBenchmark(ABC):
    """Runs and their files in one folder.

    A subclass says how the section of a case is read, and how a representation is made and scored.
    """

    #: The method that the transfer of labels of the others is compared with.
    ours: str

    def __init__(self, cases: Sequence[Any], folder: Path) -> None:
        self.cases, self.folder = cases, folder
        self.results, self.transfers = results_of(folder), transfers_of(folder)

    @abstractmethod
    def section(self, case: Any, seed: int) -> Section:
        """Section of a case, which may be drawn by the seed."""

    @abstractmethod
    def make(self, case: Any, method: str, seed: int) -> np.ndarray:
        """Representation of all spots. ``(n_spots, n_dimensions)``."""

    @abstractmethod
    def score(self, case: Any, method: str, seed: int, values: np.ndarray) -> dict[str, float]:
        """Numbers of one representation, but for those of the transfer of labels."""

    @abstractmethod
    def is_compared(self, case: Any) -> bool:
        """Whether the transfer of labels is bootstrapped in a case."""

    def representation(self, case: Any, method: str, seed: int) -> np.ndarray:
        """Read a representation, or make and keep it."""
        path = self.folder / "latents" / f"{case.name}; {method}; {seed}.npy"
        return kept(path, lambda: np.asarray(self.make(case, method, seed), dtype=np.float32))

    def transferred(self, case: Any, method: str, seed: int) -> np.ndarray:
        """Labels of the spots of shared classes, each found without its own slice."""
        section = self.section(case, seed)
        labels, slices = section.labels, section.annotated_slices
        kept = shared_classes(labels, slices)
        values = self.representation(case, method, seed)[section.is_annotated][kept]
        return leave_one_slice_out(values, labels[kept], slices[kept])

    def run(self, case: Any, method: str, seed: int) -> list[dict[str, Any]]:
        """Rows of one representation."""
        numbers = self.score(case, method, seed, self.representation(case, method, seed))
        section = self.section(case, seed)
        if np.any(kept := shared_classes(section.labels, section.annotated_slices)):
            classes, true = np.unique(section.labels[kept], return_inverse=True)
            found = np.searchsorted(classes, self.transferred(case, method, seed))
            numbers["macro-F1"] = macro_f1(true, found, len(classes))
        row = {"case": case.name, "method": method, "seed": seed}
        return [row | {"metric": name, "value": value} for name, value in numbers.items()]

    def compare_transfers(self, results: pd.DataFrame) -> pd.DataFrame:
        """Bootstrap the transfer of labels in every case that has it."""
        tables = []
        for case in self.cases:
            runs = results[results["case"] == case.name].drop_duplicates(["method", "seed"])
            if not self.is_compared(case) or self.ours not in set(runs["method"]):
                continue
            section = self.section(case, 0)
            labels, slices = section.labels, section.annotated_slices
            if not np.any(kept := shared_classes(labels, slices)):
                continue
            found: dict[str, list[np.ndarray]] = {}
            for method, seed in zip(runs["method"], runs["seed"], strict=True):
                found.setdefault(method, []).append(self.transferred(case, method, seed))
            tables.append(bootstrap(labels[kept], slices[kept], found, ours=self.ours).assign(case=case.name))
        return pd.concat(tables) if tables else pd.DataFrame()

    def measure(self, runs: Iterable[Run]) -> None:
        """Score the runs that are not there yet, one after the other, and bootstrap anew."""
        silence_training()
        warnings.filterwarnings("ignore")
        done = self.results.done()
        with one_thread():
            for case, method, seed in tqdm([run for run in runs if (run[0].name, *run[1:]) not in done]):
                self.results.write(self.run(case, method, seed))
            compared = self.compare_transfers(self.results.read())
        if not compared.empty:
            self.transfers.replace(compared, "case")


def results_of(folder: Path) -> Results:
    """Numbers in a folder."""
    return Results(folder / "results.csv", COLUMNS, ["case", "method", "seed"], digits=5)


def transfers_of(folder: Path) -> Results:
    """Bootstraps in a folder."""
    return Results(folder / "transfer.csv", TRANSFER_COLUMNS, ["case"], digits=5)


def write_tables(
    folder: Path,
    picture: str,
    write_summary: Callable[[pd.DataFrame, pd.DataFrame, Path], None],
    write_figure: Callable[[pd.DataFrame, Path], None],
) -> None:
    """Make the summary and the picture of a folder from its rows; end the program where there are none."""
    results = results_of(folder)
    rows = results.read()
    require_results(rows, results.path)
    write_summary(rows, transfers_of(folder).read(), folder / "summary.md")
    write_figure(rows, folder / picture)
