import anndata
import numpy as np
import pandas as pd
import pytest

from spotscape import pl


@pytest.fixture
def adata():
    """Sixty spots of three domains along a line, two slices, and a made-up result."""
    position = np.linspace(0, 1, 60)
    names = ["top", "mid", "low"]
    obs = pd.DataFrame(
        {
            "slice": ["s1", "s2"] * 30,
            "layer": pd.Categorical.from_codes(np.repeat([0, 1, 2], 20), names),
            "pseudotime": position,
        },
        index=[str(row) for row in range(60)],
    )
    connectivities = np.array([[0, 0.9, 0.05], [0.9, 0, 0.4], [0.05, 0.4, 0]])
    params = {"domain_key": "layer", "use_rep": "Z", "per_slice": False}
    result = {"params": params, "domains": np.array(names), "connectivities": connectivities}
    values = {"Z": np.c_[position, position**2, 0 * position], "spatial": np.c_[position, np.arange(60) % 7]}
    return anndata.AnnData(obs=obs, obsm=values, uns={"pseudotime": result})


def edges(panel):
    (lines,) = [one for one in panel.collections if one.get_gid() == "connectivities"]
    return lines


def test_maps_and_graph_are_drawn(adata):
    panels = pl.trajectory(adata, show=False)
    assert [panel.get_title() for panel in panels] == ["s1", "s2", "UMAP and PAGA"]
    # The weak edge is left out, and widths follow the connectivities.
    np.testing.assert_allclose(edges(panels[2]).get_linewidths(), [6 * 0.9, 6 * 0.4])
    assert [text.get_text() for text in panels[2].texts] == ["top", "mid", "low"]
    assert len(edges(pl.trajectory(adata, threshold=0, show=False)[2]).get_linewidths()) == 3
    assert set(adata.uns) == {"pseudotime"} and set(adata.obsm) == {"Z", "spatial"} and not adata.obsp


def test_slices_with_their_own_trajectories_have_their_own_graphs(adata):
    result = adata.uns["pseudotime"]
    result["params"] |= {"per_slice": True, "slice_key": "slice"}
    result |= {"slices": np.array(["s1", "s2"]), "connectivities": np.array([result["connectivities"]] * 2)}
    result["connectivities"][1, 0, 1] = 0
    panels = pl.trajectory(adata, show=False)
    assert [panel.get_title() for panel in panels[2:]] == ["s1, UMAP and PAGA", "s2, UMAP and PAGA"]
    assert [len(edges(panel).get_linewidths()) for panel in panels[2:]] == [2, 1]


def test_the_figure_is_saved_and_large_data_are_sampled(adata, tmp_path):
    figure = pl.trajectory(adata, max_spots=20, return_fig=True, save=tmp_path / "x.png")
    assert len(figure.axes[2].collections[0].get_offsets()) == 20
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_arguments_out_of_range_are_refused(adata):
    for arguments in ({"threshold": 2}, {"max_spots": 1}, {"spot_size": -1}, {"seed": -1}):
        with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` is"):
            pl.trajectory(adata, **arguments)
    del adata.obsm["spatial"]
    with pytest.raises(KeyError, match="spatial"):
        pl.trajectory(adata)
