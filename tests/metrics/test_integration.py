"""Integration metrics against slow definitions in plain loops."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import silhouette_samples

pytest.importorskip("scib_metrics", reason="needs the extra spotscape[scib]")

from spotscape.metrics import _integration, integration_scores

BIO = {"cLISI", "silhouette label"}
BATCH = {"iLISI", "silhouette batch", "kBET", "graph connectivity", "PCR comparison"}


@pytest.fixture(scope="module")
def tissue():
    """Three labels in two slices, mixed or separated by a batch effect; some spots have no label."""
    rng = np.random.default_rng(0)
    labels, slices = rng.integers(0, 3, 240), rng.integers(0, 2, 240)
    mixed = rng.normal(size=(240, 6)) + 6 * np.eye(6)[labels]
    separated = mixed + 5 * np.eye(6)[slices + 3]
    names = np.array(["a", "b", "c"], dtype=object)[labels]
    names[:20] = None
    return {"mixed": mixed, "separated": separated, "labels": names, "slices": np.array(["left", "right"])[slices]}


def slow_lisi(values, groups, n_neighbors=90, perplexity=30):
    """Inverse Simpson index of each spot, with neighbour weights of a given perplexity."""
    result = []
    for value in values:
        distances = np.linalg.norm(values - value, axis=1)
        nearest = np.argsort(distances)[:n_neighbors]
        # The first neighbour is the spot itself, which has no weight.
        near, groups_near = distances[nearest][1:], groups[nearest][1:]
        low, high = 1e-6, 1e6
        for _ in range(200):
            beta = np.sqrt(low * high)
            weights = np.exp((near.min() - near) * beta)
            weights /= weights.sum()
            entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum()
            low, high = (beta, high) if entropy > np.log(perplexity) else (low, beta)
        result.append(1 / sum(weights[groups_near == name].sum() ** 2 for name in np.unique(groups)))
    return np.array(result)


def test_metrics_equal_their_definitions(tissue):
    values, labels, slices = tissue["separated"], tissue["labels"], tissue["slices"]
    scores = integration_scores(values, slices, labels, unintegrated=tissue["separated"] * 2)
    assert set(scores.bio) == BIO and set(scores.batch) == BATCH
    known = pd.notna(labels)
    known_values, known_labels, known_slices = values[known], labels[known].astype(str), slices[known]
    assert scores.batch["iLISI"] == pytest.approx(np.median(slow_lisi(values, slices)) - 1, abs=1e-3)
    clisi = np.median(slow_lisi(known_values, known_labels))
    assert scores.bio["cLISI"] == pytest.approx((3 - clisi) / 2, abs=1e-3)
    silhouette = silhouette_samples(known_values, known_labels).mean()
    assert scores.bio["silhouette label"] == pytest.approx((silhouette + 1) / 2, abs=1e-4)
    within = [
        np.mean(1 - np.abs(silhouette_samples(known_values[known_labels == name], known_slices[known_labels == name])))
        for name in "abc"
    ]
    assert scores.batch["silhouette batch"] == pytest.approx(np.mean(within), abs=1e-4)
    largest = []
    for name in "abc":
        here = np.flatnonzero(known_labels == name)
        nearest = np.argsort(np.linalg.norm(known_values[:, None] - known_values[None], axis=2), axis=1)[:, :15]
        graph = np.zeros((len(known_values), len(known_values)))
        np.put_along_axis(graph, nearest, 1, axis=1)
        pieces = connected_components(graph[here][:, here], connection="strong")[1]
        largest.append(np.bincount(pieces).max() / len(here))
    assert scores.batch["graph connectivity"] == pytest.approx(np.mean(largest))
    # Rescaling does not change the share of the variance that the slices explain.
    assert scores.batch["PCR comparison"] == pytest.approx(0, abs=1e-5)
    assert scores.bio_mean == pytest.approx(np.mean(list(scores.bio.values())))
    assert scores.batch_mean == pytest.approx(np.mean(list(scores.batch.values())))


def test_pcr_comparison_equals_its_definition(tissue):
    def explained(values):
        slices = tissue["slices"]
        means = np.stack([values[slices == name].mean(axis=0) for name in slices])
        centred = values - values.mean(axis=0)
        # The explained variance does not depend on the basis, so no principal components are needed.
        return ((means - values.mean(axis=0)) ** 2).sum() / (centred**2).sum()

    found = integration_scores(tissue["mixed"], tissue["slices"], unintegrated=tissue["separated"]).batch
    before, after = explained(tissue["separated"]), explained(tissue["mixed"])
    assert found["PCR comparison"] == pytest.approx((before - after) / before, abs=1e-4)
    rising = integration_scores(tissue["separated"], tissue["slices"], unintegrated=tissue["mixed"]).batch
    assert rising["PCR comparison"] == 0


def test_mixed_slices_have_higher_batch_scores_and_noise_has_lower_bio_scores(tissue):
    def scores(values):
        return integration_scores(values, tissue["slices"], tissue["labels"], unintegrated=tissue["separated"])

    noise = np.random.default_rng(1).normal(size=tissue["mixed"].shape)
    separated, mixed, noisy = scores(tissue["separated"]), scores(tissue["mixed"]), scores(noise)
    for name in ("iLISI", "silhouette batch", "kBET", "PCR comparison"):
        assert mixed.batch[name] > separated.batch[name] + 0.1, name
    assert noisy.batch_mean > separated.batch_mean
    assert noisy.bio_mean < mixed.bio_mean - 0.2


def test_results_are_reproducible_and_do_not_depend_on_the_order_of_spots(tissue):
    order = np.random.default_rng(2).permutation(240)
    arguments = tissue["separated"], tissue["slices"], tissue["labels"]
    first, again = (integration_scores(*arguments, unintegrated=tissue["mixed"]) for _ in range(2))
    permuted = integration_scores(*(one[order] for one in arguments), unintegrated=tissue["mixed"][order])
    assert first == again
    for group, other in zip(first, permuted, strict=True):
        assert group == pytest.approx(other, abs=1e-3)


def test_undefined_metrics_are_omitted(tissue):
    scores = integration_scores(tissue["mixed"], tissue["slices"])
    assert scores.bio == {} and np.isnan(scores.bio_mean)
    assert set(scores.batch) == {"iLISI"}
    # Each label is in one slice, so mixing within labels is not defined.
    own = integration_scores(tissue["mixed"], tissue["slices"], tissue["slices"])
    assert set(own.bio) == BIO and set(own.batch) == {"iLISI", "graph connectivity"}
    one = integration_scores(tissue["mixed"], tissue["slices"], ["a"] * 240)
    assert one.bio == {} and set(one.batch) == BATCH - {"PCR comparison"}


def test_metrics_that_use_labels_ignore_unlabelled_spots(tissue):
    known = pd.notna(tissue["labels"])
    with_others = integration_scores(tissue["mixed"], tissue["slices"], tissue["labels"])
    without = integration_scores(tissue["mixed"][known], tissue["slices"][known], tissue["labels"][known])
    assert with_others.bio == pytest.approx(without.bio)
    for name in ("silhouette batch", "kBET", "graph connectivity"):
        assert with_others.batch[name] == pytest.approx(without.batch[name])
    assert with_others.batch["iLISI"] != without.batch["iLISI"]


def test_approximate_neighbours_agree_with_exact_ones(tissue, monkeypatch):
    arguments = tissue["mixed"], tissue["slices"], tissue["labels"]
    exact = integration_scores(*arguments)
    monkeypatch.setattr(_integration, "N_SPOTS_EXACT", 100)
    first, again = (integration_scores(*arguments, seed=3) for _ in range(2))
    assert first == again
    for group, other in zip(exact, first, strict=True):
        assert group == pytest.approx(other, abs=0.03)


def test_missing_library_is_named(tissue, monkeypatch):
    monkeypatch.setitem(sys.modules, "scib_metrics", None)
    with pytest.raises(ImportError, match=r"spotscape\[scib\]"):
        integration_scores(tissue["mixed"], tissue["slices"])
