import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from scipy import sparse
from scipy.spatial import cKDTree

from spotscape import pl
from spotscape.pl._colors import PALETTE, UNANNOTATED
from spotscape.pl._lattice import find_lattice
from spotscape.pl._map import Tiles

ROW, COLUMN = np.divmod(np.arange(400), 20)
SQUARES = 7.0 * np.c_[COLUMN, ROW]
HEXAGONS = 7.0 * np.c_[COLUMN + 0.5 * (ROW % 2), ROW * np.sqrt(3) / 2]
CELLS = np.random.default_rng(0).uniform(0, 140, (400, 2))


def turned(points, degrees):
    angle = np.deg2rad(degrees)
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def area(outline):
    x, y = outline.T
    return 0.5 * abs(np.sum(x * np.roll(y, 1) - y * np.roll(x, 1)))


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    data = anndata.AnnData(X=sparse.csr_matrix(rng.poisson(2.0, (800, 4)).astype(np.float32)))
    data.var_names = ["A", "B", "$C_1$", "D"]
    data.obsm["spatial"] = np.r_[HEXAGONS, SQUARES]
    data.obs["slice"] = pd.Categorical(np.repeat(["left", "right"], 400))
    data.obs["truth"] = pd.Categorical(np.tile(np.repeat(list("abcd"), 100), 2))
    data.obs["score"] = rng.normal(size=800)
    data.layers["log"] = data.X.log1p()
    data.layers["counts"] = data.X.copy()
    return data


def tiles(panel):
    (found,) = (one for one in panel.collections if isinstance(one, Tiles))
    return found


def corners(panel):
    return tiles(panel).get_paths()[0].vertices[:-1]


@pytest.mark.parametrize("degrees", [0, 11, 45, 83])
@pytest.mark.parametrize(
    ("points", "shape", "tile"), [(HEXAGONS, "hexagon", 49 * np.sqrt(3) / 2), (SQUARES, "square", 49)]
)
def test_lattices_are_found_and_tiled(points, shape, tile, degrees):
    noise = np.random.default_rng(1).normal(0, 0.1, points.shape)
    lattice = find_lattice(turned(points, degrees) + noise + 1000)
    assert lattice.shape == shape and lattice.size == pytest.approx(7, rel=0.02)
    # The area of the shape is that of the plane for each spot, and its corners are equally far from three or four.
    outline = find_lattice(turned(points, degrees)).outline()
    assert area(outline) == pytest.approx(tile)
    distances = cKDTree(turned(points, degrees)).query(turned(points, degrees)[210] + outline, k=4)[0]
    np.testing.assert_allclose(distances[:, 0], distances[:, 3 if shape == "square" else 2])


def test_a_lattice_with_holes_and_a_few_spots_is_found():
    assert find_lattice(HEXAGONS[np.random.default_rng(0).uniform(size=400) < 0.8]).shape == "hexagon"
    assert find_lattice(SQUARES[:45]).shape == "square"


@pytest.mark.parametrize("points", [CELLS, SQUARES[:20], SQUARES[:1], SQUARES[[0, 0, 0]], SQUARES[:2]])
def test_what_is_on_no_lattice_is_drawn_as_circles(points):
    lattice = find_lattice(points)
    assert lattice.shape == "circle" and lattice.size > 0 and len(lattice.outline()) > 20


def test_each_slice_has_its_shape(adata):
    left, right = pl.spatial(adata, "truth", show=False)
    assert len(corners(left)) == 6 and len(corners(right)) == 4
    np.testing.assert_array_equal(tiles(left).get_offsets(), HEXAGONS)
    left, right = pl.spatial(adata, "truth", shape="circle", spot_size=3.5, show=False)
    for panel in (left, right):
        np.testing.assert_allclose(np.hypot(*corners(panel).T), 1.75)
    left, _ = pl.spatial(adata, "truth", shape="square", spot_size=2, show=False)
    assert np.ptp(corners(left), axis=0) == pytest.approx([2, 2])


def test_tiles_cover_the_tissue_in_the_picture(adata):
    section = adata[adata.obs["slice"] == "left"].copy()
    figure = pl.spatial(section, "truth", palette=["black"] * 4, legend=False, title="", return_fig=True)
    (panel,) = figure.axes
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    corner = panel.transData.transform(HEXAGONS[[0, -1]]).round().astype(int)
    (x0, x1), (y0, y1) = np.sort(corner.T)
    pixels = np.asarray(canvas.buffer_rgba())[::-1][y0:y1, x0:x1, :3]
    assert pixels.size > 10_000 and not pixels.any()


