import itertools

import numpy as np
import pandas as pd
import pytest

from spotscape.metrics import adjusted_rand_index, label_transfer_adjusted_rand_index


def slow(true, transferred):
    """Count pairs of annotated spots; no label is a label like any other."""
    known = [(t, p if isinstance(p, str) else "none") for t, p in zip(true, transferred, strict=True) if t is not None]
    pairs = list(itertools.combinations(known, 2))
    same_true = np.array([a[0] == b[0] for a, b in pairs])
    same_pred = np.array([a[1] == b[1] for a, b in pairs])
    expected = same_true.sum() * same_pred.sum() / len(pairs)
    return ((same_true & same_pred).sum() - expected) / ((same_true.sum() + same_pred.sum()) / 2 - expected)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("container", [list, pd.Series, pd.Categorical, lambda x: np.array(x, dtype=object)])
def test_it_is_the_rand_index_with_a_class_of_spots_without_label(missing, container):
    rng = np.random.default_rng(0)
    true = rng.choice(["a", "b", "c"], 60).astype(object)
    transferred = np.where(rng.random(60) < 0.7, true, rng.choice(["a", "b", "d"], 60)).astype(object)
    true[:7], transferred[5:20] = None, missing
    expected = slow(true, transferred)
    found = label_transfer_adjusted_rand_index(container(true.tolist()), container(transferred.tolist()))
    assert found == pytest.approx(expected)
    assert 0.1 < found < 0.9


def test_leaving_out_hard_spots_gains_nothing():
    true = np.repeat(["a", "b"], 20)
    honest, shy = true.astype(object), true.astype(object)
    honest[10:20], shy[10:20] = "b", None
    left_out = pd.notna(shy)
    assert adjusted_rand_index(true[left_out], shy[left_out]) == 1.0
    assert label_transfer_adjusted_rand_index(true, shy) < 0.75
    assert label_transfer_adjusted_rand_index(true, true) == 1.0


@pytest.mark.parametrize(
    ("true", "transferred", "message"),
    [(["a", "b"], ["a"], "has 2 labels and"), ([None, None], ["a", "b"], "None of the 2 spots is annotated")],
)
def test_bad_labels(true, transferred, message):
    with pytest.raises(ValueError, match=message):
        label_transfer_adjusted_rand_index(true, transferred)
