"""Novelty by its slow definition."""

import numpy as np

from spotscape.novelty import NoveltyReference


def obvious_distance(spot, others):
    return np.mean(sorted(np.linalg.norm(others - spot, axis=1))[:5])


def test_novelty_by_its_slow_definition():
    rng = np.random.default_rng(0)
    latent, slices = rng.normal(size=(90, 3)), np.repeat(np.arange(10), 9)
    found = NoveltyReference.fit(latent, rng.random((90, 2)), slices).distances
    # More than eight slices are a piece each.
    expected = [obvious_distance(latent[i], latent[slices != slices[i]]) for i in range(90)]
    np.testing.assert_allclose(found, np.sort(expected))
    new = rng.normal(size=(7, 3)) * 2
    expected = [np.mean(found < obvious_distance(spot, latent)) for spot in new]
    np.testing.assert_allclose(NoveltyReference(latent, found).score(new), expected)


def test_one_slice_is_cut_into_eighths():
    # Two copies of each spot side by side: within a piece the distance would be zero.
    rng = np.random.default_rng(1)
    positions, latent = rng.random((160, 2)).repeat(2, axis=0), rng.normal(size=(160, 3)).repeat(2, axis=0)
    found = NoveltyReference.fit(latent, positions, np.zeros(320, dtype=int)).distances
    assert found.min() > 0 and len(found) == 320
