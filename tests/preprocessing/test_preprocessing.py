"""The preprocessor against its dense definition, forth and back."""

import pickle

import numpy as np
import pytest
from scipy import sparse

from spotscape.preprocessing import Preprocessor
from spotscape.preprocessing import _components as principal_components

from .conftest import dense_features, fitted, names, simulate

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


# ------------------------------------------------------------------------------------------ state, errors


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
    with pytest.raises(ValueError, match="declared as counts but holds"):
        fitted(counts.log1p())
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
        (np.zeros(120), "0 at row 0"),
        (np.full(120, np.nan), "nan at row 0"),
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
@pytest.mark.parametrize("name", ["dlpfc_151673_hvg", "osmfish_sscortex", "merfish_hypothalamus_2slices"])
@pytest.mark.filterwarnings("ignore:The expression is not counts", "ignore:41 of 6471 spots")
def test_real_sections(name, section):
    adata = section(name)
    factors = adata.obs["total_umi_full"].to_numpy() if "total_umi_full" in adata.obs else None
    model = Preprocessor().fit(
        adata.X, adata.var_names, slices=adata.obs["slice"].to_numpy(), size_factors=factors, values="auto"
    )
    features = model.transform(adata.X, size_factors=factors)
    assert np.isfinite(features).all()
    spread = features.std(0)
    assert (np.diff(spread) < 1e-3).all()
    if factors is not None:
        marker = model.inverse_transform(features, genes=["MBP"])[:, 0]
        white_matter = (adata.obs["domain"] == "WM").to_numpy()
        assert marker[white_matter].mean() > 2 * marker[~white_matter].mean()
