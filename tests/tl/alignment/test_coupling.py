"""Couplings, compared with their definitions in loops."""

import numpy as np
from scipy import sparse

from spotscape.tl.alignment._coupling import global_affinities, keep_largest, local_affinities, unbalanced_transport
from spotscape.tl.alignment._registration import Spots


def spots(rng, n_spots, n_dimensions=3):
    """Spots with unit vectors, as the coupling expects."""
    vectors = rng.normal(size=(n_spots, n_dimensions))
    return Spots(rng.uniform(0, 6, (n_spots, 2)), vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 0.5)


def test_affinities_equal_their_definition():
    rng = np.random.default_rng(0)
    query, reference = spots(rng, 12), spots(rng, 40)
    moved = query.positions + 2.0
    found = local_affinities(query, reference, moved, 1.0, 0.3).toarray()
    everywhere = global_affinities(query, reference, 0.3, 5).toarray()
    for i in range(12):
        cosines = np.array([query.vectors[i] @ vector for vector in reference.vectors])
        distances = np.array([np.linalg.norm(moved[i] - place) for place in reference.positions])
        near = np.exp(-(distances**2) / 2 / 1.0**2 + (cosines - cosines.max()) / 0.3)
        np.testing.assert_allclose(found[i], near if distances.min() <= 1.0 else 0 * near, atol=1e-12)
        similar = np.exp((cosines - cosines.max()) / 0.3)
        similar[np.argsort(-cosines)[5:]] = 0
        np.testing.assert_allclose(everywhere[i], similar, atol=1e-12)
    assert 0 < (found.sum(axis=1) == 0).sum() < 12


def test_largest_entries_of_each_row_are_kept():
    rng = np.random.default_rng(0)
    dense = rng.uniform(size=(30, 20)) * (rng.uniform(size=(30, 20)) < 0.3)
    dense[4] = 0
    expected = np.zeros_like(dense)
    for i, row in enumerate(dense):
        kept = [j for j in sorted(range(20), key=lambda j: -row[j])[:3] if row[j] > 0]
        expected[i, kept] = row[kept] / row[kept].sum() if kept else 0
    np.testing.assert_allclose(keep_largest(sparse.csr_matrix(dense), 3).toarray(), expected)


def test_transport_minimises_its_objective():
    rng = np.random.default_rng(0)
    kernel = rng.uniform(0.05, 1, (6, 5)) * (rng.uniform(size=(6, 5)) < 0.8)
    plan = unbalanced_transport(sparse.csr_matrix(kernel)).toarray()

    def divergence(values, others):
        ratio = np.log(np.where(values > 0, values, 1) / np.where(others > 0, others, 1))
        return (np.where(values > 0, values * ratio, 0) - values + others).sum()

    def objective(values):
        rows, columns = values.sum(axis=1), values.sum(axis=0)
        return divergence(values, kernel) + divergence(rows, np.full(6, 1 / 6)) + divergence(columns, np.full(5, 1 / 5))

    least = objective(plan)
    assert (plan[kernel == 0] == 0).all()
    for _ in range(200):
        assert objective(plan * np.exp(0.05 * rng.normal(size=plan.shape))) > least
