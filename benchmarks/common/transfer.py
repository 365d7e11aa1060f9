"""Labels carried from other slices to one that was left out, and how sure a difference between two methods is."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.neighbors import KNeighborsClassifier

N_NEIGHBORS = 15
N_SPOTS_CLASS = 20
N_BOOTSTRAP = 2000


def shared_classes(labels: np.ndarray, slices: np.ndarray) -> np.ndarray:
    """Tell which spots are of a label that at least two slices have at least 20 spots of. ``(n_spots,)``."""
    sizes = pd.Series(1, index=range(len(labels))).groupby([labels, slices]).size()
    n_slices = (sizes >= N_SPOTS_CLASS).groupby(level=0).sum()
    return np.isin(labels, n_slices.index[n_slices >= 2])


def leave_one_slice_out(representation: np.ndarray, labels: np.ndarray, slices: np.ndarray) -> np.ndarray:
    """Give each spot the label of most of its 15 nearest neighbours in the other slices. ``(n_spots,)``."""
    found = np.empty(len(labels), dtype=labels.dtype)
    for name in np.unique(slices):
        out = slices == name
        n_neighbors = min(N_NEIGHBORS, int((~out).sum()))
        classifier = KNeighborsClassifier(n_neighbors).fit(representation[~out], labels[~out])
        found[out] = classifier.predict(representation[out])
    return found


def macro_f1(true: np.ndarray, found: np.ndarray, n_classes: int, weights: np.ndarray | None = None) -> float:
    """Mean over the classes that occur of the harmonic mean of precision and recall; spots may have weights."""
    table = np.bincount(true * n_classes + found, weights, n_classes**2).reshape(n_classes, n_classes)
    of_class, found_as = table.sum(axis=1), table.sum(axis=0)
    occurs = of_class > 0
    return float((2 * np.diag(table)[occurs] / (of_class + found_as)[occurs]).mean())


def bootstrap(
    labels: np.ndarray, slices: np.ndarray, found: Mapping[str, list[np.ndarray]], *, ours: str, seed: int = 0
) -> pd.DataFrame:
    """Compare one method with each other by the macro-F1, averaged over its seeds, on the same drawn spots.

    Parameters
    ----------
    labels, slices
        Label and slice of each spot. ``(n_spots,)``.
    found
        For each method, the labels that it found with each seed.
    ours
        The method that is compared with the others.
    seed
        Seed of the draws.

    Returns
    -------
    A row for each other method and way of drawing (spots within slices; slices and then spots): the difference and its
    2.5 and 97.5 percentiles.
    """
    classes, true = np.unique(labels, return_inverse=True)
    codes = {name: [np.searchsorted(classes, one) for one in runs] for name, runs in found.items()}
    groups = [np.flatnonzero(slices == name) for name in np.unique(slices)]
    rng = np.random.default_rng(seed)

    def score(name: str, weights: np.ndarray | None = None) -> float:
        return float(np.mean([macro_f1(true, one, len(classes), weights) for one in codes[name]]))

    def draw(drawn: np.ndarray) -> dict[str, float]:
        spots = np.concatenate([rng.choice(groups[index], len(groups[index])) for index in drawn])
        weights = np.bincount(spots, minlength=len(true)).astype(float)
        return {name: score(name, weights) for name in codes}

    every = np.arange(len(groups))
    draws = {
        "spots": pd.DataFrame([draw(every) for _ in range(N_BOOTSTRAP)]),
        "slices and spots": pd.DataFrame([draw(rng.choice(every, len(every))) for _ in range(N_BOOTSTRAP)]),
    }
    rows = []
    for name in codes:
        for drawn, values in draws.items():
            if name != ours:
                difference = values[ours] - values[name]
                low, high = np.percentile(difference, [2.5, 97.5])
                row = {"method": name, "drawn": drawn, "difference": score(ours) - score(name)}
                rows.append(row | {"low": low, "high": high})
    return pd.DataFrame(rows)
