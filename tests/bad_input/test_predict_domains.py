"""Bad input to the domains of new sections: one clear sentence, and an unchanged AnnData."""

import anndata
import numpy as np
import pytest
from scipy import sparse

from spotscape import SPOTSCAPE, datasets, tl

from .conftest import assert_one_sentence, assert_unchanged


@pytest.fixture
def reference():
    rng = np.random.default_rng(0)
    data = anndata.AnnData(np.zeros((60, 1)), obsm={"Z": rng.normal(size=(60, 4)) + 9 * np.eye(4)[np.arange(60) % 4]})
    tl.domains(data, "Z", 4, n_init=2)
    tl.domains(data, "Z", 4, n_init=2, smoothing=0, method="kmeans", key_added="kmeans")
    return data


@pytest.fixture
def new():
    data = anndata.AnnData(sparse.csr_matrix((5, 1)), obsm={"Z": np.random.default_rng(1).normal(size=(5, 4))})
    data.obsm["wide"] = np.random.default_rng(0).normal(size=(5, 9))
    data.obsm["holes"] = np.full((5, 4), np.nan)
    data.obsm["sparse"] = sparse.csr_matrix(np.ones((5, 4)))
    return data


CASES = [
    ({"use_rep": "X_other"}, KeyError, "`use_rep` is 'X_other'"),
    ({"use_rep": "wide"}, ValueError, "9 columns, but 4 in the reference"),
    ({"use_rep": "holes"}, ValueError, "missing or infinite"),
    ({"use_rep": "sparse"}, ValueError, "differ between two AnnData"),
    ({"use_rep": "X"}, ValueError, "differ between two AnnData"),
    ({"reference_key": "regions"}, KeyError, "`reference_key` is 'regions'"),
    ({"key_added": "regions"}, KeyError, "`key_added` is 'regions'"),
    ({"key_added": 3}, TypeError, "`key_added` is 3"),
    ({"reference": "my_model/"}, TypeError, "`reference` is 'my_model/'; pass"),
    ({"reference": {}}, ValueError, "not a result of `spotscape.tl.domains`"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), CASES)
def test_arguments_that_do_not_fit_are_refused(reference, new, arguments, error, message):
    before = new.copy()
    with pytest.raises(error, match=message) as caught:
        tl.predict_domains(new, **{"reference": reference} | arguments)
    assert_one_sentence(caught.value)
    assert_unchanged(new, before)


def leiden(reference):
    tl.domains(reference, "Z", 4, method="leiden")


def older(reference):
    del reference.uns["spatial_domain"]["classifier"]


def merged(reference):
    reference.obs["spatial_domain"] = reference.obs["spatial_domain"].astype(str).replace("4", "3").astype("category")


def another_order(reference):
    reference.obs["spatial_domain"] = reference.obs["spatial_domain"].cat.reorder_categories(["4", "2", "3", "1"])


def smoothed(reference):
    reference.obsp["spatial_connectivities"] = sparse.csr_matrix(np.eye(60, k=1) + np.eye(60, k=-1))
    tl.domains(reference, "Z", 4, n_init=2, smoothing=0.5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (leiden, ValueError, "not defined for new spots"),
        (older, ValueError, "call `spotscape.tl.domains` again"),
        (merged, ValueError, "no 4 categories"),
        (another_order, ValueError, "other sizes"),
        (smoothed, KeyError, "`smoothing` needs the spatial graph"),
    ],
)
def test_references_without_an_applicable_clustering_are_refused(reference, new, change, error, message):
    # Domains of different sizes, so that another order is noticed.
    reference = reference[2:].copy() if change is another_order else reference
    tl.domains(reference, "Z", 4, n_init=2)
    change(reference)
    before = new.copy()
    with pytest.raises(error, match=message) as caught:
        tl.predict_domains(new, reference)
    assert_one_sentence(caught.value)
    assert_unchanged(new, before)


def test_the_key_of_an_entry_is_refused(reference, new):
    with pytest.raises(ValueError, match="`reference_key` is 'spatial_domain'"):
        tl.predict_domains(new, reference.uns["spatial_domain"], reference_key="spatial_domain")


def test_a_model_that_keeps_no_domains_is_refused(new):
    data = datasets.synthetic_tissue(n_slices=1, n_spots=60, n_genes=40)
    SPOTSCAPE.setup_anndata(data, layer="counts")
    before = new.copy()
    with pytest.raises(ValueError, match="call `keep_domains` of the model") as caught:
        tl.predict_domains(new, SPOTSCAPE(data))
    assert_one_sentence(caught.value)
    with pytest.raises(ValueError, match="`reference_key` is 'regions', but `reference` is a model"):
        tl.predict_domains(new, SPOTSCAPE(data), reference_key="regions")
    assert_unchanged(new, before)
