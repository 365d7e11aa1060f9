"""The correction of slices is chosen by genes that it has not seen."""

import warnings

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import spotscape as sps
from spotscape.tl._choose_correction import _agreement


def tissue(batch_effect, **kwargs):
    return sps.datasets.synthetic_tissue(
        **({"n_slices": 2, "n_spots": 250, "n_genes": 200, "batch_effect": batch_effect, "seed": 0} | kwargs)
    )


def test_a_strong_batch_effect_is_corrected():
    adata = tissue("strong")
    assert sps.tl.choose_slice_correction(adata, "slice") == "harmony"
    stored = adata.uns["slice_correction"]
    assert stored["chosen"] == "harmony"
    assert stored["table"].loc["harmony", "agreement"] > stored["table"].loc["none", "agreement"]


def test_spots_without_genes_of_one_half_are_no_news():
    adata = tissue("none", n_genes=40)
    counts = adata.layers["counts"].toarray()
    # In any half of the genes, some of these spots have none.
    counts[:60] = 0
    counts[np.arange(60), np.arange(60) % 40] = 3
    adata.layers["counts"] = counts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sps.tl.choose_slice_correction(adata, "slice", n_splits=2)


def different_tissues():
    """Two slices that share one of five kinds of spots, each in a stripe."""
    rng = np.random.default_rng(0)
    profiles = rng.gamma(1, 1, (5, 120))
    parts, slices = [], []
    for name, kinds in (("a", (0, 1, 2)), ("b", (0, 3, 4))):
        rows, columns = np.divmod(np.arange(300), 20)
        kind = np.array(kinds)[np.minimum(rows // 5, 2)]
        parts.append(AnnData(rng.poisson(3 * profiles[kind]).astype(np.float32)))
        parts[-1].obsm["spatial"] = np.column_stack([columns, rows]) * 100.0
        slices += [name] * 300
    adata = AnnData(np.vstack([part.X for part in parts]))
    adata.obsm["spatial"] = np.vstack([part.obsm["spatial"] for part in parts])
    adata.obs["slice"] = slices
    return adata


def test_slices_that_share_little_are_left_apart():
    adata = different_tissues()
    assert sps.tl.choose_slice_correction(adata, "slice") == "none"


def test_slices_of_one_donor_do_not_decide():
    """Each donor has two slices without any difference, and the donors share one of five kinds of spots."""
    adata = different_tissues()
    rows = np.concatenate(
        [np.arange(0, 300, 2), np.arange(1, 300, 2), 300 + np.arange(0, 300, 2), np.arange(301, 600, 2)]
    )
    adata = adata[rows].copy()
    adata.obs["donor"] = np.repeat(["x", "y"], 300)
    adata.obs["slice"] = np.repeat(["x1", "x2", "y1", "y2"], 150)
    sps.tl.choose_slice_correction(adata, "slice", n_splits=1)
    slices = adata.uns["slice_correction"]["table"]
    sps.tl.choose_slice_correction(adata, "slice", donor_key="donor", n_splits=1)
    donors = adata.uns["slice_correction"]["table"]
    assert adata.uns["slice_correction"]["params"]["donor_key"] == "donor"
    assert slices.loc["none", "agreement"] > donors.loc["none", "agreement"] + 0.1


@pytest.mark.parametrize(
    ("donors", "error", "message"),
    [(["x", "y"] * 300, ValueError, "slice 'a' has 2"), (["x"] * 600, ValueError, "one value only")],
)
def test_donors_are_checked(donors, error, message):
    adata = different_tissues()
    with pytest.raises(KeyError, match="`donor_key` is 'donor'"):
        sps.tl.choose_slice_correction(adata, "slice", donor_key="donor")
    adata.obs["donor"] = donors
    with pytest.raises(error, match=message):
        sps.tl.choose_slice_correction(adata, "slice", donor_key="donor")
    assert "slice_correction" not in adata.uns


def test_the_choice_does_not_depend_on_the_order_of_the_slices_and_is_reproducible():
    adata = tissue("weak", n_slices=3)
    again = adata.copy()
    for data in (adata, again):
        sps.tl.choose_slice_correction(data, "slice", n_splits=1, seed=3)
    pd.testing.assert_frame_equal(*(data.uns["slice_correction"]["table"] for data in (adata, again)))


@pytest.mark.parametrize("donor_of", [{"a": "a", "b": "b", "c": "c"}, {"a": "x", "b": "x", "c": "y"}])
def test_agreement_equals_its_definition(donor_of):
    rng = np.random.default_rng(0)
    features, truth = rng.normal(size=(70, 3)), rng.normal(size=(70, 4))
    slices = np.repeat(["a", "b", "c"], [30, 20, 20])
    donors = np.array([donor_of[name] for name in slices])
    slow = []
    for name in donor_of:
        own, others = np.flatnonzero(slices == name), np.flatnonzero(donors != donor_of[name])
        predicted = np.array(
            [
                truth[others[np.argsort(((features[others] - features[i]) ** 2).sum(axis=1))[:15]]].mean(axis=0)
                for i in own
            ]
        )
        first, second = truth[own] - truth[own].mean(axis=0), predicted - predicted.mean(axis=0)
        slow.append((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()))
    assert _agreement(features, truth, slices, donors) == pytest.approx(np.mean(slow))


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        (lambda adata: None, {"candidates": ["none"]}, ValueError, "at least two of"),
        (lambda adata: None, {"candidates": "harmony"}, ValueError, "at least two of"),
        (lambda adata: None, {"candidates": ["none", "mnn"]}, ValueError, "'mnn'"),
        (lambda adata: None, {"slice_key": "donor"}, KeyError, "donor"),
        (lambda adata: None, {"layer": "log"}, KeyError, "log"),
        (lambda adata: None, {"spatial_key": "xy"}, KeyError, "xy"),
        (lambda adata: None, {"n_splits": 0}, ValueError, "`n_splits` is 0"),
        (lambda adata: adata.obs.__setitem__("slice", "one"), {}, ValueError, "one slice only"),
        (lambda adata: adata.layers.update({"counts": adata.layers["counts"].log1p()}), {}, ValueError, "need counts"),
        (lambda adata: adata._inplace_subset_var(np.arange(30)), {}, ValueError, "30 genes are expressed"),
    ],
)
def test_bad_input_is_refused(change, arguments, error, message):
    adata = tissue("none", n_spots=60, n_genes=60)
    adata.obs["slice"] = adata.obs["slice"].astype(str)
    change(adata)
    with pytest.raises(error, match=message):
        sps.tl.choose_slice_correction(adata, **({"slice_key": "slice"} | arguments))
    assert "slice_correction" not in adata.uns
