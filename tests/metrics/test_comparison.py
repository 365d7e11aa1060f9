"""Comparison of methods over sections and seeds."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spotscape.metrics import compare_scores


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    rows = [
        (method, section, seed, shift + level + 0.05 * rng.normal())
        for method, shift in (("ours", 0.1), ("other", 0.0), ("third", 0.1))
        for section, level in zip("abcdefgh", rng.random(8), strict=True)
        for seed in range(3)
    ]
    return pd.DataFrame(rows, columns=["method", "section", "seed", "score"])


def test_tests_are_those_of_scipy_on_means_of_seeds(scores):
    table = compare_scores(scores, "other")
    means = scores.pivot_table(index="section", columns="method", values="score")
    rows = {name: scores.loc[scores["method"] == name, "score"] for name in ("ours", "other")}
    found = table.loc["ours"]
    assert found["n_pairs"] == 8 and found["n"] == found["n_reference"] == 24
    assert found["difference"] == pytest.approx((means["ours"] - means["other"]).mean())
    assert found["n_above"] == (means["ours"] > means["other"]).sum()
    assert found["p_t"] == pytest.approx(stats.ttest_rel(means["ours"], means["other"]).pvalue)
    assert found["p_wilcoxon"] == pytest.approx(stats.wilcoxon(means["ours"], means["other"]).pvalue)
    assert found["p_mann_whitney"] == pytest.approx(stats.mannwhitneyu(rows["ours"], rows["other"]).pvalue)
    assert table.index.tolist() == ["ours", "third"]


def test_sections_that_one_method_lacks_are_not_paired(scores):
    lacking = scores[(scores["method"] != "ours") | (scores["section"] > "c")]
    assert compare_scores(lacking, "other").loc["ours", "n_pairs"] == 5


def test_without_pairs_only_the_unpaired_test_is_made(scores):
    table = compare_scores(scores, "other", pair_by=None)
    assert table.columns.tolist() == ["n", "n_reference", "difference", "p_mann_whitney"]


def test_equal_methods_have_a_p_value_of_one(scores):
    copies = scores[scores["method"] == "ours"].assign(method="copy")
    found = compare_scores(pd.concat([scores, copies]), "ours").loc["copy"]
    assert found["difference"] == 0 and found["p_t"] == found["p_wilcoxon"] == 1


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        (lambda scores: scores, {"reference": "none"}, KeyError, "'none'.*'ours'"),
        (lambda scores: scores, {"pair_by": "donor"}, KeyError, "`pair_by` is 'donor', which is not in `scores`"),
        (lambda scores: scores.assign(score=np.nan), {}, ValueError, "missing or infinite"),
        (
            lambda scores: scores.assign(section=scores["method"] + scores["section"]),
            {},
            ValueError,
            "no section in common",
        ),
    ],
)
def test_bad_tables_are_refused(scores, change, arguments, error, message):
    with pytest.raises(error, match=message):
        compare_scores(change(scores), **({"reference": "other"} | arguments))
