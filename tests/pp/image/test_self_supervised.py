"""The network trained by self-supervision on tiles."""

import numpy as np
import pytest
import torch

from spotscape.pp.image import _self_supervised as network


@pytest.fixture
def tiles():
    """Stripes and checks of one mean colour, turned at random, in halves."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    made = []
    for k in range(80):
        waves = np.sin(0.9 * (x * np.cos(k) + y * np.sin(k)) + rng.uniform(0, 6))
        if k >= 40:
            waves = waves * np.sin(0.9 * (y * np.cos(k) - x * np.sin(k)))
        made.append(np.clip(128 + 60 * waves[:, :, None] + rng.normal(0, 10, (32, 32, 3)), 0, 255))
    return np.array(made).astype(np.uint8)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(network, "_N_TRAINING_STEPS", 3)


def test_same_seed_same_numbers(tiles, quick):
    before = torch.get_rng_state()
    first = network.encode(network.train_encoder(tiles, 0), tiles)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    np.testing.assert_array_equal(network.encode(network.train_encoder(tiles, 0), tiles), first)
    assert not np.allclose(network.encode(network.train_encoder(tiles, 1), tiles), first)
    assert first.shape == (80, network.N_FEATURES) and first.dtype == np.float32


def test_encoding_does_not_depend_on_the_other_tiles(tiles, quick):
    encoder = network.train_encoder(tiles, 0)
    together = network.encode(encoder, tiles)
    np.testing.assert_allclose(network.encode(encoder, tiles[5:8]), together[5:8], rtol=1e-4, atol=1e-5)


def test_too_few_tiles_are_refused(tiles):
    with pytest.raises(ValueError, match="only 31 tiles.*use method='handcrafted'"):
        network.train_encoder(tiles[:31], 0)


def test_augmented_views_are_transformed_tiles_of_about_the_same_colour(tiles):
    batch = network.as_tensor(tiles)
    views = network._augmented(batch, torch.Generator().manual_seed(0))
    assert views.shape == batch.shape and views.min() >= 0 and views.max() <= 1
    assert (views - batch).abs().mean() > 0.05
    assert (views.mean(dim=(1, 2, 3)) - batch.mean(dim=(1, 2, 3))).abs().mean() < 0.1


@pytest.mark.slow
def test_texture_is_learnt_and_does_not_collapse(tiles):
    features = network.encode(network.train_encoder(tiles, 0), tiles)
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    shares = np.linalg.svd(features, compute_uv=False) ** 2
    shares /= shares.sum()
    assert np.exp(-(shares * np.log(shares)).sum()) > 2
    likeness = features @ features.T
    np.fill_diagonal(likeness, -np.inf)
    assert ((likeness.argmax(axis=1) >= 40) == (np.arange(80) >= 40)).mean() > 0.9
