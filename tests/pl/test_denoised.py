"""Maps of counts beside denoised expression, and heat maps of correlations."""

import numpy as np
import pytest

import spotscape as sps


@pytest.fixture(scope="module")
def tissue():
    adata = sps.datasets.synthetic_tissue(n_slices=2, n_spots=200, n_genes=40, n_domains=4, seed=0)
    # The mean of each domain is a denoised value.
    counts = adata.layers["counts"].toarray()
    shares = 1e4 * counts / counts.sum(axis=1, keepdims=True)
    domains = adata.obs["domain"].cat.codes.to_numpy()
    means = np.array([shares[domains == code].mean(axis=0) for code in range(4)])
    adata.layers["denoised"] = means[domains]
    sps.pp.thin_counts(adata)
    return adata


@pytest.fixture
def adata(tissue):
    return tissue.copy()


def test_each_gene_has_a_row_and_each_slice_two_panels(adata):
    genes = list(adata.var_names[:3])
    panels = np.array(sps.pl.denoised(adata, genes, show=False)).reshape(3, 4)
    assert [panel.get_ylabel() for panel in panels[:, 0]] == genes
    titles = [panel.get_title() for panel in panels[0]]
    assert titles == ["slice_1\ncounts", "slice_2\ncounts", "slice_1\ndenoised", "slice_2\ndenoised"]
    n_spots = [len(panel.collections[0].get_offsets()) for panel in panels[0]]
    assert n_spots == [(adata.obs["slice"] == name).sum() for name in ("slice_1", "slice_2")] * 2
    # As many colours as domains, and many more in the counts.
    assert len(np.unique(panels[0, 2].collections[0].get_facecolors(), axis=0)) <= 4
    assert len(np.unique(panels[0, 0].collections[0].get_facecolors(), axis=0)) > 10


def test_one_slice_and_a_data_frame(adata):
    gene = adata.var_names[0]
    frame = adata[:, [gene]].to_df("denoised")
    panels = sps.pl.denoised(adata, gene, expression=frame, slices="slice_2", show=False)
    assert [panel.get_title() for panel in panels] == ["slice_2\ncounts", "slice_2\ndenoised"]
    with pytest.raises(KeyError, match="`slices` is 'slice_3'"):
        sps.pl.denoised(adata, gene, slices="slice_3")


def test_colours_end_at_the_quantile(adata):
    gene = adata.var_names[0]
    figure = sps.pl.denoised(adata, gene, quantile=0.9, return_fig=True)
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    counts = adata[:, gene].layers["counts"].toarray().ravel()
    logs = np.log1p(1e4 * counts / np.asarray(adata.layers["counts"].sum(axis=1)).ravel())
    assert bars[0].get_ylim() == pytest.approx((0, np.quantile(logs, 0.9)), rel=1e-6)
    low, high = bars[1].get_ylim()
    assert low > 0 and high <= np.log1p(adata[:, gene].layers["denoised"].max())


def test_a_rare_gene_is_still_seen(adata):
    counts = adata.layers["counts"].tolil()
    counts[:, 0] = 0
    counts[3, 0] = 5
    adata.layers["counts"] = counts.tocsr()
    adata.layers["denoised"][:, 0] = 1e4 * 5 / adata.layers["counts"][3].sum() / adata.n_obs
    figure = sps.pl.denoised(adata, adata.var_names[0], return_fig=True)
    bar = next(axes for axes in figure.axes if axes.get_label() == "<colorbar>")
    assert bar.get_ylim()[1] > 1


def test_another_unit_is_refused(adata):
    adata.layers["denoised"] = adata.layers["denoised"] / 1e4
    with pytest.raises(ValueError, match="library_size=1e4"):
        sps.pl.denoised(adata, adata.var_names[0])
    with pytest.raises(KeyError, match="`genes` is 'x'"):
        sps.pl.denoised(adata, "x")


def test_heat_maps_show_the_table(adata, tmp_path):
    genes = list(adata.var_names[:4])
    sps.tl.gene_correlations(adata, genes, layer="counts_fit", held_out="counts_held_out")
    # Few spots have no reliable genes.
    adata.uns["gene_correlations"]["table"]["noise_corrected"] = np.linspace(-1, 1, 6)
    table = sps.get.gene_correlations(adata)
    panels = sps.pl.gene_correlations(adata, show=False)
    assert [panel.get_title() for panel in panels[:4]] == ["counts", "held-out counts", "noise-corrected", "denoised"]
    for panel, column in zip(panels, table.columns[2:], strict=False):
        shown = np.ma.filled(panel.images[0].get_array(), np.nan)
        np.testing.assert_allclose(shown[0, 1:], table[column][:3])
        np.testing.assert_allclose(shown, shown.T)
    points = panels[4].collections[-1].get_offsets()
    np.testing.assert_allclose(np.ma.filled(points[:, 1], np.nan), table["denoised"])
    sps.pl.gene_correlations(adata, save=tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 5000


def test_without_held_out_counts_there_is_nothing_to_compare(adata):
    sps.tl.gene_correlations(adata, list(adata.var_names[:3]))
    assert [panel.get_title() for panel in sps.pl.gene_correlations(adata, show=False)] == ["counts", "denoised"]
