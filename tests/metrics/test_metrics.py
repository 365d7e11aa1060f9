import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spotscape.metrics import (
    adjusted_rand_index,
    boundary_accuracy,
    clustering_accuracy,
    normalized_mutual_information,
    scores,
)

METRICS = [adjusted_rand_index, normalized_mutual_information, clustering_accuracy]


def labellings(seed, n_true=4, n_pred=3, n_spots=60):
    rng = np.random.default_rng(seed)
    true = rng.integers(n_true, size=n_spots)
    pred = np.where(rng.random(n_spots) < 0.6, true % n_pred, rng.integers(n_pred, size=n_spots))
    return true, pred


def slow_accuracy_per_spot(true, pred):
    """Try every one-to-one matching; spots of unmatched clusters are wrong."""
    classes, clusters = sorted(set(true)), sorted(set(pred))
    padded = [*classes, *[None] * len(clusters)]
    best = None
    for chosen in itertools.permutations(padded, len(clusters)):
        match = dict(zip(clusters, chosen, strict=True))
        right = np.array([match[p] is not None and match[p] == t for t, p in zip(true, pred, strict=True)])
        best = right if best is None or right.sum() > best.sum() else best
    return best


def slow_ari(true, pred):
    pairs = list(itertools.combinations(range(len(true)), 2))
    same_true = np.array([true[i] == true[j] for i, j in pairs])
    same_pred = np.array([pred[i] == pred[j] for i, j in pairs])
    expected = same_true.sum() * same_pred.sum() / len(pairs)
    return ((same_true & same_pred).sum() - expected) / ((same_true.sum() + same_pred.sum()) / 2 - expected)


def slow_nmi(true, pred):
    n = len(true)
    information = 0.0
    for t, p in itertools.product(set(true), set(pred)):
        joint = np.mean((true == t) & (pred == p))
        if joint:
            information += joint * math.log(joint / (np.mean(true == t) * np.mean(pred == p)))
    entropies = [-sum(c / n * math.log(c / n) for c in np.unique(y, return_counts=True)[1]) for y in (true, pred)]
    return 2 * information / sum(entropies)


@pytest.mark.parametrize(("n_true", "n_pred"), [(4, 3), (3, 4), (3, 3), (1, 3)])
def test_clustering_accuracy_is_the_best_of_all_matchings(n_true, n_pred):
    true, pred = labellings(n_true * 10 + n_pred, n_true, n_pred)
    assert clustering_accuracy(true, pred) == pytest.approx(slow_accuracy_per_spot(true, pred).mean())


def test_clustering_accuracy_by_hand():
    assert clustering_accuracy(["a", "a", "b", "b"], [1, 2, 2, 2]) == 0.75
    assert clustering_accuracy(["a", "a", "a", "a"], [1, 2, 3, 4]) == 0.25


def test_rand_index_and_mutual_information_equal_their_definitions():
    true, pred = labellings(0)
    assert adjusted_rand_index(true, pred) == pytest.approx(slow_ari(true, pred))
    assert normalized_mutual_information(true, pred) == pytest.approx(slow_nmi(true, pred))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("container", [list, lambda x: np.array(x, dtype=object), pd.Series, pd.Categorical])
def test_unannotated_spots_are_ignored(metric, missing, container):
    true, pred = labellings(1)
    names = [f"layer {code}" for code in true]
    expected = metric(names, pred)
    with_missing = container([missing, *names, missing])
    assert metric(with_missing, np.r_[0, pred, 9]) == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_names_do_not_matter(metric):
    true, pred = labellings(2)
    renamed = pd.Categorical([f"domain {5 - code}" for code in pred])
    assert metric(true, renamed) == pytest.approx(metric(true, pred))
    assert metric(true, true.astype(float)) == pytest.approx(1.0)


def test_series_of_other_spots_are_refused_and_arrays_are_compared_by_position():
    true, pred = labellings(3)
    shuffled = pd.Series(pred, index=np.random.default_rng(0).permutation(len(true)))
    with pytest.raises(ValueError, match="of other spots or in another order"):
        adjusted_rand_index(pd.Series(true), shuffled)
    assert adjusted_rand_index(pd.Series(true), shuffled.to_numpy()) == adjusted_rand_index(true, pred)


def test_scores():
    true, pred = labellings(4)
    assert scores(true, pred) == {
        "ARI": adjusted_rand_index(true, pred),
        "NMI": normalized_mutual_information(true, pred),
        "CA": clustering_accuracy(true, pred),
    }


@pytest.mark.parametrize("metric", [*METRICS, scores, lambda t, p: boundary_accuracy(t, p, sparse.eye(len(t)))])
@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [
        ([1, 2, 3], [1, 2], "`labels_true` has 3 labels and `labels_pred` 2"),
        ([1, 2], [1, None], "`labels_pred` has 1 missing values"),
        ([None, np.nan], [1, 2], "None of the 2 spots is annotated"),
        ([], [], "None of the 0 spots is annotated"),
        ([1, 2], np.ones((2, 1)), "`labels_pred` is .*several values per spot"),
    ],
)
def test_bad_labels_are_refused(metric, true, pred, message):
    with pytest.raises(ValueError, match=message):
        metric(true, pred)


def slow_boundary(true, pred, graph):
    annotated = [i for i, label in enumerate(true) if label is not None]
    right = slow_accuracy_per_spot([true[i] for i in annotated], [pred[i] for i in annotated])
    at_boundary = np.array(
        [any(graph[i, j] and true[j] != true[i] for j in annotated if j != i) for i in annotated], dtype=bool
    )
    return right[at_boundary].mean(), right[~at_boundary].mean(), at_boundary.sum(), (~at_boundary).sum()


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.coo_array, sparse.csc_matrix])
def test_boundary_accuracy_equals_its_definition(form):
    rng = np.random.default_rng(0)
    side = 9
    x, y = np.divmod(np.arange(side * side), side)
    true = [None if rng.random() < 0.15 else int(v // 3) for v in x]
    pred = np.where(rng.random(side * side) < 0.7, x // 3, rng.integers(4, size=side * side))
    graph = (abs(x[:, None] - x) + abs(y[:, None] - y) <= 1) * rng.random((side * side, side * side))
    graph[rng.random(graph.shape) < 0.2] = 0
    found = boundary_accuracy(true, pred, form(graph))
    assert found == pytest.approx(slow_boundary(true, pred, graph))
    assert found.n_boundary and found.n_interior


def test_boundary_accuracy_without_a_boundary():
    found = boundary_accuracy([1, 1, 1], [1, 1, 2], sparse.csr_matrix(np.ones((3, 3))))
    assert math.isnan(found.boundary) and found.interior == pytest.approx(2 / 3)


def test_stored_zeros_are_not_edges():
    graph = sparse.csr_matrix((np.zeros(2), ([0, 1], [1, 0])), shape=(2, 2))
    assert boundary_accuracy([1, 2], [1, 2], graph).n_boundary == 0


def test_graph_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 4\) for 3 spots"):
        boundary_accuracy([1, 1, 2], [1, 1, 2], sparse.eye(4))
