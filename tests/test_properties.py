"""Pure functions against slow, obvious definitions, on inputs that hypothesis chooses."""

import numpy as np
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import cdist

from spotscape import metrics, nn
from spotscape.graph import build_spatial_graph, normalize_adjacency
from spotscape.preprocessing import Preprocessor

few = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
label_pairs = st.integers(2, 60).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 5), min_size=n, max_size=n)] * 2),
)


def spots(seed, n_spots, n_slices):
    """Positions without ties, and slices with at least 12 spots each."""
    rng = np.random.default_rng(seed)
    slices = np.concatenate([np.repeat(np.arange(n_slices), 12), rng.integers(n_slices, size=n_spots)])
    return rng.normal(size=(len(slices), 2)), rng.permutation(slices)


@few
@given(seeds, st.integers(0, 60), st.integers(1, 3), st.integers(1, 8))
def test_nearest_neighbours_are_those_of_all_distances(seed, n_spots, n_slices, n_neighbors):
    positions, slices = spots(seed, n_spots, n_slices)
    distances = cdist(positions, positions)
    distances[slices[:, None] != slices] = np.inf
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :n_neighbors]
    expected = np.zeros_like(distances, dtype=bool)
    np.put_along_axis(expected, nearest, True, axis=1)
    found = build_spatial_graph(positions, slices, n_neighbors=n_neighbors).connectivities.toarray() > 0
    np.testing.assert_array_equal(found, expected | expected.T)


@few
@given(seeds, st.integers(0, 60), st.integers(1, 3), st.floats(1.1, 3))
def test_neighbours_within_a_radius_are_those_of_all_distances(seed, n_spots, n_slices, radius):
    positions, slices = spots(seed, n_spots, n_slices)
    expected = np.zeros((len(positions), len(positions)), dtype=bool)
    for one in range(n_slices):
        rows = np.flatnonzero(slices == one)
        distances = cdist(positions[rows], positions[rows])
        np.fill_diagonal(distances, np.inf)
        expected[np.ix_(rows, rows)] = distances <= radius * np.median(distances.min(axis=1))
    found = build_spatial_graph(positions, slices, method="radius", radius=radius).connectivities.toarray() > 0
    np.testing.assert_array_equal(found, expected)


@few
@given(seeds, st.integers(2, 40), st.floats(0, 1))
def test_normalised_adjacency_is_its_definition(seed, n_spots, density):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.uniform(size=(n_spots, n_spots)) < density, 1) * rng.uniform(0.1, 2, (n_spots, n_spots))
    weights = upper + upper.T
    with_loops = weights + np.eye(n_spots)
    degrees = with_loops.sum(axis=1)
    expected = with_loops / np.sqrt(degrees[:, None] * degrees)
    np.testing.assert_allclose(normalize_adjacency(sparse.csr_matrix(weights)).toarray(), expected, rtol=1e-5)


@few
@given(label_pairs)
def test_agreement_of_partitions_is_that_of_scikit_learn(labels):
    first, second = (np.array(one) for one in labels)
    ours = metrics.adjusted_rand_index(first, second), metrics.normalized_mutual_information(first, second)
    theirs = (
        sklearn.metrics.adjusted_rand_score(first, second),
        sklearn.metrics.normalized_mutual_info_score(first, second),
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-10)


def two_views(seed, n_spots, n_latent):
    generator = torch.Generator().manual_seed(seed)
    first, noise = (torch.randn(n_spots, n_latent, generator=generator, dtype=torch.float64) for _ in range(2))
    return first, first + 0.5 * noise


def similarities(first, second):
    return torch.cosine_similarity(first[:, None], second[None], dim=2)


@few
@given(seeds, st.integers(2, 30), st.integers(1, 10))
def test_similarity_telescope_is_the_mean_over_all_pairs(seed, n_spots, n_latent):
    first, second = two_views(seed, n_spots, n_latent)
    similarity = similarities(first, second)
    expected = sum((similarity[i, j] - similarity[j, i]) ** 2 for i in range(n_spots) for j in range(n_spots))
    torch.testing.assert_close(
        nn.similarity_telescope_loss(first, second), expected / n_spots**2, rtol=1e-8, atol=1e-14
    )


@few
@given(seeds, st.integers(0, 20), st.integers(2, 4), st.integers(1, 8))
def test_similarity_scaling_is_the_mean_over_spots_and_other_slices(seed, n_spots, n_slices, n_similar):
    slices = torch.cat([torch.arange(n_slices), torch.arange(n_spots) % n_slices])
    first, second = two_views(seed, len(slices), 5)
    terms = []
    for row, own in zip(similarities(first, second), slices, strict=True):
        levels = [row[slices == one].sort(descending=True).values[:n_similar].mean() for one in range(n_slices)]
        terms += [(levels[own] - level) ** 2 for one, level in enumerate(levels) if one != own]
    found = nn.similarity_scaling_loss(first, second, slices, n_similar=n_similar)
    torch.testing.assert_close(found, torch.stack(terms).mean(), rtol=1e-8, atol=1e-14)


@few
@given(seeds, st.integers(6, 20), st.integers(0, 20), st.sampled_from([0.0, 0.5, 1.0]))
def test_preprocessing_with_all_components_is_inverted(seed, n_spots, more_genes, scale_power):
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(rng.poisson(rng.gamma(2, 3, n_spots + more_genes), (n_spots, n_spots + more_genes)))
    genes = [f"gene_{i}" for i in range(counts.shape[1])]
    model = Preprocessor(n_components=n_spots - 1, scale_power=scale_power, max_value=1e6, n_top_genes=len(genes))
    model.fit(counts, genes)
    features = model.transform(counts)
    expected = model.log_expression(counts).toarray()
    np.testing.assert_allclose(model.inverse_transform(features), expected, atol=2e-3)
