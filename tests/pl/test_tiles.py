"""Tiles of the tissue image by domain, and ordered by a number."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from matplotlib.colors import to_hex
from scipy import sparse

from spotscape import pl
from spotscape.pl._colors import PALETTE


@pytest.fixture
def adata():
    """Forty spots on an image that is red on the left, where domain a is, and blue on the right."""
    x, y = np.divmod(np.arange(40), 5)
    data = AnnData(sparse.csr_matrix(np.arange(40, dtype=np.float32)[:, None]))
    data.obs_names, data.var_names = [f"spot_{k}" for k in range(40)], ["gene"]
    data.obsm["spatial"] = np.c_[x, y] * 20.0 + 10
    data.obs["spatial_domain"] = pd.Categorical(np.where(x < 4, "a", "b"), categories=["a", "b", "empty"])
    data.obs["depth"] = x.astype(float)
    image = np.zeros((100, 160, 3), dtype=np.uint8)
    image[:, :80, 0] = image[:, 80:, 2] = 255
    data.uns["spatial"] = {
        "V1": {
            "images": {"hires": image},
            "scalefactors": {"tissue_hires_scalef": 1.0, "spot_diameter_fullres": 16.0},
        }
    }
    return data


def drawn(panel):
    return np.asarray(panel.images[0].get_array())


def test_each_domain_has_a_row_in_its_color(adata):
    panels = pl.tiles(adata, n_tiles=3, scale=1, show=False)
    assert [panel.get_ylabel() for panel in panels] == ["a", "b"]
    for panel, channel in zip(panels, (0, 2), strict=True):
        strip = drawn(panel)
        assert strip.shape[1] > 3 * strip.shape[0]
        coloured = strip[(strip != 255).any(axis=2)]
        assert (coloured[:, channel] == 255).all() and not np.delete(coloured, channel, axis=1).any()
    edges = [to_hex(panel.spines["left"].get_edgecolor()) for panel in panels]
    assert edges == [color.lower() for color in PALETTE[:2]]


def test_numbers_are_drawn_from_low_to_high(adata):
    figure = pl.tiles(adata, "depth", n_tiles=5, scale=1, return_fig=True)
    (panel,) = figure.axes
    strip = drawn(panel)
    assert (strip[10, 10] == (255, 0, 0)).all() and (strip[10, -20] == (0, 0, 255)).all()
    assert panel.get_xlabel() == "0 to 7" and figure.get_suptitle() == "depth"
    assert pl.tiles(adata, "gene", n_tiles=5, scale=1, return_fig=True).axes[0].get_xlabel() == "0 to 39"


def test_features_are_found_by_name(adata):
    adata.obsm["X_image"] = np.c_[np.zeros(40), adata.obs["depth"]]
    adata.uns["X_image"] = {"names": np.array(["nothing", "mean of blue"])}
    by_feature = pl.tiles(adata, "mean of blue", n_tiles=4, show=False)
    by_column = pl.tiles(adata, "depth", n_tiles=4, show=False)
    np.testing.assert_array_equal(drawn(by_feature[0]), drawn(by_column[0]))


def test_drawn_spots_depend_on_the_seed_and_not_on_the_order(adata):
    image = adata.uns["spatial"]["V1"]["images"]["hires"]
    image[:] = np.random.default_rng(0).integers(0, 256, image.shape)
    first = drawn(pl.tiles(adata, n_tiles=3, show=False)[0])
    shuffled = adata[np.random.default_rng(0).permutation(40)].copy()
    np.testing.assert_array_equal(drawn(pl.tiles(shuffled, n_tiles=3, show=False)[0]), first)
    assert not np.array_equal(drawn(pl.tiles(adata, n_tiles=3, seed=1, show=False)[0]), first)


def test_stored_patches_and_few_spots(adata):
    adata.obsm["patches"] = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    panels = pl.tiles(adata[:22].copy(), patches_key="patches", n_tiles=6, show=False)
    strips = [drawn(panel) for panel in panels]
    assert [strip.shape[1] for strip in strips] == [6 * 9, 2 * 9]
    assert panels[0].get_xlim() == panels[1].get_xlim()
    kept = adata.obsm["patches"][[20, 21]]
    np.testing.assert_array_equal(strips[1][:, :8], kept[0])
    np.testing.assert_array_equal(strips[1][:, 9:17], kept[1])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"color": "no"}, KeyError, "`color` is 'no'"),
        ({"n_tiles": 0}, ValueError, "`n_tiles` is 0"),
        ({"scale": 0}, ValueError, "`scale` is 0"),
        ({"scale": 1, "patches_key": "patches"}, ValueError, "drawn unchanged"),
        ({"palette": "viridis", "color": "depth"}, ValueError, "`palette` was given, but 'depth' contains numbers"),
        ({"color": "nothing"}, ValueError, "No spot has both a value of 'nothing' and an image"),
        ({"patches_key": "patches"}, KeyError, "`patches_key` is 'patches'"),
        ({"seed": -1}, ValueError, "`seed` is -1"),
    ],
)
def test_bad_arguments(adata, arguments, error, message):
    adata.obs["nothing"] = np.nan
    with pytest.raises(error, match=message):
        pl.tiles(adata, **arguments)
    assert not plt.get_fignums()
