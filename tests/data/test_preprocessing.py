import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from spotscape.data import (
    Preprocessor,
    check_values,
    default_batch_size,
    default_n_components,
    default_n_steps,
    default_scale_power,
    recognise_values,
)
from spotscape.data import _principal_components as principal_components
from spotscape.data import _row_blocks as row_blocks

DATA = Path(os.environ.get("SPOTSCAPE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def simulate(n_spots=120, n_genes=60, seed=0):
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(size=(n_spots, 3)) @ rng.normal(size=(3, n_genes)) * 0.5 + rng.normal(0.5, 0.5, n_genes))
    return sparse.csr_matrix(rng.poisson(rate).astype(np.float32))


def names(matrix):
    return [f"gene{i}" for i in range(matrix.shape[1])]


def fitted(matrix, *, values="counts", slices=None, size_factors=None, **parameters):
    return Preprocessor(**parameters).fit(
        matrix, names(matrix), values=values, slices=slices, size_factors=size_factors
    )


def dense_features(counts, n_components, scale_power, max_value, size_factors=None):
    """The slow, obvious definition, on all genes."""
    counts = counts.toarray().astype(float)
    totals = counts.sum(1) if size_factors is None else size_factors
    log = np.log1p(counts / totals[:, None] * np.median(totals))
    z = np.minimum((log - log.mean(0)) / log.std(0), max_value)
    z -= z.mean(0)
    left, singular, right = np.linalg.svd(z, full_matrices=False)
    right = right[:n_components]
    signs = np.sign(right[np.arange(n_components), np.abs(right).argmax(1)])
    scores = z @ right.T * signs
    scores = scores / scores.std(0) ** scale_power
    return scores / np.sqrt(scores.var(0).mean()), log


# ------------------------------------------------------------------------------------------ what the values are


def test_values_are_recognised():
    counts = simulate()
    scaled = counts.multiply(1e4 / counts.sum(1)).tocsr()
    assert recognise_values(counts) == recognise_values(counts.toarray().astype(int)) == "counts"
    assert recognise_values(scaled) == recognise_values(scaled.toarray()) == "normalized"
    assert recognise_values(scaled / 1e4) == "normalized"
    assert recognise_values(scaled.log1p().tocsc()) == "log-normalized"


def test_auto_warns_once_about_what_is_not_counts():
    counts = simulate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_values(counts) == "counts"
        assert check_values(counts.log1p(), "log-normalized") == "log-normalized"
    with pytest.warns(UserWarning, match="recognised as log-normalized.*values=") as caught:
        assert check_values(counts.log1p()) == "log-normalized"
    assert len(caught) == 1


@pytest.mark.parametrize("convert", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, np.asarray])
@pytest.mark.parametrize(
    ("value", "message"),
    [(-1, "1 negative value.*row 3, column 5"), (np.nan, "1 missing.*row 3, column 5"), (np.inf, "1 infinite.*row 3")],
)
def test_impossible_values_are_refused_with_their_position(convert, value, message):
    dense = simulate().toarray()
    dense[3, 5] = value
    with pytest.raises(ValueError, match=message):
        check_values(convert(dense))


@pytest.mark.parametrize(
    ("matrix", "values", "error", "message"),
    [
        (np.full((3, 2), 1.5), "counts", ValueError, "holds 1.5"),
        (np.full((3, 2), 500.5), "log-normalized", ValueError, "largest value is 500.5"),
        (np.ones((3, 2)), "raw", ValueError, "`values` is 'raw'"),
        (np.ones((3, 0)), "auto", ValueError, "0 genes"),
        (np.ones((0, 3)), "auto", ValueError, "0 spots"),
        (np.ones(3), "auto", ValueError, "1 dimension"),
        (np.zeros((3, 2)), "auto", ValueError, "All 2 genes are zero"),
        (np.array([[1, 1], [0, 0], [0, 0]]), "auto", ValueError, "2 of 3 spots"),
        (np.ones((3, 2), dtype=bool), "auto", TypeError, "bool"),
        (np.full((3, 2), "1"), "auto", TypeError, "<U1"),
        (np.ones((3, 2), dtype=object), "auto", TypeError, "object"),
        (sparse.coo_matrix(np.ones((3, 2))), "auto", TypeError, "tocsr"),
        ([[1, 2]], "auto", TypeError, "list"),
    ],
)
def test_bad_expression_is_refused(matrix, values, error, message):
    with pytest.raises(error, match=message):
        check_values(matrix, values)


