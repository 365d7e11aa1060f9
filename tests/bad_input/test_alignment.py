"""Bad input to the alignment of slices and to its figure."""

import anndata
import numpy as np
import pandas as pd
import pytest

from spotscape import pl, tl


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    names = [f"spot{i}" for i in range(65)]
    data = anndata.AnnData(obs=pd.DataFrame({"slice": np.repeat(["a", "b", "tiny"], [30, 30, 5])}, index=names))
    data.obsm["spatial"], data.obsm["X_spotscape"] = rng.normal(size=(65, 2)), rng.normal(size=(65, 4))
    data.obsm["volume"], data.obsm["broken"] = rng.normal(size=(65, 3)), np.full((65, 2), np.nan)
    data.obs["gaps"] = data.obs["slice"].where(data.obs["slice"] != "b")
    data.obs["donor"] = "one"
    return data


def content(adata):
    return [list(part) for part in (adata.obs, adata.obsm, adata.obsp, adata.uns)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"reference": "z"}, KeyError, "`reference` is 'z', which is not in .*; available: 'a', 'b', 'tiny'"),
        ({"query": "z"}, KeyError, "`query` is 'z', which is not in"),
        ({"query": ["a", "b"]}, ValueError, "`query` includes the reference 'a'"),
        ({"query": []}, ValueError, "`query` is \\[\\]; pass at least one slice"),
        ({"query": ["b", "b"]}, ValueError, "each only once"),
        ({"query": None}, ValueError, "Slice 'tiny' has 5 spots, but alignment needs at least 10"),
        ({"slice_key": "section"}, KeyError, "`slice_key` is 'section', which is not in `adata.obs`"),
        ({"slice_key": "gaps"}, ValueError, "is missing for 30 spots; assign each spot to a slice"),
        ({"slice_key": "donor", "reference": "one", "query": None}, ValueError, "at least one slice besides"),
        ({"use_rep": "X_pca"}, KeyError, "`use_rep` is 'X_pca'"),
        ({"spatial_key": "xy"}, KeyError, "`spatial_key` is 'xy'"),
        ({"spatial_key": "volume"}, ValueError, "has 3 columns, but alignment is in two dimensions"),
        ({"spatial_key": "broken"}, ValueError, "NaN|finite|missing"),
        ({"transform": "elastic"}, ValueError, "`transform` is 'elastic'; choose one of 'rigid'"),
        ({"coupling": "best"}, ValueError, "`coupling` is 'best'; choose one of 'nearest', 'transport'"),
        ({"n_neighbors": 0}, ValueError, "`n_neighbors` is 0"),
        ({"n_neighbors": 2.5}, TypeError, "`n_neighbors` is 2.5"),
        ({"seed": -1}, ValueError, "`seed` is -1"),
        ({"key_added": ""}, TypeError, "`key_added` is ''"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(adata, arguments, error, message):
    before = content(adata)
    with pytest.raises(error, match=message):
        tl.align(adata, **{"reference": "a", "query": "b"} | arguments)
    assert content(adata) == before


def test_a_figure_needs_an_alignment_with_a_placement(adata):
    with pytest.raises(KeyError, match="has no such alignment; call `spotscape.tl.align` first"):
        pl.alignment(adata)
    tl.align(adata, "a", "b", transform=None)
    with pytest.raises(ValueError, match="made with `transform=None`"):
        pl.alignment(adata)
