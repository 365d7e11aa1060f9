"""New sections and labels that cannot be used get one clear sentence, and the data stays as it was."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spotscape import SPOTSCAPE, tl

from .conftest import assert_one_sentence, assert_unchanged, new_section, setup

# anndata warns of what is then refused
pytestmark = pytest.mark.filterwarnings("ignore:Variable names are not unique")


def twice(adata):
    adata.var_names = [adata.var_names[0], *adata.var_names[:-1]]
    return adata


def other_names(adata):
    adata.var_names = [f"ENSG{i}" for i in range(adata.n_vars)]
    return adata


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (twice, "Names of genes occur twice"),
        (other_names, "None of the 60 genes.*name genes alike.*'ENSG0'"),
        (lambda adata: adata[:, :20].copy(), "20 of the 60 genes.*too few for its 30 principal"),
    ],
)
def test_genes_that_do_not_fit_are_refused(saved, change, message):
    adata = change(new_section())
    before = adata.copy()
    with pytest.raises(ValueError, match=message) as caught:
        SPOTSCAPE.prepare_query_anndata(adata, saved)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)


def test_a_small_share_of_the_genes_is_reported(saved):
    adata = new_section()
    state = SPOTSCAPE.load(saved, adata=False).preprocessor.get_state()
    assert state["fitted_projection"].shape[1] == 30
    with pytest.raises(FileNotFoundError, match="no model at"):
        SPOTSCAPE.prepare_query_anndata(adata, saved / "nothing")
    with pytest.raises(TypeError, match="a str where"):
        SPOTSCAPE.prepare_query_anndata("section.h5ad", saved)
    with pytest.raises(ValueError, match="set up with an AnnData; prepare one with `prepare_query_anndata`"):
        SPOTSCAPE.prepare_query_mudata(adata, saved)


def test_completed_data_is_not_for_training(saved):
    adata = SPOTSCAPE.prepare_query_anndata(new_section()[:, 10:].copy(), saved, inplace=False)
    before = adata.copy()
    with pytest.raises(ValueError, match="genes that were not measured.*set up the data as it was") as caught:
        setup(adata)
    assert_one_sentence(caught.value)
    assert_unchanged(adata, before)
    setup(adata[:, adata.var["spotscape_measured"]].copy())


def test_novelty_needs_a_trained_model(adata):
    setup(adata)
    with pytest.raises(RuntimeError, match="train"):
        SPOTSCAPE(adata, n_hidden=8, n_latent=4).get_novelty()


@pytest.fixture
def labelled(adata):
    adata.obsm["X_spotscape"] = np.random.default_rng(0).normal(size=(adata.n_obs, 4)).astype(np.float32)
    adata.obsm["wide"] = sparse.csr_matrix(np.random.default_rng(0).random((adata.n_obs, 60)))
    adata.obsp["negative"] = -sparse.eye(adata.n_obs, format="csr")
    adata.obs["nothing"] = pd.Categorical([None] * adata.n_obs, ["x"])
    return adata


def other(adata, *, n_columns=4):
    result = adata.copy()
    result.obsm["X_spotscape"] = np.random.default_rng(0).normal(size=(adata.n_obs, n_columns))
    return result


TRANSFERS: dict[str, tuple[dict[str, Any], Any, str]] = {
    "no such column": ({"labels_key": "layer"}, KeyError, "`labels_key` is 'layer'"),
    "no labels": ({"labels_key": "nothing"}, ValueError, "has no labels; annotate"),
    "no such slice": ({"reference": "slice_9"}, KeyError, "`reference` is 'slice_9'.*available: 'slice_1', 'slice_2'"),
    "no such query": ({"query": ["slice_1", "no"]}, KeyError, "`query` is 'no'"),
    "no such slice key": ({"reference": "a", "slice_key": "donor"}, KeyError, "`slice_key` is 'donor'"),
    "both at once": ({"reference": "slice_1", "query": "slice_1"}, ValueError, "share a slice"),
    "all labelled": ({}, ValueError, "no spot to label"),
    "all asked": ({"query": ["slice_1", "slice_2"]}, ValueError, "No spot of the reference is annotated"),
    "no neighbours": ({"reference": "slice_1", "n_neighbors": 0}, ValueError, "`n_neighbors` is 0"),
    "no such representation": ({"reference": "slice_1", "use_rep": "X_no"}, KeyError, "`use_rep` is 'X_no'"),
    "no such coupling": ({"reference": "slice_1", "coupling": "no"}, KeyError, "`coupling` is 'no'"),
    "negative coupling": ({"reference": "slice_1", "coupling": "negative"}, ValueError, "negative, missing"),
    "same key": ({"reference": "slice_1", "key_added": "domain"}, ValueError, "`key_added` is 'domain'"),
    "other width": ({"reference": lambda a: other(a, n_columns=3)}, ValueError, "4 columns, but 3 in the reference"),
    "coupling of two": ({"reference": other, "coupling": "negative"}, ValueError, "omit one of them"),
    "X of two": ({"reference": other, "use_rep": "X"}, ValueError, "differ between two AnnData"),
    "sparse of two": ({"reference": other, "use_rep": "wide"}, ValueError, "differ between two AnnData"),
}


@pytest.mark.parametrize("case", TRANSFERS)
def test_labels_that_cannot_be_transferred(labelled, case):
    arguments, error, message = TRANSFERS[case]
    arguments = {"labels_key": "domain"} | arguments
    if callable(arguments.get("reference")):
        arguments["reference"] = arguments["reference"](labelled)
    before = labelled.copy()
    with pytest.raises(error, match=message) as caught:
        tl.transfer_labels(labelled, **arguments)
    assert_one_sentence(caught.value)
    assert_unchanged(labelled, before)
