"""Further clustering metrics against their definitions."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

from spotscape.metrics import (
    adjusted_mutual_information,
    completeness,
    homogeneity,
    normalized_mutual_information,
    purity,
    silhouette,
    v_measure,
)

METRICS = [adjusted_mutual_information, purity, homogeneity, completeness, v_measure]


def labellings(seed, n_spots=40):
    rng = np.random.default_rng(seed)
    true = rng.integers(4, size=n_spots)
    return true, np.where(rng.random(n_spots) < 0.6, true % 3, rng.integers(3, size=n_spots))


def entropy(labels):
    shares = np.unique(labels, return_counts=True, axis=0)[1] / len(labels)
    return -(shares * np.log(shares)).sum()


def entropy_given(labels, given):
    return entropy(np.column_stack([labels, given])) - entropy(given)


def slow_expected_information(true, pred):
    """Sum over all possible counts in each cell of the contingency table of shuffled labels."""
    n, total = len(true), 0.0
    for a, b in itertools.product(*(np.unique(labels, return_counts=True)[1] for labels in (true, pred))):
        for both in range(max(1, a + b - n), min(a, b) + 1):
            ways = gammaln([a + 1, b + 1, n - a + 1, n - b + 1]).sum()
            ways -= gammaln([n + 1, both + 1, a - both + 1, b - both + 1, n - a - b + both + 1]).sum()
            total += both / n * math.log(n * both / (a * b)) * math.exp(ways)
    return total


def test_scores_equal_their_definitions():
    true, pred = labellings(0)
    information = entropy(true) - entropy_given(true, pred)
    expected = slow_expected_information(true, pred)
    adjusted = (information - expected) / ((entropy(true) + entropy(pred)) / 2 - expected)
    assert adjusted_mutual_information(true, pred) == pytest.approx(adjusted)
    assert homogeneity(true, pred) == pytest.approx(1 - entropy_given(true, pred) / entropy(true))
    assert completeness(true, pred) == pytest.approx(1 - entropy_given(pred, true) / entropy(pred))
    both = homogeneity(true, pred), completeness(true, pred)
    assert v_measure(true, pred) == pytest.approx(2 / (1 / both[0] + 1 / both[1]))
    assert v_measure(true, pred) == pytest.approx(normalized_mutual_information(true, pred))
    largest = [pd.Series(true[pred == cluster]).value_counts().iloc[0] for cluster in np.unique(pred)]
    assert purity(true, pred) == pytest.approx(sum(largest) / len(true))


def test_purity_by_hand():
    assert purity(["a", "a", "b", "b"], [1, 2, 2, 2]) == 0.75
    assert purity(["a", "a", "b", "b"], [1, 2, 3, 4]) == 1.0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_unannotated_spots_are_ignored(metric, missing):
    true, pred = labellings(1)
    names = [f"layer {code}" for code in true]
    assert metric([missing, *names, missing], np.r_[0, pred, 9]) == pytest.approx(metric(names, pred))


@pytest.mark.parametrize("metric", METRICS)
def test_identical_partitions_score_one(metric):
    true, _ = labellings(2)
    assert metric(true, [f"domain {5 - code}" for code in true]) == pytest.approx(1)


def test_silhouette_equals_its_definition():
    true, _ = labellings(3)
    values = np.random.default_rng(3).normal(size=(len(true), 3)) + true[:, None]
    distances = np.linalg.norm(values[:, None] - values[None], axis=2)
    slow = []
    for i, label in enumerate(true):
        same = (true == label) & (np.arange(len(true)) != i)
        inside = distances[i, same].mean()
        outside = min(distances[i, true == other].mean() for other in set(true) - {label})
        slow.append((outside - inside) / max(inside, outside))
    assert silhouette(values, true) == pytest.approx(np.mean(slow), rel=1e-4)
    with_unlabelled = np.vstack([values, 99 * np.ones((2, 3))])
    assert silhouette(with_unlabelled, [*(f"layer {code}" for code in true), None, np.nan]) == pytest.approx(
        np.mean(slow), rel=1e-4
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [
        ([1, 2, 3], [1, 2], "`labels_true` has 3 labels and `labels_pred` 2"),
        ([1, 2], [1, None], "`labels_pred` has 1 missing values"),
        ([None, np.nan], [1, 2], "None of the 2 spots is annotated"),
    ],
)
def test_bad_labels_are_refused(metric, true, pred, message):
    with pytest.raises(ValueError, match=message):
        metric(true, pred)


@pytest.mark.parametrize(
    ("representation", "labels", "message"),
    [
        ([[0.0], [1.0]], [1, 2, 2], "`representation` has 2 spots and `labels` 3"),
        ([[0.0], [1.0]], [1, 2], "2 label\\(s\\) for 2 annotated spots"),
        ([[0.0], [1.0], [2.0]], [1, 1, None], "1 label\\(s\\) for 2 annotated spots"),
        ([[0.0], [np.nan]], [1, 2], "1 missing or infinite"),
        ([0.0, 1.0], [1, 2], "shape \\(2,\\)"),
    ],
)
def test_bad_silhouettes_are_refused(representation, labels, message):
    with pytest.raises(ValueError, match=message):
        silhouette(representation, labels)
