"""The floors, held against slow definitions."""

import numpy as np
import pytest
from scipy import sparse

import spotscape as sps
from benchmarks.common import floors, reading
from benchmarks.common.registry import FLOORS


def test_floors_average_within_slices_only():
    rng = np.random.default_rng(0)
    # The slices lie on top of each other; the last has fewer spots than neighbours.
    sizes = {"a": 30, "b": 25, "c": 4}
    slices = rng.permutation(np.repeat(list(sizes), list(sizes.values())))
    positions, values = rng.uniform(size=(59, 2)), rng.normal(size=(59, 3))
    found = floors.average_over_neighbors(values, positions, slices=slices, n_hops=2)
    expected = values
    for _ in range(2):
        means = np.empty_like(expected)
        for spot in range(59):
            others = [other for other in range(59) if slices[other] == slices[spot] and other != spot]
            others.sort(key=lambda other: np.linalg.norm(positions[other] - positions[spot]))
            means[spot] = expected[[spot, *others[:6]]].mean(axis=0)
        expected = means
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_array_equal(floors.average_over_neighbors(values, positions, slices=slices, n_hops=0), values)


def test_scaled_expression_is_that_of_the_definition(tmp_path):
    adata = sps.datasets.synthetic_tissue(n_slices=1, n_spots=150, n_genes=60, n_domains=4)
    adata.obs["total"] = 2.0 * np.asarray(adata.X.sum(axis=1)).ravel()
    adata.write_h5ad(file := tmp_path / "tissue.h5ad")
    section = reading.load_section(reading.find_sections([str(file)], [], reading.Keys(size_factor="total"))[0])
    counts, totals = section.adata.X.toarray().astype(float), section.adata.obs["total"].to_numpy()
    logs = np.log1p(counts / totals[:, None] * np.median(totals))
    spread = logs.std(axis=0, ddof=1)
    expected = np.minimum((logs - logs.mean(axis=0)) / np.where(spread == 0, 1, spread), 10)
    found = floors.scaled_expression(section.adata, "total")
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("n_hops", [1, 2])
def test_unscaled_floors_are_those_of_the_definition(n_hops):
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=60, n_genes=40, n_domains=3)
    counts, slices = adata.X.toarray().astype(float), adata.obs["slice"].to_numpy(str)
    expected = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    for _ in range(n_hops):
        expected = floors.average_over_neighbors(expected, adata.obsm["spatial"], slices=slices, n_hops=1)
    for name in np.unique(slices):
        expected[slices == name] -= expected[slices == name].mean(axis=0)
    left, sizes, _ = np.linalg.svd(expected - expected.mean(axis=0), full_matrices=False)
    found = floors.unscaled_representation(adata, slices, n_hops=n_hops)
    assert found.shape == (120, 30)
    # Components have no sign.
    np.testing.assert_allclose(np.abs(found), np.abs(left * sizes)[:, :30], atol=2e-4)
    section = reading.Section(adata, np.ones(120, dtype=bool), adata.obs["domain"].to_numpy(str))
    names = {1: "PCA, unscaled, 1 hop", 2: "PCA, unscaled, 2 hops"}
    np.testing.assert_array_equal(FLOORS[names[n_hops]].represent(section, 0), found)


def test_averages_of_sparse_values_are_those_of_dense_ones():
    rng = np.random.default_rng(0)
    values, positions, slices = rng.poisson(0.5, size=(40, 5)), rng.uniform(size=(40, 2)), np.repeat(["a", "b"], 20)
    both = [
        floors.average_over_neighbors(given, positions, slices=slices, n_hops=2)
        for given in (values, sparse.csr_matrix(values))
    ]
    assert sparse.issparse(both[1])
    np.testing.assert_allclose(both[0], sparse.csr_matrix(both[1]).toarray())
