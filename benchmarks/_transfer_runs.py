"""Runs of methods over cases and seeds: their representations, numbers and bootstraps are kept and not made again."""

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from _integration_transfer import bootstrap, leave_one_slice_out, macro_f1, shared_classes
from _sections import Keys
from threadpoolctl import threadpool_limits
from tqdm import tqdm

COLUMNS = ["case", "method", "seed", "metric", "value"]
Run = tuple[Any, str, int]


class Annotation(NamedTuple):
    """Labels and slices of the annotated spots, and which of all spots these are."""

    labels: np.ndarray
    slices: np.ndarray
    is_annotated: np.ndarray


class TransferBenchmark(ABC):
    """Runs and their files in one folder; a case has a name.

    A subclass says how a representation is made and scored, and what is annotated.
    """

    ours: str

    def __init__(self, cases: Sequence[Any], keys: Keys, folder: Path) -> None:
        self.cases, self.keys, self.folder = cases, keys, folder
        (folder / "latents").mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def make(self, case: Any, method: str, seed: int) -> np.ndarray:
        """Representation of all spots. ``(n_spots, n_dimensions)``."""

    @abstractmethod
    def score(self, case: Any, method: str, seed: int, values: np.ndarray) -> dict[str, float]:
        """Numbers of one representation, but for those of the transfer of labels."""

    @abstractmethod
    def annotation(self, case: Any, seed: int) -> Annotation:
        """What is annotated in the data of a case, which may be drawn by the seed."""

    @abstractmethod
    def is_compared(self, case: Any) -> bool:
        """Whether the transfer of labels is bootstrapped in a case."""

    def representation(self, case: Any, method: str, seed: int) -> np.ndarray:
        """Read a representation, or make and keep it."""
        path = self.folder / "latents" / f"{case.name}; {method}; {seed}.npy"
        if not path.exists():
            np.save(path, np.asarray(self.make(case, method, seed), dtype=np.float32))
        return np.load(path)

    def transferred(self, case: Any, method: str, seed: int) -> np.ndarray:
        """Labels of the spots of shared classes, each found without its own slice."""
        labels, slices, is_annotated = self.annotation(case, seed)
        kept = shared_classes(labels, slices)
        values = self.representation(case, method, seed)[is_annotated][kept]
        return leave_one_slice_out(values, labels[kept], slices[kept])

    def run(self, case: Any, method: str, seed: int) -> pd.DataFrame:
        """Rows of one representation."""
        numbers = self.score(case, method, seed, self.representation(case, method, seed))
        labels, slices, _ = self.annotation(case, seed)
        if np.any(kept := shared_classes(labels, slices)):
            classes, true = np.unique(labels[kept], return_inverse=True)
            found = np.searchsorted(classes, self.transferred(case, method, seed))
            numbers["macro-F1"] = macro_f1(true, found, len(classes))
        row = {"case": case.name, "method": method, "seed": seed}
        return pd.DataFrame([row | {"metric": name, "value": value} for name, value in numbers.items()])

    def compare_transfers(self, results: pd.DataFrame) -> pd.DataFrame:
        """Bootstrap the transfer of labels in every case that has it."""
        tables = []
        for case in self.cases:
            runs = results[results["case"] == case.name].drop_duplicates(["method", "seed"])
            if not self.is_compared(case) or self.ours not in set(runs["method"]):
                continue
            labels, slices, _ = self.annotation(case, 0)
            if not np.any(kept := shared_classes(labels, slices)):
                continue
            found: dict[str, list[np.ndarray]] = {}
            for method, seed in zip(runs["method"], runs["seed"], strict=True):
                found.setdefault(method, []).append(self.transferred(case, method, seed))
            tables.append(bootstrap(labels[kept], slices[kept], found, ours=self.ours).assign(case=case.name))
        return pd.concat(tables) if tables else pd.DataFrame()

    def measure(self, runs: Iterable[Run]) -> None:
        """Score the runs that are not there yet, one after the other, and bootstrap anew."""
        for library in ("lightning.pytorch", "scvi"):
            logging.getLogger(library).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore")
        torch.set_num_threads(1)
        path = self.folder / "results.csv"
        there = set(read_results(self.folder)[["case", "method", "seed"]].itertuples(index=False, name=None))
        with threadpool_limits(1):
            for case, method, seed in tqdm([run for run in runs if (run[0].name, *run[1:]) not in there]):
                rows = self.run(case, method, seed).round({"value": 5})
                rows[COLUMNS].to_csv(path, mode="a", header=not path.exists(), index=False)
            new = self.compare_transfers(read_results(self.folder)).round(5)
        if not new.empty:
            before = read_transfers(self.folder)
            others = before[~before["case"].isin(new["case"])]
            pd.concat([others, new] if len(others) else [new]).to_csv(self.folder / "transfer.csv", index=False)


def read_results(folder: Path) -> pd.DataFrame:
    """Read the rows of a folder, without a run that was cut off."""
    path = folder / "results.csv"
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    text = path.read_text()
    if not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1])
    return pd.read_csv(path)


def read_transfers(folder: Path) -> pd.DataFrame:
    """Read the bootstrap of a folder, empty where there is none."""
    path = folder / "transfer.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["case"])