def test_empty_spots_are_reported_and_become_zero_rows():
    counts = simulate().toarray()
    counts[[4, 7]] = 0
    counts = sparse.csr_matrix(counts)
    with pytest.warns(UserWarning, match="2 of 120 spots"):
        model = fitted(counts, features="genes")
    log = model.transform(counts)
    assert log[[4, 7]].nnz == 0
    assert np.isfinite(log.data).all()


# ------------------------------------------------------------------------------------------ features


@pytest.mark.parametrize("scale_power", [0, 0.5, 1])
@pytest.mark.parametrize("max_value", [1.5, 10])
def test_components_equal_the_dense_definition(scale_power, max_value):
    counts = simulate()
    model = fitted(counts, n_components=5, scale_power=scale_power, max_value=max_value)
    expected, _ = dense_features(counts, 5, scale_power, max_value)
    result = model.transform(counts)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=2e-4)
    np.testing.assert_allclose(result.mean(0), 0, atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 200), (300, 150)])
def test_iterative_and_exact_decomposition_agree(shape, monkeypatch):
    counts = simulate(*shape)
    exact = fitted(counts, n_components=3).transform(counts)
    monkeypatch.setattr(principal_components, "_EXACT_SIZE", 1)
    np.testing.assert_allclose(fitted(counts, n_components=3).transform(counts), exact, atol=1e-3)


def test_more_genes_than_spots_equals_the_dense_definition():
    counts = simulate(30, 100)
    counts = counts[:, np.flatnonzero(counts.toarray().std(0) > 0)]
    expected, _ = dense_features(counts, 4, 0, 10)
    np.testing.assert_allclose(fitted(counts, n_components=4).transform(counts), expected, atol=1e-3)


def test_size_factors_take_the_place_of_totals():
    counts = simulate()
    factors = np.asarray(counts.sum(1)).ravel() * np.random.default_rng(0).uniform(2, 4, counts.shape[0])
    model = fitted(counts, n_components=4, size_factors=factors)
    expected, _ = dense_features(counts, 4, 0, 10, factors)
    np.testing.assert_allclose(model.transform(counts, size_factors=factors), expected, atol=2e-4)
    assert model.target_sum == pytest.approx(np.median(factors))
    with pytest.raises(ValueError, match="fitted with `size_factors`"):
        model.transform(counts)
    np.testing.assert_allclose(model.library_size(counts, size_factors=factors), factors)


@pytest.mark.parametrize("features", ["components", "genes"])
def test_formats_orders_and_subsets_of_spots_change_nothing(features):
    counts = simulate()

    def run(model, matrix):
        result = model.transform(matrix)
        return result.toarray() if sparse.issparse(result) else result

    model = fitted(counts, features=features, n_top_genes=40)
    result = run(model, counts)
    for other in (counts.tocsc(), counts.toarray(), counts.astype(np.int64), sparse.csr_array(counts)):
        np.testing.assert_allclose(run(fitted(other, features=features, n_top_genes=40), other), result, atol=1e-4)
    np.testing.assert_array_equal(run(model, counts[10:20]), result[10:20])
    order = np.random.default_rng(0).permutation(counts.shape[0])
    permuted = fitted(counts[order], features=features, n_top_genes=40)
    np.testing.assert_allclose(run(permuted, counts[order]), result[order], atol=1e-4)


