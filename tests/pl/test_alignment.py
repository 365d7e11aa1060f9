import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from spotscape import pl
from spotscape.pl._alignment import _QUERY, _REFERENCE


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def adata():
    """Reference, two queries moved away from it, and a slice that was not aligned."""
    x, y = np.divmod(np.arange(36.0), 6)
    places = np.c_[x, y]
    names = [f"spot{i}" for i in range(144)]
    data = anndata.AnnData(obs=pd.DataFrame({"slice": np.repeat(["a", "b", "c", "d"], 36)}, index=names))
    data.obsm["spatial"] = np.concatenate([places, places + 20, places - 9, places])
    data.obsm["spatial_aligned"] = np.concatenate([places, places, places + 1, np.full_like(places, np.nan)])
    data.obs["domain"] = pd.Categorical(np.tile(["x", "y"], 72))
    data.obs["depth"] = np.tile(x, 4)
    data.obs["alignment_similarity"] = np.r_[np.full(36, np.nan), np.linspace(0, 1, 72), np.full(36, np.nan)]
    data.uns["alignment"] = {
        "reference": "a",
        "query": np.array(["b", "c"]),
        "slice_key": "slice",
        "spatial_key": "spatial",
        "transform": "rigid",
        "coupling": "nearest",
        "quality": np.array([0.9, 0.4]),
    }
    return data


def test_panels_show_the_query_on_the_reference(adata):
    panels = pl.alignment(adata, show=False)
    assert len(panels) == 6
    for row, (first, moved) in enumerate([(20.0, 0.0), (-9.0, 1.0)]):
        before, after, similarity = panels[3 * row : 3 * row + 3]
        for panel, offset in ((before, first), (after, moved)):
            reference, query = panel.collections
            np.testing.assert_array_equal(reference.get_offsets(), adata.obsm["spatial"][:36])
            np.testing.assert_array_equal(query.get_offsets(), adata.obsm["spatial"][:36] + offset)
            np.testing.assert_array_equal(reference.get_facecolors()[0], to_rgba(_REFERENCE))
            np.testing.assert_array_equal(query.get_facecolors()[0], to_rgba(_QUERY))
            assert panel.get_xlim()[0] <= min(0, offset) and panel.get_xlim()[1] >= 5 + max(0, offset)
        assert len(np.unique(similarity.collections[0].get_facecolors(), axis=0)) > 20
        assert after.get_xlim() == similarity.get_xlim()
    assert panels[4].get_title() == "after, quality 0.40"


@pytest.mark.parametrize(("color", "n_colors"), [("domain", 2), ("depth", 6)])
def test_reference_and_query_are_colored_alike(adata, color, n_colors):
    panels = pl.alignment(adata, color=color, show=False)
    assert len(panels) == 10
    faces = [panels[k].collections[0].get_facecolors() for k in (3, 4)]
    assert len(np.unique(faces[0], axis=0)) == n_colors
    np.testing.assert_array_equal(*faces)
    assert pl.alignment(adata, color=color, return_fig=True) is not None
