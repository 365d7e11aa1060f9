import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from scipy import sparse

from spotscape import pl
from spotscape.pl._colors import UNANNOTATED
from spotscape.pl._similarity_values import by_distance, by_domain, cosines_to, find_spot


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def adata():
    x, y = np.divmod(np.arange(36), 6)
    rng = np.random.default_rng(0)
    data = anndata.AnnData(X=sparse.csr_matrix(rng.poisson(2.0, (66, 5)).astype(np.float32)))
    data.obs_names = [f"spot_{i}" for i in range(66)]
    data.obsm["spatial"] = np.r_[np.c_[x, y], np.c_[x, y][:30] + 50.0] * 10.0
    data.obsm["X_spotscape"] = rng.normal(size=(66, 4)).astype(np.float32) + 3
    data.obsm["X_pca"] = rng.normal(size=(66, 3))
    data.obs["slice"] = pd.Categorical(np.repeat(["left", "right"], [36, 30]))
    data.obs["domain"] = pd.Categorical(np.repeat(["a", "b", "c"], 22))
    data.uns["domain_colors"] = ["#ff0000", "#00ff00", "#0000ff"]
    return data


def slow_cosines(vectors, position, center):
    vectors = np.asarray(vectors, dtype=np.float64)
    mean = sum(vectors) / len(vectors) if center else np.zeros(vectors.shape[1])
    spot = vectors[position] - mean
    return np.array([(v - mean) @ spot / (np.linalg.norm(v - mean) * np.linalg.norm(spot)) for v in vectors])


@pytest.mark.parametrize("center", [True, False])
def test_cosines_equal_their_definition(adata, center):
    vectors = adata.obsm["X_spotscape"]
    before = vectors.copy()
    cosines = cosines_to(vectors, 7, "X", center=center)
    np.testing.assert_allclose(cosines, slow_cosines(vectors, 7, center), atol=1e-12)
    assert cosines[7] == pytest.approx(1.0) and abs(cosines).max() <= 1.0
    np.testing.assert_array_equal(vectors, before)


def test_zero_vectors_have_no_cosine():
    vectors = np.array([[0.1, 0.7], [0.2, 0.4], [0.3, 0.1], [0.2, 0.4]]) + 1000 / 3
    cosines = cosines_to(vectors, 0, "X", center=True)
    np.testing.assert_array_equal(np.isnan(cosines), [False, True, False, True])
    np.testing.assert_allclose(cosines[[0, 2]], [1, -1])
    with pytest.raises(ValueError, match="`X` of spot 1 equals the mean of all spots"):
        cosines_to(vectors, 1, "X", center=True)
    with pytest.raises(ValueError, match="`X` of spot 0 is zero"):
        cosines_to(np.zeros((2, 2)), 0, "X", center=False)


def test_bins_equal_their_definition():
    rng = np.random.default_rng(0)
    distances, cosines = rng.uniform(0, 10, 300), rng.uniform(-1, 1, 300)
    distances[0] = 10.0
    distances[(distances > 4) & (distances < 6)] = 6.5
    cosines[3] = np.nan
    table = by_distance(cosines, distances, 5)
    expected = []
    for k in range(5):
        inside = (distances >= 2 * k) & ((distances < 2 * k + 2) | (k == 4)) & ~np.isnan(cosines)
        if inside.any():
            low, high = np.quantile(cosines[inside], [0.1, 0.9])
            expected.append([distances[inside].mean(), cosines[inside].mean(), low, high])
    assert len(expected) == 4
    np.testing.assert_allclose(table[["distance", "mean", "low", "high"]], expected)


def test_bins_of_spots_in_one_place_or_without_cosine():
    table = by_distance(np.array([0.1, 0.3]), np.zeros(2), 5)
    np.testing.assert_allclose(table[["distance", "mean"]], [[0.0, 0.2]])
    assert by_distance(np.full(3, np.nan), np.arange(3.0), 5).empty


def test_domains_are_summarised_in_the_order_of_their_medians():
    cosines = np.random.default_rng(0).normal(size=60)
    domains = pd.Categorical(np.resize(["a", "b", "c", None], 60), categories=["c", "b", "a", "empty"])
    cosines[domains == "a"] += 5
    cosines[0] = np.nan
    table = by_domain(cosines, domains)
    assert set(table.index) == {"a", "b", "c"} and table.index[-1] == "a"
    assert table[0.5].is_monotonic_increasing
    for name in "abc":
        of_domain = cosines[(domains == name) & ~np.isnan(cosines)]
        np.testing.assert_allclose(table.loc[name], np.quantile(of_domain, [0.1, 0.25, 0.5, 0.75, 0.9]))
    assert by_domain(np.full(60, np.nan), domains).empty