def test_genes_are_log_expression_of_the_selected():
    counts = simulate()
    model = fitted(counts, features="genes", n_top_genes=25, target_sum=1e4)
    result = model.transform(counts)
    assert result.format == "csr"
    assert result.dtype == np.float32
    assert result.shape == (120, 25) == (120, model.n_features)
    totals = counts.toarray().sum(1, keepdims=True)
    log = np.log1p(counts.toarray() / totals * 1e4)
    columns = [int(name.removeprefix("gene")) for name in model.selected_genes]
    np.testing.assert_allclose(result.toarray(), log[:, columns], rtol=1e-5)


def test_the_input_is_not_changed_and_repeated_entries_are_summed():
    counts = simulate()
    before = counts.copy()
    fitted(counts).transform(counts)
    assert (counts != before).nnz == 0
    halves = sparse.csr_matrix(
        (np.repeat(counts.data, 2), np.repeat(counts.indices, 2), 2 * counts.indptr), shape=counts.shape
    )
    doubled = 2 * counts
    np.testing.assert_allclose(fitted(halves).transform(halves), fitted(doubled).transform(doubled), atol=1e-4)
    assert halves.nnz == 2 * counts.nnz


def test_normalized_values_share_one_constant_and_log_values_are_kept():
    counts = simulate()
    linear = counts * 0.37
    model = fitted(linear, values="normalized", features="genes", target_sum=1000)
    constant = 1000 / np.median(np.asarray(linear.sum(1)))
    np.testing.assert_allclose(model.transform(linear).toarray(), np.log1p(linear.toarray() * constant), rtol=1e-5)
    np.testing.assert_allclose(
        np.expm1(model.transform(linear).toarray()) * model.library_size(linear)[:, None] / model.target_sum,
        linear.toarray(),
        rtol=1e-4,
    )
    logarithm = linear.log1p()
    kept = fitted(logarithm, values="log-normalized", features="genes")
    np.testing.assert_allclose(kept.transform(logarithm).toarray(), logarithm.toarray())
    assert kept.target_sum == pytest.approx(np.median(np.asarray(linear.sum(1))), rel=1e-5)


# ------------------------------------------------------------------------------------------ blocks and files


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
        with pytest.raises(ValueError, match="0 at spot 77"):
            found.transform(matrix, size_factors=factors)
    else:
        assert_same_results(fitted(matrix, **arguments), fitted(counts, **arguments), matrix, counts)


@pytest.mark.parametrize("lazy", [False, True])
def test_wrong_values_are_found_wherever_they_lie_in_new_expression(lazy, monkeypatch):
    dask_array = pytest.importorskip("dask.array")
    monkeypatch.setattr(row_blocks, "_VALUES_IN_BLOCK", 200)
    counts = simulate()
    model = fitted(counts)
    for value, message in ((0.5, "holds 0.5"), (-1, "row 77, column 9"), (np.nan, "row 77, column 9")):
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


# ------------------------------------------------------------------------------------------ back to genes


def test_loadings_of_selected_genes_are_those_of_the_components():
    counts = simulate()
    model = fitted(counts, n_components=6, max_value=1e3)
    features, log = dense_features(counts, 6, 0, 1e3)
    # Principal components reconstruct z = U S V'; on the log scale that is mean + sd * (T V').
    z = (log - log.mean(0)) / log.std(0)
    projector = np.linalg.svd(z, full_matrices=False)[2][:6]
    expected = log.mean(0) + log.std(0) * (z @ projector.T @ projector)
    np.testing.assert_allclose(model.inverse_transform(features), np.maximum(expected, 0), atol=1e-3)


def test_other_genes_are_predicted_by_least_squares():
    counts = simulate()
    model = fitted(counts, n_top_genes=30, n_components=4)
    features = model.transform(counts)
    _, log = dense_features(counts, 4, 0, 10)
    design = np.column_stack([np.ones(len(log)), features])
    expected = np.maximum(design @ np.linalg.lstsq(design, log, rcond=None)[0], 0)
    np.testing.assert_allclose(model.inverse_transform(features), expected, atol=1e-3)
    wanted = ["gene7", "gene3", "gene59"]
    np.testing.assert_allclose(model.inverse_transform(features, genes=wanted), expected[:, [7, 3, 59]], atol=1e-3)


