"""Bad input to the choice of the number of domains."""

import anndata
import numpy as np
import pandas as pd
import pytest

from spotscape import tl


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    data = anndata.AnnData(obsm={"X_spotscape": rng.normal(size=(60, 4)), "spatial": rng.uniform(size=(60, 2))})
    data.obs["slice"] = pd.Categorical(np.repeat(["a", "b"], 30))
    data.obs["gaps"] = ["a"] * 59 + [None]
    data.obsm["line"] = np.ones((60, 1))
    data.obsm["holes"] = np.full((60, 2), np.nan)
    data.obsm["same"] = np.ones((60, 4))
    return data


CASES = [
    ({"use_rep": "X_other"}, KeyError, "use_rep"),
    ({"use_rep": "holes"}, ValueError, "missing or infinite"),
    ({"use_rep": "same"}, ValueError, "is the same for all 60 spots"),
    ({"n_domains": 7}, TypeError, "at least two candidates"),
    ({"n_domains": "27"}, TypeError, "at least two candidates"),
    ({"n_domains": []}, ValueError, "0 candidate"),
    ({"n_domains": [3, 3]}, ValueError, "1 candidate"),
    ({"n_domains": [1, 2]}, ValueError, "at least 2"),
    ({"n_domains": [2.5, 3]}, TypeError, "whole number"),
    ({"n_domains": range(2, 50)}, ValueError, "distinct spots"),
    ({"slice_key": "section"}, KeyError, "slice_key"),
    ({"slice_key": "gaps"}, ValueError, "missing for"),
    ({"spatial_key": "positions"}, KeyError, "spatial_key"),
    ({"spatial_key": "line"}, ValueError, "two coordinates"),
    ({"spatial_key": "holes"}, ValueError, "missing or infinite"),
    ({"n_splits": 1}, ValueError, "n_splits"),
    ({"n_splits": 2.0}, TypeError, "n_splits"),
    ({"n_init": 0}, ValueError, "n_init"),
    ({"seed": -1}, ValueError, "seed"),
    ({"key_added": ""}, TypeError, "key_added"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), CASES, ids=lambda value: str(value)[:40])
def test_bad_arguments_are_refused(adata, arguments, error, message):
    before = adata.copy()
    with pytest.raises(error, match=message):
        tl.choose_n_domains(adata, **{"n_domains": range(2, 5)} | arguments)
    assert not adata.uns
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    for key in before.obsm:
        np.testing.assert_array_equal(adata.obsm[key], before.obsm[key])
