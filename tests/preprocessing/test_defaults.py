"""What follows from the size of the data: components, their scale, the length of a training, batches."""

import numpy as np
import pytest

from spotscape.preprocessing import default_n_components, default_scale_power
from spotscape.train import default_batch_size, default_n_steps

from .conftest import fitted, simulate


@pytest.mark.parametrize(
    ("n_spots", "n_genes", "expected"),
    [(3639, 3000, 48), (300, 3000, 30), (1600, 3000, 32), (100_000, 300, 50), (30, 8, 7), (5, 100, 4), (1, 1, 1)],
)
def test_default_number_of_components(n_spots, n_genes, expected):
    assert default_n_components(n_spots, n_genes) == expected


@pytest.mark.parametrize(
    ("n_spots", "n_genes", "expected"),
    [
        (300, 3000, 100),
        (324, 210, 70),
        (576, 3000, 50),
        (300, 60, 30),
        (900, 3000, 30),
        (3639, 3000, 48),
        (20, 3000, 59),
    ],
)
def test_small_slices_together_have_more_components(n_spots, n_genes, expected):
    assert default_n_components(n_spots, n_genes, n_slices=3) == expected


def test_default_scale_power_and_steps_follow_the_size():
    powers = [default_scale_power(n) for n in (1, 324, 576, 900, 10**6)]
    assert powers == [0, 0, 0.5, 1, 1]
    assert [default_n_steps(n) for n in (1, 300, 1200, 3600, 10**6)] == [20, 25, 100, 300, 300]
    assert [default_batch_size(n) for n in (1, 10_000, 10_001, 10**7)] == [1, 10_000, 8192, 8192]


@pytest.mark.parametrize("n_spots", [300, 576, 1000])
def test_scale_power_is_that_of_the_size(n_spots):
    counts = simulate(n_spots, 40)
    expected = fitted(counts, scale_power=default_scale_power(n_spots)).transform(counts)
    np.testing.assert_array_equal(fitted(counts).transform(counts), expected)
    np.testing.assert_allclose(expected.var(axis=0).mean(), 1, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:.*have no expression at all")
@pytest.mark.parametrize(("n_spots", "n_genes"), [(30, 33), (30, 5000), (2, 5), (40, 2), (40, 1)])
def test_extreme_sizes(n_spots, n_genes):
    counts = simulate(n_spots, n_genes)
    model = fitted(counts)
    result = model.transform(counts)
    assert result.shape == (n_spots, model.n_features)
    assert np.isfinite(result).all()
    assert model.inverse_transform(result).shape == (n_spots, n_genes)


def test_the_number_of_components_follows_the_slices():
    counts = simulate(2500, 60)
    assert fitted(counts).n_features == 40
    assert fitted(counts, slices=np.repeat(["a", "b"], 1250)).n_features == 30
