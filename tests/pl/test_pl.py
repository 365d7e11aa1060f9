import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy import sparse

from spotscape import pl
from spotscape.pl._colors import PALETTE, UNANNOTATED
from spotscape.pl._map import tiling_diameter


@pytest.fixture
def adata():
    x, y = np.divmod(np.arange(36), 6)
    rng = np.random.default_rng(0)
    data = anndata.AnnData(X=sparse.csr_matrix(rng.poisson(2.0, (72, 5)).astype(np.float32)))
    data.obsm["spatial"] = np.tile(np.c_[x, y] * 10.0, (2, 1))
    data.obsm["X_spotscape"] = rng.normal(size=(72, 4))
    data.obs["slice"] = pd.Categorical(np.repeat(["left", "right"], 36))
    data.obs["spatial_domain"] = pd.Categorical(np.tile(np.repeat(["1", "2", "3"], 12), 2))
    data.obs["score"] = rng.normal(size=72)
    data.layers["twice"] = data.X * 2
    return data


def discs(panel):
    return panel.collections[0]


def face_names(panel):
    return [to_hex(face) for face in discs(panel).get_facecolors()]


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_one_panel_per_slice_with_shared_colors(adata):
    figure = pl.domains(adata, return_fig=True)
    assert [panel.get_title() for panel in figure.axes] == ["left", "right"]
    expected = [PALETTE[int(domain) - 1].lower() for domain in adata.obs["spatial_domain"][:36]]
    for panel in figure.axes:
        assert face_names(panel) == expected
        np.testing.assert_array_equal(discs(panel).get_offsets(), adata.obsm["spatial"][:36])
        assert panel.get_aspect() == 1 and panel.yaxis_inverted() and not len(panel.get_xticks())
    assert legend_texts(figure) == ["1", "2", "3"]
    assert adata.uns["spatial_domain_colors"] == [color.lower() for color in PALETTE[:3]]


def test_a_slice_without_some_domains_keeps_the_colors(adata):
    adata = adata[~((adata.obs["slice"] == "right") & (adata.obs["spatial_domain"] == "1"))].copy()
    right = pl.domains(adata, show=False)[1]
    assert set(face_names(right)) == {PALETTE[1].lower(), PALETTE[2].lower()}


def test_unannotated_spots_are_grey_and_drawn_first(adata):
    adata.obs.loc[adata.obs_names[5], "spatial_domain"] = None
    left, right = pl.domains(adata, show=False)
    assert face_names(left)[0] == UNANNOTATED.lower() and face_names(left).count(UNANNOTATED.lower()) == 1
    assert UNANNOTATED.lower() not in face_names(right)
    assert legend_texts(left.figure)[-1] == "not annotated"
    assert len(adata.uns["spatial_domain_colors"]) == 3


def test_slices_are_found(adata):
    adata.obs["animal"] = pd.Categorical(np.repeat(["a", "b", "c"], 24))
    assert len(pl.domains(adata, slice_key="animal", show=False)) == 3
    adata.uns["spatial_neighbors"] = {"params": {"slice_key": "animal"}}
    assert len(pl.domains(adata, show=False)) == 3
    del adata.obs["slice"], adata.uns["spatial_neighbors"]
    assert len(pl.domains(adata, show=False)) == 1


def test_panels_are_arranged_in_rows(adata):
    adata.obs["slice"] = pd.Categorical(np.arange(72) % 5)
    figure = pl.domains(adata, ncols=2, return_fig=True)
    assert len(figure.axes) == 5
    assert figure.axes[0].get_subplotspec().get_geometry()[:2] == (3, 2)


@pytest.mark.parametrize(
    ("palette", "expected"),
    [
        (["red", "#00ff00", "blue", "black"], ["#ff0000", "#00ff00", "#0000ff"]),
        ({"1": "red", "2": "lime", "3": "blue"}, ["#ff0000", "#00ff00", "#0000ff"]),
        ("tab10", ["#1f77b4", "#ff7f0e", "#2ca02c"]),
    ],
)
def test_palette(adata, palette, expected):
    pl.domains(adata, palette=palette, show=False)
    assert adata.uns["spatial_domain_colors"] == expected
    # Without a palette, the stored colours are used again.
    left, _ = pl.domains(adata, show=False)
    assert face_names(left)[::12] == expected


def test_stored_colors_of_another_number_of_domains_are_not_used(adata):
    adata.uns["spatial_domain_colors"] = ["red", "blue"]
    pl.domains(adata, show=False)
    assert adata.uns["spatial_domain_colors"] == [color.lower() for color in PALETTE[:3]]