def test_all_components_return_the_expression():
    counts = simulate(200, 20)
    model = fitted(counts, n_components=20, max_value=1e3)
    _, log = dense_features(counts, 4, 0, 1e3)
    np.testing.assert_allclose(model.inverse_transform(model.transform(counts)), log, atol=1e-3)


def test_predicted_genes_are_returned_and_the_others_follow():
    counts = simulate()
    genes = fitted(counts, features="genes", n_top_genes=30, n_components=4)
    components = fitted(counts, n_top_genes=30, n_components=4)
    predicted = genes.transform(counts)
    result = genes.inverse_transform(predicted)
    selected = [int(name.removeprefix("gene")) for name in genes.selected_genes]
    others = np.setdiff1d(np.arange(60), selected)
    np.testing.assert_allclose(result[:, selected], predicted.toarray())
    expected = components.inverse_transform(components.transform(counts))
    np.testing.assert_allclose(result[:, others], expected[:, others], atol=1e-4)
    one = genes.inverse_transform(predicted.toarray(), genes=["gene5"])
    np.testing.assert_allclose(one[:, 0], result[:, 5], atol=1e-5)


# ------------------------------------------------------------------------------------------ sizes, state, errors


@pytest.mark.parametrize(
    ("n_spots", "n_genes", "expected"),
    [(3639, 3000, 48), (300, 3000, 30), (1600, 3000, 32), (100_000, 300, 50), (30, 8, 7), (5, 100, 4), (1, 1, 1)],
)
def test_default_number_of_components(n_spots, n_genes, expected):
    assert default_n_components(n_spots, n_genes) == expected


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


def test_constant_genes_add_nothing():
    counts = simulate(50, 20)
    log = counts.log1p().toarray()
    with_constant = sparse.csr_matrix(np.column_stack([log, np.full(50, 2.7), np.zeros(50)]))
    model = fitted(with_constant, values="log-normalized", n_components=3)
    expected = fitted(sparse.csr_matrix(log), values="log-normalized", n_components=3).transform(log)
    np.testing.assert_allclose(model.transform(with_constant), expected, atol=1e-4)
    decoded = model.inverse_transform(expected, genes=["gene20", "gene21"])
    np.testing.assert_allclose(decoded, np.tile([2.7, 0], (50, 1)), atol=1e-4)


def test_dependent_genes_give_fewer_components_and_say_so():
    column = simulate(50, 1).toarray() + 1
    with pytest.warns(UserWarning, match="only 1 independent"):
        model = fitted(np.log1p(np.tile(column, 4)), values="log-normalized", n_components=3)
    assert model.n_features == 1


@pytest.mark.parametrize("features", ["components", "genes"])
def test_state_rebuilds_the_preprocessor(features):
    counts = simulate()
    model = fitted(counts, features=features, n_top_genes=30)
    state = model.get_state()
    for value in state.values():
        plain = value is None or type(value) in (str, int, float)
        text = type(value) is list and all(type(item) is str for item in value)
        assert plain or text or (isinstance(value, np.ndarray) and value.dtype.kind in "if")
    again = Preprocessor.from_state(pickle.loads(pickle.dumps(state)))
    difference = again.transform(counts) - model.transform(counts)
    assert abs(difference).max() == 0
    assert (again.gene_names, again.selected_genes) == (model.gene_names, model.selected_genes)
    assert (again.target_sum, again.n_features, again.values) == (model.target_sum, model.n_features, "counts")
    np.testing.assert_array_equal(
        again.inverse_transform(model.transform(counts)), model.inverse_transform(model.transform(counts))
    )
    with pytest.raises(ValueError, match="lacks fitted_mean"):
        Preprocessor.from_state({key: value for key, value in state.items() if key != "fitted_mean"})
    with pytest.raises(ValueError, match="version 2"):
        Preprocessor.from_state(state | {"version": 2})


