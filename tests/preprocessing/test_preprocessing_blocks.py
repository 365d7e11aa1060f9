"""Preprocessing block by block, in memory or from a file, against the whole matrix at once."""

import numpy as np
import pytest
from scipy import sparse

from spotscape.preprocessing import _components as principal_components
from spotscape.preprocessing import _row_blocks as row_blocks

from .conftest import fitted, simulate

SLICES = np.random.default_rng(0).permutation(np.repeat(["a", "b", "c"], 40))


def assert_same_results(found, expected, matrix, counts, rtol=1e-5):
    """Hold a preprocessor of a matrix against that of the same counts in memory."""
    assert found.selected_genes == expected.selected_genes
    assert found.target_sum == pytest.approx(expected.target_sum)
    result = expected.transform(counts)
    np.testing.assert_allclose(found.transform(matrix), result, atol=rtol * abs(result).max())
    np.testing.assert_allclose(found.inverse_transform(result), expected.inverse_transform(result), atol=1e-4)
    np.testing.assert_allclose(found.library_size(matrix), expected.library_size(counts))
    np.testing.assert_array_equal(found.log_expression(matrix).toarray(), expected.log_expression(counts).toarray())


@pytest.mark.parametrize("values", ["counts", "normalized", "log-normalized"])
@pytest.mark.parametrize("n_top_genes", [30, 60])
@pytest.mark.parametrize("exact", [True, False])
def test_blocks_of_seven_spots_equal_the_whole_matrix(values, n_top_genes, exact, monkeypatch):
    counts = simulate()
    counts = {"counts": counts, "normalized": counts * 0.37, "log-normalized": counts.log1p()}[values]
    monkeypatch.setattr(principal_components, "_EXACT_SIZE", 1000 if exact else 1)
    arguments = {"n_top_genes": n_top_genes, "n_components": 5, "slices": SLICES, "values": values}
    expected = fitted(counts, **arguments)
    assert len(list(row_blocks.row_blocks(counts))) == 1
    genes = fitted(counts, features="genes", **arguments).transform(counts)
    monkeypatch.setattr(row_blocks, "_VALUES_IN_BLOCK", 7 * counts.nnz // 120)
    monkeypatch.setattr(row_blocks, "_VALUES_OF_A_SPOT", 0)
    assert len(list(row_blocks.row_blocks(counts))) > 15
    found = fitted(counts, **arguments)
    assert_same_results(found, expected, counts, counts)
    again = fitted(counts, features="genes", **arguments).transform(counts)
    np.testing.assert_array_equal(again.toarray(), genes.toarray())


@pytest.mark.parametrize("kind", ["dask", "dask of numpy", "backed", "backed dense"])
@pytest.mark.parametrize("size_factors", [False, True])
def test_expression_in_a_file_equals_that_in_memory(kind, size_factors, tmp_path, monkeypatch):
    anndata, dask_array = pytest.importorskip("anndata"), pytest.importorskip("dask.array")
    monkeypatch.setattr(row_blocks, "_VALUES_IN_BLOCK", 200)
    counts = simulate()
    if kind.startswith("dask"):
        matrix = dask_array.from_array(counts.toarray(), chunks=((50, 13, 57), 60))
        if kind == "dask":
            matrix = matrix.map_blocks(sparse.csr_matrix, dtype=np.float32)
    else:
        anndata.AnnData(counts.toarray() if "dense" in kind else counts).write_h5ad(tmp_path / "a.h5ad")
        matrix = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r").X
    arguments = {"n_top_genes": 40, "n_components": 5, "slices": SLICES}
    if size_factors:
        factors = np.asarray(counts.sum(1)).ravel() * np.random.default_rng(0).uniform(2, 4, 120)
        found, expected = (fitted(kept, size_factors=factors, **arguments) for kept in (matrix, counts))
        result = expected.transform(counts, size_factors=factors)
        np.testing.assert_allclose(found.transform(matrix, size_factors=factors), result, atol=1e-5)
        factors[77] = 0
        with pytest.raises(ValueError, match="0 at row 77"):
            found.transform(matrix, size_factors=factors)
    else:
        assert_same_results(fitted(matrix, **arguments), fitted(counts, **arguments), matrix, counts)


@pytest.mark.parametrize("lazy", [False, True])
def test_wrong_values_are_found_wherever_they_lie_in_new_expression(lazy, monkeypatch):
    dask_array = pytest.importorskip("dask.array")
    monkeypatch.setattr(row_blocks, "_VALUES_IN_BLOCK", 200)
    counts = simulate()
    model = fitted(counts)
    for value, message in ((-1, "row 77, column 9"), (np.nan, "row 77, column 9")):
        wrong = counts.toarray()
        wrong[77, 9] = value
        wrong = dask_array.from_array(wrong, chunks=(11, 60)) if lazy else sparse.csr_matrix(wrong)
        for method in (model.transform, model.log_expression, model.library_size):
            with pytest.raises(ValueError, match=message):
                method(wrong)


def test_axes_of_some_spots_are_close_to_those_of_all(monkeypatch):
    counts = simulate(4000, 60)
    slices = np.repeat(["a", "b"], 2000)
    monkeypatch.setattr(principal_components, "_EXACT_SIZE", 1)
    exact = fitted(counts, n_components=3, slices=slices).transform(counts)
    monkeypatch.setattr(principal_components, "_SPOTS_FOR_AXES", 1000)
    model = fitted(counts, n_components=3, slices=slices)
    sampled = model.transform(counts)
    np.testing.assert_allclose(sampled.mean(0), 0, atol=1e-5)
    assert not np.allclose(sampled, exact, atol=1e-4)
    # Axes of like variance may be turned into each other; the space that they span may not.
    residual = exact - sampled @ np.linalg.lstsq(sampled, exact, rcond=None)[0]
    assert (residual.var(0) < 0.01 * exact.var(0)).all()
    # Genes are predicted by least squares from scores of all spots, whichever axes these have.
    design = np.column_stack([np.ones(4000), sampled])
    log = model.log_expression(counts).toarray()
    expected = np.maximum(design @ np.linalg.lstsq(design, log, rcond=None)[0], 0)
    np.testing.assert_allclose(model.inverse_transform(sampled), expected, atol=1e-3)