@pytest.mark.parametrize("n_categories", [24, 40])
def test_many_categories_have_different_colors(adata, n_categories):
    adata.obs["many"] = pd.Categorical(np.arange(72) % n_categories)
    pl.domains(adata, "many", show=False)
    assert len(set(adata.uns["many_colors"])) == n_categories


def test_text_is_drawn_and_not_changed(adata):
    adata.obs["text"] = np.repeat(["b", "a"], 36).astype(object)
    before = adata.obs["text"].copy()
    left, right = pl.domains(adata, "text", show=False)
    assert set(face_names(left)) == {PALETTE[1].lower()} and set(face_names(right)) == {PALETTE[0].lower()}
    pd.testing.assert_series_equal(adata.obs["text"], before)
    assert "text_colors" not in adata.uns


@pytest.mark.parametrize(("color", "layer", "factor"), [("score", None, 1), ("3", None, 1), ("3", "twice", 2)])
def test_numbers_share_one_scale(adata, color, layer, factor):
    values = adata.obs[color] if color == "score" else factor * adata[:, "3"].X.toarray().ravel()
    figure = pl.domains(adata, color, layer=layer, return_fig=True)
    left, right, bar = figure.axes
    assert bar.get_ylim() == pytest.approx((values.min(), values.max()))
    color_map, scaled = plt.colormaps["viridis"], (values - values.min()) / np.ptp(values)
    expected = np.asarray(color_map(np.sort(scaled[36:])))
    np.testing.assert_allclose(discs(right).get_facecolors(), expected)
    assert f"{color}_colors" not in adata.uns


def test_limits_and_missing_numbers(adata):
    adata.obs.loc[adata.obs_names[0], "score"] = np.nan
    left, *_ = pl.domains(adata, "score", vmin=-1, vmax=1, cmap="magma", show=False)
    assert face_names(left)[0] == UNANNOTATED.lower()
    assert left.figure.axes[-1].get_ylim() == (-1, 1)


def test_legend_and_titles(adata):
    figure = pl.domains(adata, legend=False, title="tissue", return_fig=True)
    assert not figure.legends and figure.get_suptitle() == "tissue"
    assert len(pl.domains(adata, "score", legend=False, return_fig=True).axes) == 2
    assert [panel.get_title() for panel in pl.domains(adata, title=["a", "b"], show=False)] == ["a", "b"]


def test_spots_of_a_grid_leave_no_gaps():
    x, y = np.divmod(np.arange(400), 20)
    # A little more than the diagonal of the square, and than the circumcircle of the hexagon.
    assert np.sqrt(2) * 7 <= tiling_diameter(np.c_[x, y] * 7.0) < 1.1 * np.sqrt(2) * 7
    hexagonal = np.c_[x + 0.5 * (y % 2), y * np.sqrt(3) / 2]
    assert 2 / np.sqrt(3) <= tiling_diameter(hexagonal) < 1.1 * 2 / np.sqrt(3)
    scattered = np.random.default_rng(0).random((2000, 2))
    assert 0.5 / np.sqrt(2000) < tiling_diameter(scattered) < 1.5 / np.sqrt(2000)
    assert tiling_diameter(np.zeros((3, 2))) == 1.0
    assert tiling_diameter(np.array([[0.0, 0.0], [3.0, 4.0]])) > 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"color": "spatial_domains"}, KeyError, "did you mean 'spatial_domain'"),
        ({"color": ["score", 3]}, TypeError, "`color` is 3"),
        ({"slice_key": "section"}, KeyError, "`slice_key` is 'section'"),
        ({"spatial_key": "xy"}, KeyError, "`spatial_key` is 'xy'"),
        ({"color": "3", "layer": "log"}, KeyError, "`layer` is 'log'"),
        ({"layer": "twice"}, ValueError, "column of `adata.obs`; omit `layer`"),
        ({"spot_size": 0}, ValueError, "`spot_size` is 0"),
        ({"ncols": 0}, ValueError, "`ncols` is 0"),
        ({"palette": "nosuch"}, ValueError, "not a matplotlib colour map"),
        ({"palette": ["red"]}, ValueError, "has 1 colours for 3 categories"),
        ({"palette": {"1": "red"}}, ValueError, "no colour for '2'"),
        ({"palette": ["red", "blue", "nosuch"]}, ValueError, "'nosuch', which is not a matplotlib colour"),
        ({"cmap": "magma"}, ValueError, "are for numbers"),
        ({"color": "score", "palette": ["red"]}, ValueError, "contains numbers; pass `cmap`"),
        ({"color": "score", "vmin": 2, "vmax": 1}, ValueError, "`vmin` is 2"),
        ({"title": ["a"]}, ValueError, "`title` has 1 entries for 2 panels"),
    ],
)
def test_bad_arguments_of_the_map(adata, arguments, error, message):
    with pytest.raises(error, match=message):
        pl.domains(adata, **arguments)
    assert not adata.uns and not plt.get_fignums()


