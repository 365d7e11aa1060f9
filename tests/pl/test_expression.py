"""Dot plots of markers, volcano plots, and bars of composition."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import spotscape as sps
from spotscape.pl._colors import PALETTE


@pytest.fixture(scope="module")
def tissue():
    adata = sps.datasets.synthetic_tissue(n_slices=4, n_spots=200, n_genes=60, n_domains=4, seed=0)
    adata.obs["condition"] = np.where(adata.obs["slice"].isin(["slice_1", "slice_3"]), "old", "new")
    sps.tl.markers(adata, "domain")
    sps.tl.differential_expression(adata, replicate="slice", domain_key="domain", reference_domain="rest")
    sps.tl.composition(adata, "domain", condition="condition", groups=("new", "old"))
    return adata


@pytest.fixture
def adata(tissue):
    return tissue.copy()


def test_dots_are_the_top_markers_of_each_domain_once(adata):
    panel = sps.pl.markers(adata, n_genes=2, show=False)[0]
    genes = [label.get_text() for label in panel.get_xticklabels()]
    assert len(set(genes)) == len(genes) == 8
    table = sps.get.markers(adata).set_index(["domain", "gene"])
    for domain, two in zip(adata.obs["domain"].cat.categories, np.reshape(genes, (4, 2)), strict=True):
        for gene in two:
            scores = table.xs(gene, level="gene")["score"]
            assert scores.idxmax() == domain
    one = sps.pl.markers(adata, domain="patch_1", n_genes=2, return_fig=True)
    assert len(one.axes[0].get_xticklabels()) == 2


def test_dots_do_not_depend_on_x_and_are_saved(adata, tmp_path):
    adata.X = adata.X * 0
    sps.pl.markers(adata, save=tmp_path / "dots.png")
    assert (tmp_path / "dots.png").stat().st_size > 5000
    assert "markers" in adata.uns and "dendrogram" not in str(list(adata.uns))


def test_dots_are_those_of_the_layer_that_was_tested(adata):
    adata.layers["raw"] = adata.layers.pop("counts")
    adata.X = adata.X * 0.5
    sps.tl.markers(adata, "domain", layer="raw")
    assert len(sps.pl.markers(adata, show=False)) > 1


def test_no_marker_is_an_error(adata):
    with pytest.raises(ValueError, match="lower `min_log2_fold_change`"):
        sps.pl.markers(adata, min_log2_fold_change=20)
    with pytest.raises(KeyError, match="`domain` is 'x'"):
        sps.pl.markers(adata, domain="x")


def test_volcano_colours_what_passes_and_names_the_first(adata):
    panel = sps.pl.volcano(adata, "layer_1", show=False, n_labels=3)[0]
    table = sps.get.differential_expression(adata, "layer_1")
    points = panel.collections[0].get_offsets()
    np.testing.assert_allclose(points[:, 0], table["log2_fold_change"])
    np.testing.assert_allclose(points[:, 1], -np.log10(table["p_value"]))
    passes = (table["p_adjusted"] <= 0.05) & (table["log2_fold_change"].abs() >= 0.5)
    colors = [to_hex(color).upper() for color in panel.collections[0].get_facecolors()]
    assert [color in PALETTE for color in colors] == passes.tolist()
    names = [text.get_text() for text in panel.texts]
    assert 1 <= len(names) <= 3 and names[0] == table["gene"][passes].iloc[0]
    assert set(names) <= set(table["gene"][passes].astype(str))


def test_volcano_has_a_panel_per_domain_and_says_what_was_tested(adata):
    panels = sps.pl.volcano(adata, key="markers", show=False)
    assert len(panels) == 4 and all("spots, not replicates" in panel.get_title() for panel in panels)
    with pytest.raises(KeyError, match="differential_expression` first"):
        sps.pl.volcano(adata, key="composition")


def test_bars_are_the_shares_with_the_colours_of_the_domains(adata):
    adata.uns["domain_colors"] = list(PALETTE[4:8])
    panel = sps.pl.composition(adata, show=False, title="four")[0]
    table = sps.get.composition(adata)
    labels = [label.get_text() for label in panel.get_xticklabels()]
    assert labels == ["slice_2\nnew", "slice_4\nnew", "slice_1\nold", "slice_3\nold"]
    heights = np.array([bar.get_height() for bar in panel.patches]).reshape(4, 4)
    first = table[table["sample"] == "slice_2"].set_index("category")["proportion"]
    np.testing.assert_allclose(heights[:, 0], first[adata.obs["domain"].cat.categories])
    np.testing.assert_allclose(heights.sum(axis=0), 1)
    assert to_hex(panel.patches[0].get_facecolor()).upper() == PALETTE[4]