def test_the_spot_is_found(adata):
    slices, coordinates = adata.obs["slice"].cat.codes.to_numpy(), adata.obsm["spatial"]
    # The four spots around the centre of the larger slice, a grid of six by six, are equally near.
    assert find_spot(adata, None, slices, coordinates) == 14
    assert find_spot(adata, "spot_40", slices, coordinates) == 40
    assert find_spot(adata, np.int64(40), slices, coordinates) == 40


def test_a_row_for_each_representation(adata):
    before = adata.copy()
    panels = pl.similarity(adata, "spot_40", ["X_spotscape", "X_pca"], domain_key="domain", show=False)
    assert len(panels) == 8
    assert [panel.get_title() for panel in panels[:4]] == ["left", "right", "mean, 10–90 % of spots", "by domain"]
    assert [panels[0].get_ylabel(), panels[4].get_ylabel()] == ["X_spotscape", "X_pca"]
    assert panels[0].figure.get_suptitle() == "Cosine similarity to spot spot_40 (b)"
    for first, key in ((0, "X_spotscape"), (4, "X_pca")):
        left, right, curve, boxes = panels[first : first + 4]
        cosines = slow_cosines(adata.obsm[key], 40, True)
        for panel, spots in ((left, np.arange(36)), (right, np.arange(36, 66))):
            drawn = spots[np.argsort(cosines[spots])]
            np.testing.assert_array_equal(panel.collections[0].get_offsets(), adata.obsm["spatial"][drawn])
            expected = plt.colormaps["RdBu_r"]((cosines[drawn] + 1) / 2)
            np.testing.assert_allclose(panel.collections[0].get_facecolors(), expected, atol=0.02)
        assert not left.lines
        np.testing.assert_array_equal(right.lines[0].get_xydata(), adata.obsm["spatial"][[40]])
        others_of_slice = np.setdiff1d(np.arange(36, 66), 40)
        distances = np.linalg.norm(adata.obsm["spatial"][others_of_slice] - adata.obsm["spatial"][40], axis=1)
        table = by_distance(cosines[others_of_slice], distances, 20)
        np.testing.assert_allclose(curve.lines[0].get_xydata(), table[["distance", "mean"]])
        others = np.arange(66) != 40
        medians = pd.Series(cosines[others]).groupby(adata.obs["domain"][others].to_numpy(str)).median().sort_values()
        assert [label.get_text() for label in boxes.get_yticklabels()] == list(medians.index)
        faces = {name: to_hex(box.get_facecolor()) for name, box in zip(medians.index, boxes.patches, strict=True)}
        assert faces == {"a": UNANNOTATED.lower(), "b": "#00ff00", "c": UNANNOTATED.lower()}
    assert panels[2].get_ylim() == panels[6].get_ylim() and panels[3].get_xlim() == panels[7].get_xlim()
    assert list(adata.obs) == list(before.obs) and list(adata.uns) == list(before.uns)
    assert list(adata.obsm) == list(before.obsm)


def test_one_slice_without_domains(adata):
    adata = adata[:36].copy()
    del adata.obs["slice"]
    figure = pl.similarity(adata, n_bins=3, legend=False, title="mine", spot_size=2.0, return_fig=True)
    tissue, curve = figure.axes
    assert tissue.get_title() == "X_spotscape" and figure.get_suptitle() == "mine"
    assert len(curve.lines[0].get_xdata()) == 3
    np.testing.assert_allclose(np.hypot(*tissue.collections[0].get_paths()[0].vertices[0]), np.sqrt(2))


def test_scale_of_the_colors(adata):
    assert pl.similarity(adata, return_fig=True).axes[-1].get_ylim() == (-1, 1)
    rows = [slow_cosines(adata.obsm[key], 14, False) for key in ("X_spotscape", "X_pca")]
    figure = pl.similarity(adata, use_rep=["X_spotscape", "X_pca"], center=False, return_fig=True)
    for bar in figure.axes[-2:]:
        assert bar.get_ylim() == pytest.approx((np.min(rows), 1.0))
    figure = pl.similarity(adata, vmin=-0.5, vmax=0.5, cmap="magma", return_fig=True)
    assert figure.axes[-1].get_ylim() == (-0.5, 0.5)
    darkest = figure.axes[0].collections[0].get_facecolors()[0]
    np.testing.assert_allclose(darkest, plt.colormaps["magma"](0.0))