def test_missing_coordinates_and_slices_are_refused(adata):
    adata.obsm["spatial"][4, 0] = np.nan
    with pytest.raises(ValueError, match="missing or infinite for 1 spots"):
        pl.domains(adata)
    adata.obsm["line"] = np.zeros((72, 1))
    with pytest.raises(ValueError, match="a map needs two columns"):
        pl.domains(adata, spatial_key="line")
    adata.obs.loc[adata.obs_names[0], "slice"] = None
    with pytest.raises(ValueError, match="is missing for 1 spots"):
        pl.domains(adata)


@pytest.fixture
def figure_folder(tmp_path):
    from scanpy import settings

    kept = settings.figdir, settings.file_format_figs
    settings.figdir, settings.file_format_figs = tmp_path / "figures", "svg"
    yield tmp_path / "figures"
    settings.figdir, settings.file_format_figs = kept


def test_figures_are_saved_as_in_scanpy(adata, tmp_path, figure_folder):
    assert pl.domains(adata, save=True) is None
    pl.domains(adata, save="_cortex.png")
    pl.domains(adata, save=tmp_path / "mine" / "map.pdf")
    pl.domains(adata, save=f"{tmp_path}/map.png")
    assert sorted(path.name for path in figure_folder.iterdir()) == ["spatial.svg", "spatial_cortex.png"]
    assert (tmp_path / "mine" / "map.pdf").exists() and (tmp_path / "map.png").exists()
    assert not plt.get_fignums()


def curve(values, key, unit="epoch"):
    index = pd.RangeIndex(len(values), name=unit)
    return pd.DataFrame({key: pd.Series(values, dtype=object, index=index)})


@pytest.fixture
def recorded():
    rng = np.random.default_rng(0)
    keys = ["train_loss_epoch", "validation_loss", "elbo_train", "elbo_validation", "kl_weight"]
    return {key: curve(list(rng.normal(size=40)), key) for key in keys} | {"once_train": curve([1.0], "once_train")}


def test_history_has_one_panel_per_quantity(recorded):
    panels = pl.history(recorded, show=False, window=5, mark=20)
    assert [panel.get_title() for panel in panels] == ["loss", "elbo", "kl weight"]
    thin, thick, *_, mark = panels[0].lines
    values = recorded["train_loss_epoch"].iloc[:, 0].astype(float)
    np.testing.assert_allclose(thin.get_ydata(), values)
    assert thick.get_ydata()[10] == pytest.approx(values[8:13].mean())
    assert list(mark.get_xdata()) == [20, 20]
    assert len(panels[0].lines) == 5 and len(panels[2].lines) == 3


def test_history_of_a_model_and_chosen_keys(recorded):
    class Model:
        history = recorded

    panels = pl.history(Model(), keys=["elbo_train", "once_train"], window=1, show=False)
    assert [panel.get_title() for panel in panels] == ["elbo", "once"]
    assert len(panels[0].lines) == 1
    assert list(recorded["elbo_train"].dtypes) == [object]


@pytest.mark.parametrize(
    ("history", "arguments", "error", "message"),
    [
        (3, {}, TypeError, "pass a trained model or its `history`"),
        ({}, {}, ValueError, "has no values|without values"),
        ({"a": curve([None], "a")}, {"keys": ["a"]}, ValueError, "has no values|without values"),
        ({"a": curve(["x", "y"], "a")}, {}, ValueError, "'a' is not numeric"),
        ({"a": curve([1, 2], "a")}, {"keys": ["b"]}, KeyError, "'b', which is not in `history`"),
        ({"a": curve([1, 2], "a")}, {"keys": "a"}, TypeError, "pass a list of names"),
        ({"a": curve([1, 2], "a")}, {"window": 0}, ValueError, "`window` is 0"),
        ({"a": curve([1, 2], "a")}, {"mark": -1}, ValueError, "`mark` is -1"),
    ],
)
def test_bad_arguments_of_the_history(history, arguments, error, message):
    with pytest.raises(error, match=message):
        pl.history(history, **arguments)


