"""Bad input to integration: one clear sentence, and unchanged data."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from spotscape import metrics, pl, tl

SLICES = np.repeat(["left", "right"], 20)


@pytest.fixture
def adata():
    data = AnnData(obs=pd.DataFrame({"slice": SLICES, "one": "left"}, index=np.arange(40).astype(str)))
    data.obs["partly"] = [None, *SLICES[1:]]
    values = np.random.default_rng(0).normal(size=(40, 4))
    data.obsm["X_latent"], data.obsm["wide"] = values, np.eye(40) + 1
    data.obsm["zeros"], data.obsm["broken"] = values.copy(), values.copy()
    data.obsm["zeros"][3], data.obsm["broken"][3, 1] = 0, np.nan
    return data


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"use_rep": "X_no"}, KeyError, "`use_rep` is 'X_no'"),
        ({"use_rep": "broken"}, ValueError, "1 missing or infinite values"),
        ({"use_rep": "zeros"}, ValueError, "zero in all dimensions of 1 spots"),
        ({"use_rep": "wide"}, ValueError, "40 dimensions for 40 spots"),
        ({"slice_key": "donor"}, KeyError, "`slice_key` is 'donor'"),
        ({"slice_key": "one"}, ValueError, "nothing to integrate"),
        ({"slice_key": "partly"}, ValueError, "missing for 1 spots"),
        ({"theta": -1}, ValueError, "`theta` is -1"),
        ({"theta": "2"}, TypeError, "`theta` is '2'"),
        ({"n_clusters": 1}, ValueError, "`n_clusters` is 1"),
        ({"n_clusters": 40}, ValueError, "`n_clusters` is 40"),
        ({"max_iter": 0}, ValueError, "`max_iter` is 0"),
        ({"seed": -1}, ValueError, "`seed` is -1"),
        ({"key_added": ""}, TypeError, "`key_added` is ''"),
    ],
)
def test_bad_arguments_of_harmony_are_refused(adata, arguments, error, message):
    before = {key: adata.obsm[key].copy() for key in adata.obsm}
    with pytest.raises(error, match=message):
        tl.harmony(adata, **{"use_rep": "X_latent"} | arguments)
    assert set(adata.obsm) == set(before) and not adata.uns
    for key, values in before.items():
        np.testing.assert_array_equal(adata.obsm[key], values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"representation": np.ones(40)}, "`representation` is of type ndarray, of shape"),
        ({"representation": np.ones((40, 2))}, "the same for all 40 spots"),
        ({"representation": [["a"]] * 40}, "pass numbers"),
        ({"representation": np.r_[np.full((1, 2), np.inf), np.ones((39, 2))]}, "2 missing or infinite values"),
        ({"slices": SLICES[:39]}, "`representation` has 40 spots and `slices` 39"),
        ({"slices": ["left"] * 40}, "nothing to integrate"),
        ({"slices": [None, *SLICES[1:]]}, "`slices` has 1 missing values"),
        ({"labels": ["a"] * 39}, "`representation` has 40 spots and `labels` 39"),
        ({"labels": [None] * 40}, "Only 0 of 40 spots have a label"),
        ({"unintegrated": np.eye(39)}, "`representation` has 40 spots and `unintegrated` 39"),
    ],
)
def test_scores_refuse(arguments, message):
    given = {"representation": np.random.default_rng(0).normal(size=(40, 3)), "slices": SLICES}
    with pytest.raises(ValueError, match=message):
        metrics.integration_scores(**given | arguments)


TABLE = pd.DataFrame({"method": ["PCA", "ours"], "bio": [0.1, 0.2], "batch": [0.3, 0.4]})


@pytest.mark.parametrize(
    ("table", "arguments", "error", "message"),
    [
        ([1, 2], {}, TypeError, "`table` is .1, 2.; pass a data frame"),
        (TABLE.iloc[:0], {}, ValueError, "has no rows"),
        (TABLE.drop(columns="bio"), {}, KeyError, "`bio` is 'bio', which is not in `table`"),
        (TABLE, {"batch": "iLISI"}, KeyError, "`batch` is 'iLISI', which is not in `table`"),
        (TABLE.assign(bio=["a", "b"]), {}, TypeError, "'bio' of `table` is not numeric"),
        (TABLE.assign(batch=[np.nan, 1]), {}, ValueError, "1 missing or infinite scores"),
        (TABLE.assign(method=[None, "ours"]), {}, ValueError, "missing values"),
        (TABLE, {"ncols": 0}, ValueError, "`ncols` is 0"),
        (
            pd.DataFrame({"method": range(13), "bio": 0.5, "batch": 0.5}),
            {},
            ValueError,
            "13 methods; draw at most 12",
        ),
    ],
)
def test_bad_tables_of_the_figure_are_refused(table, arguments, error, message):
    with pytest.raises(error, match=message):
        pl.integration(table, **arguments)