def test_several_colors_have_rows_of_slices(adata):
    figure = pl.spatial(adata, ["truth", "A", "score"], layer="log", return_fig=True)
    panels = [panel for panel in figure.axes if panel.collections and isinstance(panel.collections[0], Tiles)]
    assert [panel.get_title() for panel in panels] == ["left", "right"] * 3
    assert [part.get_suptitle() for part in figure.subfigs] == ["truth", "A (layer log)", "score"]
    assert len(figure.subfigs[0].legends) == 1
    assert [panel.get_ylabel() for panel in figure.axes if panel not in panels] == ["A (layer log)", "score"]


@pytest.mark.parametrize(
    ("layer", "unit", "titles"),
    [
        (None, None, ["truth", "A (counts)", "$C_1$ (counts)", "score"]),
        ("counts", None, ["truth", "A (counts)", "$C_1$ (counts)", "score"]),
        ("log", None, ["truth", "A (layer log)", "$C_1$ (layer log)", "score"]),
        ("log", "nats", ["truth", "A (layer log, nats)", "$C_1$ (layer log, nats)", "score (nats)"]),
    ],
)
def test_titles_have_layer_and_unit(adata, layer, unit, titles):
    section = adata[adata.obs["slice"] == "left"].copy()
    colors = ["truth", "A", "$C_1$", "score"]
    panels = pl.spatial(section, colors, layer=layer, unit=unit, show=False)
    assert [panel.get_title() for panel in panels] == titles
    panels[0].figure.canvas.draw()
    assert not any(text.get_parse_math() for text in panels[0].figure.findobj(plt.Text) if "$" in text.get_text())


def test_long_titles_are_broken(adata):
    adata.obs["slice"] = adata.obs["slice"].cat.rename_categories(["a very long name of a slice, " * 3, "right"])
    left, _ = pl.spatial(adata, "truth", show=False)
    assert left.get_title().count("\n") >= 1 and max(map(len, left.get_title().split("\n"))) < 40


def library(side, scale):
    image = np.full((side, side, 3), 200, dtype=np.uint8)
    return {"images": {"lowres": image}, "scalefactors": {"tissue_lowres_scalef": scale}}


def test_the_image_lies_beneath(adata):
    adata.uns["spatial"] = {"left": library(400, 2.0)}
    left, right = pl.spatial(adata, "truth", show=False)
    (picture,) = left.images
    assert not right.images and picture.get_zorder() < tiles(left).get_zorder()
    # Pixel 100 of the image, at scale 2, is at position 50 of the coordinates.
    x0, x1, y0, y1 = picture.get_extent()
    height, width = picture.get_array().shape[:2]
    assert (x1 - x0) / width == pytest.approx(0.5) and (y0 - y1) / height == pytest.approx(0.5)
    assert x1 <= 200 and y0 <= 200 and x0 == y1 == 0
    limits = pl.spatial(adata, "truth", image=False, show=False)[0]
    assert left.get_xlim() == limits.get_xlim() and left.get_ylim() == limits.get_ylim() and not limits.images
    assert set(tiles(left).get_facecolors()[:, 3]) == {0.7} and set(tiles(right).get_facecolors()[:, 3]) == {1.0}
    left, _ = pl.spatial(adata, "truth", alpha=0.25, show=False)
    assert set(tiles(left).get_facecolors()[:, 3]) == {0.25}


def test_the_only_image_is_that_of_the_only_slice(adata):
    section = adata[adata.obs["slice"] == "left"].copy()
    section.uns["spatial"] = {"another name": library(400, 2.0)}
    assert pl.spatial(section, "truth", image=True, show=False)[0].images
    section.uns["spatial"]["another name"]["images"]["lowres"] = np.zeros((400, 400))
    assert pl.spatial(section, "truth", image_key="lowres", show=False)[0].images
    del section.uns["spatial"]["another name"]["scalefactors"]["tissue_lowres_scalef"]
    assert not pl.spatial(section, "truth", show=False)[0].images
    with pytest.raises(KeyError, match="has no image with a scale factor"):
        pl.spatial(section, "truth", image=True)


def test_domains_take_the_colours_of_the_annotation(adata):
    # Domain 3 is mostly a, 1 is b, 2 is c and 4 is d; domain 5 lies in a, which is taken.
    domains = adata.obs["truth"].cat.rename_categories(dict(zip("abcd", "3124", strict=True))).astype(object)
    domains.iloc[:30] = "5"
    domains.iloc[100:120] = None
    adata.obs["spatial_domain"] = pd.Categorical(domains)
    pl.spatial(adata, ["truth", "spatial_domain", "score"], match_colors_to="truth", show=False)
    of_truth = dict(zip("abcd", adata.uns["truth_colors"], strict=True))
    found = dict(zip("12345", adata.uns["spatial_domain_colors"], strict=True))
    assert [found[name] for name in "3124"] == [of_truth[name] for name in "abcd"]
    assert found["5"] not in of_truth.values() and found["5"] != UNANNOTATED.lower()
    pl.spatial(adata, "spatial_domain", match_colors_to="truth", palette=["red", "lime", "blue", "black"], show=False)
    assert adata.uns["spatial_domain_colors"][2] == "#ff0000" and len(set(adata.uns["spatial_domain_colors"])) == 5


