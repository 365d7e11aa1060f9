"""Features of sections that lack genes, against the slow, obvious conditional expectation."""

import warnings

import numpy as np
import pytest
from scipy import sparse

from spotscape.preprocessing import Preprocessor
from spotscape.preprocessing._missing_genes import check_overlap


def simulate(n_spots=400, n_genes=80, seed=0):
    rng = np.random.default_rng(seed)
    programs = rng.normal(size=(n_spots, 3)) @ rng.normal(size=(3, n_genes))
    rate = np.exp(0.5 * programs + rng.normal(1.5, 0.5, n_genes))
    return sparse.csr_matrix(rng.poisson(rate).astype(np.float32))


def fitted(counts, **parameters):
    names = [f"gene{i}" for i in range(counts.shape[1])]
    return Preprocessor(**{"n_components": 4} | parameters).fit(counts, names)


def without(counts, measured):
    return sparse.csr_matrix(counts.multiply(measured))


def drawn(n_genes=80, share=0.5, seed=1):
    return np.random.default_rng(seed).random(n_genes) < share


def test_all_genes_change_nothing():
    counts = simulate()
    for features in ("components", "genes"):
        model = fitted(counts, features=features)
        whole = model.restrict(np.ones(80, dtype=bool))
        found, expected = whole.transform(counts), model.transform(counts)
        if features == "genes":
            found, expected = found.toarray(), expected.toarray()
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(whole.library_size(counts), model.library_size(counts))


@pytest.mark.parametrize("scale_power", [0.0, 0.5, 1.0])
def test_scores_are_the_conditional_expectation_of_probabilistic_components(scale_power):
    counts, measured = simulate(), drawn()
    model = fitted(counts, scale_power=scale_power)
    found = model.restrict(measured).transform(without(counts, measured))

    # The obvious way: covariance of all genes, regression of the others on the measured ones, then all scores.
    totals = np.asarray(counts.sum(1)).ravel()
    y = np.log1p(counts.toarray() / totals[:, None] * np.median(totals))
    cut = np.minimum(y, y.mean(0) + 10 * y.std(0))
    z_all = (cut - cut.mean(0)) / y.std(0)
    spectrum, axes = np.linalg.eigh(np.cov(z_all.T, bias=True))
    strength, axes = spectrum[:-5:-1], axes[:, :-5:-1]
    noise = (80 - strength.sum()) / (80 - 4)
    share = (counts.toarray() / totals.sum())[:, measured].sum()
    y = np.log1p(without(counts, measured).toarray() / (without(counts, measured).sum(1).A1 / share)[:, None]
                 * np.median(totals))  # fmt: skip
    z = (y - cut.mean(0)) / z_scale(counts)
    signal = axes @ np.diag(strength - noise) @ axes.T
    # Ten spots that share their components have a tenth of the noise.
    covariance = signal + noise / 10 * np.eye(80)
    regression = signal[np.ix_(~measured, measured)] @ np.linalg.inv(covariance[np.ix_(measured, measured)])
    completed = z.copy()
    completed[:, ~measured] = z[:, measured] @ regression.T
    expected = completed @ axes
    expected /= strength ** (scale_power / 2) * np.sqrt(np.mean(strength ** (1 - scale_power)))
    for k in range(4):
        sign = np.sign(found[:, k] @ expected[:, k])
        np.testing.assert_allclose(sign * found[:, k], expected[:, k], atol=2e-3)


def z_scale(counts):
    totals = np.asarray(counts.sum(1)).ravel()
    return np.log1p(counts.toarray() / totals[:, None] * np.median(totals)).std(0)


def test_scores_stay_nearer_to_those_of_all_genes_than_with_zeros():
    counts, measured = simulate(), drawn(share=0.6)
    model = fitted(counts)
    full, lacking = model.transform(counts), without(counts, measured)
    error = np.abs(model.restrict(measured).transform(lacking) - full).mean()
    assert error < 0.5 * np.abs(model.transform(lacking) - full).mean()


def test_library_size_is_that_of_all_genes_in_expectation():
    counts = simulate()
    # The most expressed quarter of the genes: far more than a quarter of the library.
    totals = np.asarray(counts.sum(0)).ravel()
    measured = totals >= np.quantile(totals, 0.75)
    sizes = fitted(counts).restrict(measured).library_size(without(counts, measured))
    true = np.asarray(counts.sum(1)).ravel()
    assert sizes.sum() == pytest.approx(true.sum(), rel=1e-6)
    assert np.corrcoef(sizes, true)[0, 1] > 0.7


def test_given_size_factors_are_taken_as_they_are():
    counts, measured = simulate(), drawn()
    factors = np.asarray(counts.sum(1)).ravel() * 3
    model = Preprocessor(n_components=4).fit(counts, [f"g{i}" for i in range(80)], size_factors=factors)
    lacking, restricted = without(counts, measured), model.restrict(measured)
    np.testing.assert_array_equal(restricted.library_size(lacking, size_factors=factors), factors)
    found = restricted.log_expression(lacking, size_factors=factors).toarray()
    expected = model.log_expression(counts, size_factors=factors).toarray() * measured
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_missing_genes_as_features_are_what_the_components_expect():
    counts, measured = simulate(), drawn()
    model = fitted(counts, features="genes", n_top_genes=50)
    restricted = model.restrict(measured)
    found = restricted.transform(without(counts, measured))
    assert sparse.issparse(found)
    known = measured[[int(name[4:]) for name in model.selected_genes]]
    observed = restricted.log_expression(without(counts, measured)).toarray()
    selected = [int(name[4:]) for name in model.selected_genes]
    np.testing.assert_allclose(found.toarray()[:, known], observed[:, selected][:, known], rtol=1e-6)
    scores = fitted(counts, n_top_genes=50).restrict(measured)
    components = scores.transform(without(counts, measured))
    expected = scores.inverse_transform(components, genes=model.selected_genes)
    np.testing.assert_allclose(found.toarray()[:, ~known], expected[:, ~known], atol=1e-4)


def test_what_is_saved_restricts_alike_and_older_files_say_so():
    counts, measured = simulate(), drawn()
    model = fitted(counts)
    lacking, state = without(counts, measured), model.get_state()
    again = Preprocessor.from_state(state)
    np.testing.assert_array_equal(
        again.restrict(measured).transform(lacking), model.restrict(measured).transform(lacking)
    )
    older = {key: value for key, value in state.items() if key[7:] not in ("centre", "strength", "share")}
    again = Preprocessor.from_state(older)
    np.testing.assert_array_equal(again.transform(counts), model.transform(counts))
    with pytest.raises(ValueError, match="older release"):
        again.restrict(measured)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        model.restrict(np.ones(3, dtype=bool))


def test_overlap_is_judged_by_the_genes_that_the_model_reads():
    selected = [f"gene{i}" for i in range(30)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_overlap(selected[:10], selected, 5)
    with pytest.warns(UserWarning, match="only 9 of the 30 genes"):
        check_overlap([*selected[:9], "other"], selected, 5)
    with pytest.raises(ValueError, match="4 of the 30 genes.*5 principal components"):
        check_overlap(selected[:4], selected, 5)
    with pytest.raises(ValueError, match="None of the 30.*'gene0' and the data 'ENSG1'"):
        check_overlap(["ENSG1"], selected, 5)
