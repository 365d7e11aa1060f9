import itertools

import numpy as np
import pandas as pd
import pytest

from spotscape.metrics import adjusted_rand_index, label_transfer_adjusted_rand_index


def slow(true, transferred):
    """Count pairs of annotated spots; a missing transferred label is treated as one more label."""
    known = [(t, p if isinstance(p, str) else "none") for t, p in zip(true, transferred, strict=True) if t is not None]
    pairs = list(itertools.combinations(known, 2))
    same_true = np.array([a[0] == b[0] for a, b in pairs])
    same_pred = np.array([a[1] == b[1] for a, b in pairs])
    expected = same_true.sum() * same_pred.sum() / len(pairs)
    return ((same_true & same_pred).sum() - expected) / ((same_true.sum() + same_pred.sum()) / 2 - expected)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("container", [list, pd.Series, pd.Categorical, lambda x: np.array(x, dtype=object)])
def test_it_is_the_rand_index_with_an_extra_label_for_spots_without_one(missing, container):
    rng = np.random.default_rng(0)
    true = rng.choice(["a", "b", "c"], 60).astype(object)
    transferred = np.where(rng.random(60) < 0.7, true, rng.choice(["a", "b", "d"], 60)).astype(object)
    true[:7], transferred[5:20] = None, missing
    expected = slow(true, transferred)
    found = label_transfer_adjusted_rand_index(container(true.tolist()), container(transferred.tolist()))
    assert found == pytest.approx(expected)
    assert 0.1 < found < 0.9


def test_leaving_out_difficult_spots_does_not_improve_the_score():
    true = np.repeat(["a", "b"], 20)
    all_labelled, partly_labelled = true.astype(object), true.astype(object)
    all_labelled[10:20], partly_labelled[10:20] = "b", None
    labelled = pd.notna(partly_labelled)
    assert adjusted_rand_index(true[labelled], partly_labelled[labelled]) == 1.0
    assert label_transfer_adjusted_rand_index(true, partly_labelled) < 0.75
    assert label_transfer_adjusted_rand_index(true, true) == 1.0


@pytest.mark.parametrize(
    ("true", "transferred", "message"),
    [(["a", "b"], ["a"], "has 2 labels and"), ([None, None], ["a", "b"], "None of the 2 spots is annotated")],
)
def test_bad_labels(true, transferred, message):
    with pytest.raises(ValueError, match=message):
        label_transfer_adjusted_rand_index(true, transferred)