def test_untrained_model_has_no_history():
    class Model:
        history = None

    with pytest.raises(ValueError, match=r"call its `train\(\)` first"):
        pl.history(Model())


def test_embedding_draws_the_first_components_and_writes_nothing(adata):
    adata.uns["slice_colors"] = ["#ff0000", "#0000ff"]
    before = adata.copy()
    panels = pl.embedding(adata, method="pca", show=False)
    assert [panel.get_title() for panel in panels] == ["spatial_domain", "slice"]
    centred = adata.obsm["X_spotscape"] - adata.obsm["X_spotscape"].mean(axis=0)
    expected = abs(centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T)
    drawn = abs(np.asarray(panels[1].collections[0].get_offsets()))
    order = np.abs(drawn[:, None] - expected).sum(axis=2).argmin(axis=1)
    np.testing.assert_allclose(drawn, expected[order])
    assert sorted(order) == list(range(72))
    faces = [to_hex(face) for face in panels[1].collections[0].get_facecolors()]
    assert faces == ["#ff0000" if spot < 36 else "#0000ff" for spot in order]
    for part in ("obs", "uns", "obsm", "obsp"):
        assert list(getattr(adata, part)) == list(getattr(before, part))


def test_embedding_by_umap(adata):
    before = adata.copy()
    figure = pl.embedding(adata, color=["spatial_domain", "score", "3"], layer="twice", n_neighbors=10, return_fig=True)
    assert len(figure.axes) == 5
    assert figure.axes[0].xaxis.get_label().get_text() == "UMAP1"
    assert list(adata.uns) == list(before.uns) and list(adata.obsp) == [] and list(adata.obsm) == list(before.obsm)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "tsne"}, ValueError, "`method` is 'tsne'"),
        ({"use_rep": "X_no"}, KeyError, "`use_rep` is 'X_no'"),
        ({"method": "pca", "n_neighbors": 5}, ValueError, "`n_neighbors` is 5, which only applies to method 'umap'"),
        ({"n_neighbors": 72}, ValueError, "`n_neighbors` is 72"),
        ({"point_size": 0}, ValueError, "`point_size` is 0"),
        ({"color": []}, ValueError, "`color` is empty"),
        ({"color": "nosuch"}, KeyError, "neither a column"),
        ({"cmap": "magma"}, ValueError, "every `color` has categories"),
        ({"color": "score", "palette": "tab10"}, ValueError, "every `color` contains numbers"),
        ({"layer": "twice"}, ValueError, "every `color` is a column"),
    ],
)
def test_bad_arguments_of_the_embedding(adata, arguments, error, message):
    with pytest.raises(error, match=message):
        pl.embedding(adata, **arguments)


def test_embedding_needs_spots_dimensions_and_colors(adata):
    with pytest.raises(ValueError, match="only 2 spots"):
        pl.embedding(adata[:2].copy())
    adata.obsm["one"] = np.arange(72.0)[:, None]
    with pytest.raises(ValueError, match="has one dimension"):
        pl.embedding(adata, "one")
    del adata.obs["spatial_domain"], adata.obs["slice"]
    with pytest.raises(KeyError, match="neither 'spatial_domain' nor 'slice'"):
        pl.embedding(adata)


@pytest.mark.data
def test_sections_of_different_size_have_spots_of_their_own_size(section):
    panels = pl.domains(section("starmap_mpfc_3slices"), "domain", show=False)
    assert [panel.get_title() for panel in panels] == ["BZ14", "BZ5", "BZ9"]
    assert sum(len(discs(panel).get_offsets()) for panel in panels) == 3190
    assert discs(panels[0]).get_rasterized() is False


def test_names_with_dollar_signs_are_drawn_as_text(adata):
    names = [r"$\wrong{$", "$a_b$", "3"]
    adata.obs["spatial_domain"] = adata.obs["spatial_domain"].cat.rename_categories(names)
    adata.obs["slice"] = adata.obs["slice"].cat.rename_categories([r"$\frac$", "right $x$"])
    for figure in (pl.domains(adata, return_fig=True), pl.embedding(adata, method="pca", return_fig=True)):
        figure.canvas.draw()
        texts = figure.findobj(plt.Text)
        assert set(names) <= {text.get_text() for text in texts}
        assert not any(text.get_parse_math() for text in texts if "$" in text.get_text())
