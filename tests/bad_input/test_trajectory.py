"""Bad input to trajectories: one clear sentence, and an unchanged AnnData."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spotscape import pl, tl

from .conftest import assert_one_sentence, assert_unchanged

pytest.importorskip("igraph")


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    apart = rng.normal(size=(80, 3))
    apart[:20] += 100
    obs = pd.DataFrame(
        {
            "domain": pd.Categorical(np.repeat(["1", "2", "3", "4"], 20), categories=["1", "2", "3", "4", "empty"]),
            "slice": ["first"] * 40 + ["second"] * 40,
            "same": "one",
        },
        index=[f"spot{row}" for row in range(80)],
    )
    return anndata.AnnData(sparse.csr_matrix((80, 1)), obs, obsm={"Z": rng.normal(size=(80, 3)), "apart": apart})


CASES = [
    ({"root": "WM"}, KeyError, "neither a domain in `adata.obs\\['domain'\\]` nor the name of a spot"),
    ({"root": 3.5}, KeyError, "`root` is 3.5"),
    ({"root": "empty"}, ValueError, "no spot is in this domain"),
    ({"root": "3", "per_slice": True}, ValueError, "no spot in slice 'first' is in this domain"),
    ({"root": "spot50", "per_slice": True}, ValueError, "the spot 'spot50', which is not in slice 'first'"),
    ({"use_rep": "apart", "n_neighbors": 5}, ValueError, "2 parts without an edge.* with 20 spots.* domain '1'"),
    ({"use_rep": "X_other"}, KeyError, "`use_rep` is 'X_other'"),
    ({"domain_key": "layers"}, KeyError, "`domain_key` is 'layers'"),
    ({"domain_key": "same", "root": "one"}, ValueError, "fewer than two domains"),
    ({"slice_key": "slice"}, ValueError, "only applies with `per_slice=True`"),
    ({"slice_key": "sections", "per_slice": True}, KeyError, "`slice_key` is 'sections'"),
    ({"per_slice": "slice"}, TypeError, "`per_slice` is 'slice'"),
    ({"n_neighbors": 80}, ValueError, "at most 79"),
    ({"n_components": 79}, ValueError, "pass at most 78"),
    ({"key_added": ""}, TypeError, "`key_added` is ''"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), CASES)
def test_arguments_that_do_not_fit_are_refused(adata, arguments, error, message):
    before = adata.copy()
    with pytest.raises(error, match=message) as caught:
        tl.trajectory(adata, **{"root": "1", "use_rep": "Z", "domain_key": "domain"} | arguments)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def test_few_spots_are_refused(adata):
    with pytest.raises(ValueError, match="only 9 spots"):
        tl.trajectory(adata[:9].copy(), "1", use_rep="Z", domain_key="domain")


@pytest.mark.parametrize("value", [None, {}, {"order": ["a"]}])
def test_without_a_result_the_error_says_what_to_call(adata, value):
    adata.uns = {} if value is None else {"pseudotime": value}
    with pytest.raises(KeyError, match="call `spotscape.tl.trajectory` first"):
        pl.trajectory(adata)
