"""Label-free agreement between modalities, and between slices."""

import numpy as np
import pytest

from spotscape.preprocessing._agreement import explained_share, slice_mixing


def test_the_share_that_is_explained_is_none_of_noise_and_most_of_what_follows():
    rng = np.random.default_rng(0)
    xy, slices = rng.uniform(size=(400, 2)), np.repeat(["a", "b"], 200)
    first = rng.normal(size=(400, 5)).astype(np.float32)
    related = (first @ rng.normal(size=(5, 3)) + 0.3 * rng.normal(size=(400, 3))).astype(np.float32)
    assert explained_share(first, related, xy, slices) > 0.8
    assert explained_share(first, rng.normal(size=(400, 3)).astype(np.float32), xy, slices) < 0.01
    assert explained_share(first[:2], related[:2], xy[:2], slices[:2]) == 0


def test_weak_columns_that_neighbours_share_do_not_hide_what_is_explained():
    rng = np.random.default_rng(0)
    # Ten spots in one place are alike in everything, as the averages of windows are.
    places = np.repeat(np.arange(40), 10)
    xy, slices = rng.uniform(size=(40, 2))[places], np.repeat("a", 400)
    strong, noise = 3 * rng.normal(size=(40, 2)), rng.normal(size=(40, 60))
    related = (strong + 3 * rng.normal(size=(40, 2)))[places] + rng.normal(size=(400, 2))
    noisy = np.hstack([strong, noise])[places] + 0.1 * rng.normal(size=(400, 62))
    share = explained_share(noisy.astype(np.float32), related.astype(np.float32), xy, slices)
    assert share > 0.2


def test_slice_mixing_by_its_slow_definition():
    rng = np.random.default_rng(0)
    values, slices = rng.normal(size=(80, 2)), np.repeat(["a", "b"], [30, 50])
    values[:30] += 1
    others = []
    for i in range(80):
        nearest = [j for j in np.argsort(np.linalg.norm(values - values[i], axis=1)) if j != i][:30]
        others.append(np.mean([slices[j] != slices[i] for j in nearest]))
    assert slice_mixing(values, slices) == pytest.approx(np.mean(others) / (2 * 30 * 50 / 80**2))
    assert slice_mixing(values, np.repeat("a", 80)) == 1
    apart = values + 100 * (slices == "a")[:, None]
    assert slice_mixing(apart, slices) < 0.2