def test_saved_state_does_not_follow_a_second_fit():
    counts = simulate()
    model = fitted(counts)
    state = model.get_state()
    before = model.transform(counts)
    model.fit(simulate(seed=1), names(counts))
    np.testing.assert_array_equal(Preprocessor.from_state(state).transform(counts), before)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_top_genes": 0}, ValueError, "n_top_genes"),
        ({"n_components": 2.5}, TypeError, "n_components"),
        ({"features": "pca"}, ValueError, "features"),
        ({"scale_power": 2}, ValueError, "scale_power"),
        ({"target_sum": 0}, ValueError, "target_sum"),
        ({"target_sum": "median"}, TypeError, "target_sum"),
        ({"max_value": None}, TypeError, "max_value"),
    ],
)
def test_bad_parameters_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        Preprocessor(**parameters)


def test_bad_input_of_fit_is_refused():
    counts = simulate()
    with pytest.raises(ValueError, match="59 names for 60 genes"):
        Preprocessor().fit(counts, names(counts)[1:])
    with pytest.raises(ValueError, match="'gene1' more than once"):
        Preprocessor().fit(counts, ["gene1", *names(counts)[1:]])
    with pytest.raises(ValueError, match="not a whole number"):
        fitted(counts * 0.5)
    with pytest.raises(ValueError, match="at most 60"):
        fitted(counts, n_components=61)
    with pytest.raises(ValueError, match="single spot"):
        fitted(counts[:1])
    with pytest.raises(ValueError, match="No selected gene varies"):
        fitted(np.ones((5, 4)))
    with pytest.raises(ValueError, match="log-normalised already"):
        fitted(counts.log1p(), values="log-normalized", target_sum=1e4)
    with pytest.raises(ValueError, match="but the expression is normalized"):
        fitted(counts * 0.5, values="normalized", size_factors=np.ones(120))
    for factors, message in [
        (np.ones(3), "3 entries"),
        (np.zeros(120), "0 at spot 0"),
        (np.full(120, np.nan), "nan at spot 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted(counts, size_factors=factors)


def test_bad_input_after_fit_is_refused():
    counts = simulate()
    with pytest.raises(RuntimeError, match="not fitted"):
        Preprocessor().transform(counts)
    model = fitted(counts, n_components=3)
    with pytest.raises(ValueError, match="59 genes but the preprocessor was fitted on 60"):
        model.transform(counts[:, 1:])
    with pytest.raises(ValueError, match="fitted without `size_factors`"):
        model.transform(counts, size_factors=np.ones(120))
    with pytest.raises(ValueError, match=r"shape \(120, 4\)"):
        model.inverse_transform(np.zeros((120, 4)))
    with pytest.raises(ValueError, match="'MBP'"):
        model.inverse_transform(np.zeros((120, 3)), genes=["gene1", "MBP"])


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the folder with real sections is absent")
@pytest.mark.parametrize("name", ["dlpfc_151673_hvg", "osmfish_sscortex", "merfish_hypothalamus_2slices"])
@pytest.mark.filterwarnings("ignore:The expression is not counts", "ignore:41 of 6471 spots")
def test_real_sections(name):
    anndata = pytest.importorskip("anndata")
    section = anndata.read_h5ad(DATA / f"{name}.h5ad")
    factors = section.obs["total_umi_full"].to_numpy() if "total_umi_full" in section.obs else None
    model = Preprocessor().fit(
        section.X, section.var_names, slices=section.obs["slice"].to_numpy(), size_factors=factors, values="auto"
    )
    features = model.transform(section.X, size_factors=factors)
    assert np.isfinite(features).all()
    spread = features.std(0)
    assert (np.diff(spread) < 1e-3).all()
    if factors is not None:
        marker = model.inverse_transform(features, genes=["MBP"])[:, 0]
        white_matter = (section.obs["domain"] == "WM").to_numpy()
        assert marker[white_matter].mean() > 2 * marker[~white_matter].mean()
