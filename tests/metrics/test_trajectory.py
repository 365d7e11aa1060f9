import numpy as np
import pandas as pd
import pytest

from spotscape.metrics import trajectory_scores


def slow_kendall(x, y):
    """Pairs in the same order less pairs in the opposite one, with the correction for ties."""
    pairs = [(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i in range(len(x)) for j in range(i)]
    both = sum(a * b for a, b in pairs)
    return both / np.sqrt(sum(a != 0 for a, _ in pairs) * sum(b != 0 for _, b in pairs))


def slow_spearman(x, y):
    """Correlation of the mean ranks."""
    ranks = [[np.mean([int(v < w) + int(v <= w) for v in values]) for w in values] for values in (x, y)]
    return np.corrcoef(*ranks)[0, 1]


def test_scores_are_those_of_their_definition():
    rng = np.random.default_rng(0)
    levels = rng.integers(4, size=60)
    pseudotime = np.round(-levels + rng.normal(size=60), 1)
    found = trajectory_scores(pseudotime, levels, signed=True)
    assert found.kendall == pytest.approx(slow_kendall(pseudotime, levels)) and found.kendall < 0
    assert found.spearman == pytest.approx(slow_spearman(pseudotime, levels))
    assert trajectory_scores(pseudotime, levels) == (-found.spearman, -found.kendall)


def test_orders_of_any_kind_are_the_same():
    pseudotime = [0.1, 0.2, np.nan, 0.3, 0.7, 0.5]
    names = ["b", "b", None, "a", "c", "a"]
    order = ["b", "a", "c"]
    expected = trajectory_scores(pseudotime, [0, 0, np.nan, 1, 2, 1])
    assert trajectory_scores(pseudotime, names, order=order) == expected
    assert trajectory_scores(pseudotime, pd.Categorical(names, order, ordered=True)) == expected
    assert trajectory_scores(pseudotime, pd.Series(pd.Categorical(names)), order=order) == expected


@pytest.mark.parametrize(
    ("pseudotime", "known_order", "arguments", "message"),
    [
        ([1.0, 2.0], [1, 2, 3], {}, "shape"),
        ([1.0, np.nan], [1, 2], {}, "missing or infinite at 1 spots"),
        ([1.0, np.inf], [1, 2], {}, "missing or infinite at 1 spots"),
        ([1.0, 1.0], [1, 2], {}, "`pseudotime` has 1 value"),
        ([1.0, 2.0], [1, 1], {}, "`known_order` has 1 value"),
        ([1.0, 2.0], [None, None], {}, "`known_order` has 0 value"),
        ([1.0, 2.0], ["a", "b"], {}, "names without an order"),
        ([1.0, 2.0], pd.Categorical(["a", "b"]), {}, "without an order"),
        ([1.0, 2.0], ["a", "b"], {"order": ["a"]}, "'b', which is not in `order`"),
        ([1.0, 2.0], ["a", "b"], {"order": ["a", "b", "a"]}, "a name twice"),
    ],
)
def test_what_cannot_be_compared_is_refused(pseudotime, known_order, arguments, message):
    with pytest.raises(ValueError, match=message):
        trajectory_scores(pseudotime, known_order, **arguments)
