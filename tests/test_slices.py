"""The slice of each spot, as all functions read it."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from spotscape._slices import find_slice_key, need_slice_key, read_slices, requested_slices


@pytest.fixture
def adata():
    return AnnData(np.zeros((4, 1)), obs=pd.DataFrame({"donor": [2, 10, 10, 2]}, index=list("abcd")))


@pytest.mark.parametrize("recorded", ["library_key", "slice_key"])
def test_key_is_the_named_one_then_that_of_the_graph_then_slice(adata, recorded):
    assert find_slice_key(adata, None) is None
    adata.obs["slice"] = "one"
    assert find_slice_key(adata, None) == "slice"
    adata.uns["spatial_neighbors"] = {"params": {recorded: "donor"}}
    assert need_slice_key(adata, None) == "donor"
    assert need_slice_key(adata, "slice") == "slice"


def test_missing_key_lists_the_columns(adata):
    with pytest.raises(KeyError, match=r"`slice_key` is None, and `adata.obs` has no column 'slice'.*'donor'"):
        need_slice_key(adata, None)
    with pytest.raises(KeyError, match=r"`slice_key` is 'section', which is not in.*'donor'"):
        find_slice_key(adata, "section")


def test_order_of_the_slices_is_the_users(adata):
    assert list(read_slices(adata, "donor").cat.categories) == ["2", "10"]
    adata.obs["donor"] = pd.Categorical(["x", "y", "y", "x"], categories=["y", "z", "x"])
    found = read_slices(adata, "donor")
    assert list(found.cat.categories) == ["y", "x"] and found.tolist() == ["x", "y", "y", "x"]


def test_names_that_are_equal_as_strings_are_one_slice(adata):
    adata.obs["donor"] = pd.Series([1, "1", "2", 1], index=adata.obs_names, dtype=object)
    assert read_slices(adata, "donor").tolist() == ["1", "1", "2", "1"]


def test_spots_without_a_slice_are_counted(adata):
    adata.obs["donor"] = ["x", None, "y", None]
    with pytest.raises(ValueError, match=r"missing for 2 spots; assign each spot to a slice"):
        read_slices(adata, "donor")


@pytest.mark.parametrize("names", [1, 1.0, "1", [1], ("1",), np.array([1])])
def test_arguments_name_slices_by_text(names):
    assert requested_slices(names) == ["1"]


def test_bytes_are_text(adata):
    adata.obs["donor"] = pd.Series([b"x", b"x", b"y", "x"], index=adata.obs_names, dtype=object)
    assert read_slices(adata, "donor").tolist() == ["x", "x", "y", "x"]