def test_maps_are_arranged_in_lines(adata):
    adata.obs["slice"] = pd.Categorical(np.arange(66) % 5)
    panels = pl.similarity(adata, use_rep=["X_pca", "X"], ncols=2, domain_key="domain", show=False)
    assert len(panels) == 14
    assert panels[0].get_subplotspec().get_geometry()[:2] == (6, 4)
    assert list(panels[12].get_subplotspec().rowspan) == [3, 4, 5]


def test_spots_without_direction_or_domain(adata):
    adata.obsm["X_pca"][3] = 0
    adata.obs.loc[adata.obs_names[[3, 14]], "domain"] = None
    left, *_, boxes = pl.similarity(adata, 14, "X_pca", center=False, domain_key="domain", show=False)
    assert to_hex(left.collections[0].get_facecolors()[0]) == UNANNOTATED.lower()
    assert left.figure.get_suptitle() == "Cosine similarity to spot spot_14"
    assert {to_hex(box.get_facecolor()) for box in boxes.patches} == {UNANNOTATED.lower()}
    # If all other spots are zero, the summaries are empty.
    adata.obsm["one"] = np.eye(66)[:, [14]]
    *_, curve, boxes = pl.similarity(adata, 14, "one", center=False, domain_key="domain", show=False)
    assert not len(curve.lines[0].get_xdata()) and not boxes.patches


def test_saved_and_many_spots_are_rasterised(tmp_path):
    n_spots = 5000
    rng = np.random.default_rng(0)
    data = anndata.AnnData(X=sparse.csr_matrix((n_spots, 1), dtype=np.float32))
    data.obsm["spatial"], data.obsm["X_spotscape"] = rng.random((n_spots, 2)), rng.normal(size=(n_spots, 2))
    assert pl.similarity(data, show=False)[0].collections[0].get_rasterized()
    assert pl.similarity(data[:50].copy(), save=tmp_path / "mine.png") is None
    assert (tmp_path / "mine.png").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"spot": "spot_400"}, KeyError, "`spot` is 'spot_400', which is not in"),
        ({"spot": 66}, ValueError, "`spot` is 66; it must be at least 0 and at most 65"),
        ({"spot": 1.5}, TypeError, "`spot` is 1.5"),
        ({"use_rep": "X_no"}, KeyError, "`use_rep` is 'X_no'"),
        ({"use_rep": []}, ValueError, "`use_rep` is empty"),
        ({"use_rep": ["X_pca", 3]}, TypeError, "`use_rep` has 3"),
        ({"use_rep": ["X_pca", "X_pca"]}, ValueError, "'X_pca' 2 times"),
        ({"use_rep": "X", "center": False}, ValueError, "may be reduced to principal components"),
        ({"center": "yes"}, TypeError, "`center` is 'yes'"),
        ({"domain_key": "domains"}, KeyError, "`domain_key` is 'domains'"),
        ({"domain_key": "score"}, ValueError, "contains numbers; make it categorical"),
        ({"domain_key": "nothing"}, ValueError, "is missing for all spots"),
        ({"slice_key": "section"}, KeyError, "`slice_key` is 'section'"),
        ({"slice_key": "own"}, ValueError, "is the only one in its slice"),
        ({"spatial_key": "xy"}, KeyError, "`spatial_key` is 'xy'"),
        ({"n_bins": 0}, ValueError, "`n_bins` is 0"),
        ({"ncols": 0}, ValueError, "`ncols` is 0"),
        ({"spot_size": 0}, ValueError, "`spot_size` is 0"),
        ({"title": ["a"]}, TypeError, "`title` is"),
        ({"vmin": 2}, ValueError, "`vmin` is 2"),
        ({"cmap": "nosuch"}, ValueError, "nosuch"),
    ],
)
def test_bad_arguments(adata, arguments, error, message):
    adata.obs["score"], adata.obs["nothing"] = 1.0, pd.Categorical([None] * 66)
    adata.obs["own"] = np.arange(66).astype(str)
    with pytest.raises(error, match=message):
        pl.similarity(adata, **arguments)
    assert not plt.get_fignums()


def test_names_that_are_not_unique_are_refused(adata):
    adata.obs_names = ["same"] * 66
    with pytest.raises(ValueError, match="66 spots have the name 'same'; pass the row number"):
        pl.similarity(adata, "same")
    assert pl.similarity(adata, 3, show=False)


@pytest.mark.data
def test_slices_of_real_tissue(section):
    data = section("starmap_mpfc_3slices")
    panels = pl.similarity(data, use_rep="X", domain_key="domain", show=False)
    assert len(panels) == 5
    assert sum(len(panel.lines) for panel in panels[:3]) == 1