def test_the_match_is_that_of_most_spots(adata):
    # Both domains overlap "a" most, and the better total gives "a" to the second.
    adata.obs["spatial_domain"] = pd.Categorical(np.r_[np.repeat("1", 130), np.repeat("2", 670)])
    adata.obs["truth"] = pd.Categorical(np.r_[np.repeat("a", 70), np.repeat("b", 60), np.repeat("a", 670)])
    pl.spatial(adata, match_colors_to="truth", show=False)
    assert adata.uns["spatial_domain_colors"] == [PALETTE[1].lower(), PALETTE[0].lower()]


def test_domains_is_another_name(adata):
    one, other = pl.domains(adata, "truth", show=False), pl.spatial(adata, "truth", show=False)
    assert [to_hex(face) for face in tiles(one[0]).get_facecolors()] == [
        to_hex(face) for face in tiles(other[0]).get_facecolors()
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"color": []}, ValueError, "`color` is empty"),
        ({"color": ["A", "A"]}, ValueError, "a name twice"),
        ({"color": 3}, TypeError, "`color` is 3"),
        ({"color": ["A", "nothing"]}, KeyError, "'nothing', which is neither"),
        ({"shape": "triangle"}, ValueError, "`shape` is 'triangle'"),
        ({"alpha": 0}, ValueError, "`alpha` is 0"),
        ({"alpha": 1.5}, ValueError, "`alpha` is 1.5"),
        ({"spot_size": -1}, ValueError, "`spot_size` is -1"),
        ({"legend": "yes"}, TypeError, "`legend` is 'yes'"),
        ({"image": "hires"}, TypeError, "`image` is 'hires'"),
        ({"image": True}, KeyError, "has no image"),
        ({"image_key": "hires"}, KeyError, "has no image 'hires'"),
        ({"image": False, "image_key": "hires"}, ValueError, "`image` is False"),
        ({"unit": "µm"}, ValueError, "are for numbers"),
        ({"color": "A", "unit": 3}, TypeError, "`unit` is 3"),
        ({"match_colors_to": "nothing"}, KeyError, "`match_colors_to` is 'nothing'"),
        ({"match_colors_to": "score"}, ValueError, "contains numbers"),
        ({"color": ["A", "score"], "match_colors_to": "truth"}, ValueError, "no `color` has categories"),
        ({"color": ["A", "B"], "palette": ["red"]}, ValueError, "contains numbers; pass `cmap`"),
        ({"color": ["truth", "score"], "layer": "log"}, ValueError, "omit `layer`"),
        ({"title": ["a", "b", "c"]}, ValueError, "3 entries for 2 panels"),
    ],
)
def test_bad_arguments_are_refused(adata, arguments, error, message):
    with pytest.raises(error, match=message):
        pl.spatial(adata, **({"color": "truth"} | arguments))
    assert not adata.uns and not plt.get_fignums()


@pytest.mark.slow
def test_a_million_bins_are_drawn_as_pixels(tmp_path):
    n_bins = 1_000_000
    row, column = np.divmod(np.arange(n_bins), 1000)
    obs = pd.DataFrame({"domain": pd.Categorical((column // 200).astype(str))}, index=np.arange(n_bins).astype(str))
    adata = anndata.AnnData(obs=obs)
    adata.obsm["spatial"] = 8.0 * np.c_[column, row]
    pl.spatial(adata, "domain", save=tmp_path / "map.pdf")
    assert (tmp_path / "map.pdf").stat().st_size < 1e6


@pytest.mark.data
def test_real_sections_have_the_lattice_of_their_platform(section):
    for name, shape in (
        ("dlpfc_151673_hvg", "hexagon"),
        ("her2st_A1_he", "square"),
        ("starmap_visualcortex_1207_7layers", "circle"),
    ):
        assert find_lattice(np.asarray(section(name).obsm["spatial"])[:, :2]).shape == shape


def test_a_view_stays_a_view(adata):
    view = adata[adata.obs["slice"] == "left"]
    pl.spatial(view, color="truth", slice_key="slice", show=False)
    assert view.is_view
