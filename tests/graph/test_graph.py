"""The spatial graph against slow, obvious definitions."""

import warnings
from itertools import combinations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial import Delaunay

from spotscape._uns import without_none
from spotscape.graph import default_n_neighbors
from spotscape.graph._build import SpatialGraph, build_spatial_graph, normalize_adjacency
from spotscape.graph._checks import check_coordinates, validate_graph
from spotscape.graph._storage import ensure_graph, read_graph, write_graph

SETTINGS = [
    {"method": "knn", "n_neighbors": 5},
    {"method": "knn"},
    {"method": "radius"},
    {"method": "radius", "radius": 2.7},
    {"method": "delaunay"},
    {"method": "delaunay", "radius": 2.0},
]


def scatter(n_spots=80, n_dimensions=2, seed=0):
    return np.random.default_rng(seed).uniform(-500, 900, (n_spots, n_dimensions))


def lattice(n_rows=9, n_cols=11):
    return np.array([(row, col) for row in range(n_rows) for col in range(n_cols)])


def slow_distances(points):
    return np.array([[np.sqrt(sum((a - b) ** 2)) for b in points] for a in points])


def slow_graph(points, method="knn", n_neighbors=None, radius=None):
    """One slice without ties or coincident spots, one pair at a time."""
    n_spots = len(points)
    distances = slow_distances(points)
    others = [[j for j in range(n_spots) if j != i] for i in range(n_spots)]
    graph = np.zeros((n_spots, n_spots), dtype=bool)
    reach = (radius or 1.5) * np.median([distances[i, others[i]].min() for i in range(n_spots)])
    if method == "knn":
        for i in range(n_spots):
            k = n_neighbors or default_n_neighbors(n_spots)
            graph[i, sorted(others[i], key=lambda j: distances[i, j])[:k]] = True
    elif method == "radius":
        for i, j in combinations(range(n_spots), 2):
            graph[i, j] = distances[i, j] <= reach
    else:
        for simplex in Delaunay(points).simplices:
            for i, j in combinations(simplex, 2):
                graph[i, j] = radius is None or distances[i, j] <= reach
    return graph | graph.T


def pattern(matrix):
    """Stored entries, zeros included."""
    matrix = matrix.tocoo()
    dense = np.zeros(matrix.shape, dtype=bool)
    dense[matrix.row, matrix.col] = True
    return dense


def toy(n_spots=60):
    adata = ad.AnnData(np.ones((n_spots, 3), dtype=np.float32))
    adata.obsm["spatial"] = scatter(n_spots)
    adata.obs["slice"] = pd.Categorical(np.array(["a", "b"])[np.arange(n_spots) % 2])
    return adata


def ensure(adata, **settings):
    return ensure_graph(adata, slice_key="slice", **settings)


@pytest.mark.parametrize("n_dimensions", [2, 3])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_graph_is_the_slow_graph_in_every_slice(settings, n_dimensions):
    points = scatter(120, n_dimensions)
    slices = np.random.default_rng(1).choice(["z", "a", "m"], 120)
    graph = build_spatial_graph(points, slices, **settings)
    expected = np.zeros((120, 120), dtype=bool)
    for label in "zam":
        inside = np.flatnonzero(slices == label)
        expected[np.ix_(inside, inside)] = slow_graph(points[inside], **settings)
    np.testing.assert_array_equal(pattern(graph.connectivities), expected)
    np.testing.assert_array_equal(pattern(graph.distances), expected)
    np.testing.assert_allclose(graph.distances.toarray(), np.where(expected, slow_distances(points), 0), rtol=1e-12)
    assert graph.connectivities.format == graph.distances.format == "csr"
    assert (graph.connectivities.dtype, graph.distances.dtype) == (np.float32, np.float64)
    assert set(graph.connectivities.data) == {1.0}
    assert graph.connectivities.has_sorted_indices


def test_delaunay_edges_have_an_empty_circle():
    points = scatter(25) / 500
    expected = np.zeros((25, 25), dtype=bool)
    for triangle in combinations(range(25), 3):
        a, b, c = points[list(triangle)]
        centre = np.linalg.solve(2 * np.array([b - a, c - a]), [b @ b - a @ a, c @ c - a @ a])
        if (np.linalg.norm(points - centre, axis=1) >= np.linalg.norm(a - centre) - 1e-9).all():
            for i, j in combinations(triangle, 2):
                expected[i, j] = expected[j, i] = True
    np.testing.assert_array_equal(pattern(build_spatial_graph(points, method="delaunay").connectivities), expected)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("points", [scatter(), lattice()], ids=["scattered", "lattice with ties"])
def test_permuting_the_spots_permutes_the_graph(points, settings):
    slices = np.random.default_rng(2).integers(0, 2, len(points))
    if settings["method"] == "delaunay":
        slices[:] = 0
    order = np.random.default_rng(3).permutation(len(points))
    graph = build_spatial_graph(points, slices, **settings).distances
    permuted = build_spatial_graph(points[order], slices[order], **settings).distances
    np.testing.assert_array_equal(pattern(permuted), pattern(graph[order][:, order]))
    np.testing.assert_array_equal(permuted.toarray(), graph[order][:, order].toarray())


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_adding_a_slice_changes_no_other_slice(settings):
    points = scatter(400)
    slices = np.where(np.arange(400) % 4 == 0, "old", "new")
    old = slices == "old"
    alone = build_spatial_graph(points[old], **settings).distances
    together = build_spatial_graph(points, slices, **settings).distances
    np.testing.assert_array_equal(together[old][:, old].toarray(), alone.toarray())
    assert together[old][:, ~old].nnz == 0


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_unit_does_not_matter(settings):
    points = scatter()
    graph = build_spatial_graph(points, **settings).connectivities
    for other in (points * 1e-4, points * 300 + 1e6):
        np.testing.assert_array_equal(build_spatial_graph(other, **settings).connectivities.toarray(), graph.toarray())


def test_radius_on_a_lattice_takes_the_spots_around():
    for unit in (1, 0.1, 1 / 3):
        degrees = build_spatial_graph(lattice() * unit, method="radius").connectivities.sum(axis=1)
        assert np.max(degrees) == 8
        degrees = build_spatial_graph(lattice() * unit, method="radius", radius=1).connectivities.sum(axis=1)
        assert np.max(degrees) == 4 and np.min(degrees) == 2


def test_coincident_spots_are_neighbours_at_stored_distance_zero():
    points = np.vstack([scatter(40), np.tile([[10.0, 20.0]], (6, 1))])
    with pytest.warns(UserWarning, match="6 of 46 spots share their position"):
        graph = build_spatial_graph(points, n_neighbors=3)
    connected = pattern(graph.connectivities)
    np.testing.assert_array_equal(pattern(graph.distances), connected)
    assert not connected.diagonal().any()
    # Six at one place: each has its three neighbours among the other five.
    assert (connected[40:, 40:].sum(axis=1) >= 3).all()
    assert (graph.distances[40:, 40:].data == 0).all() and graph.distances[40:, 40:].nnz >= 18
    with pytest.warns(UserWarning, match="share their position"):
        by_radius = build_spatial_graph(points, method="radius")
    assert pattern(by_radius.distances)[40:, 40:].sum() == 30


@pytest.mark.parametrize("seed", range(3))
def test_knn_with_coincident_spots_has_the_nearest_distances(seed):
    rng = np.random.default_rng(seed)
    points = scatter(50, seed=seed)
    points = np.vstack([points, points[rng.choice(50, 10, replace=False)]])
    with pytest.warns(UserWarning):
        graph = build_spatial_graph(points, n_neighbors=4)
    distances = slow_distances(points)
    np.fill_diagonal(distances, np.inf)
    connected = pattern(graph.distances)
    for i in range(60):
        np.testing.assert_allclose(np.sort(distances[i, connected[i]])[:4], np.sort(distances[i])[:4], atol=1e-12)


def test_coincident_spots_do_not_shrink_the_radius():
    points = scatter(60)
    with pytest.warns(UserWarning):
        doubled = build_spatial_graph(np.vstack([points, points[:15]]), method="radius").connectivities
    expected = build_spatial_graph(points, method="radius").connectivities
    np.testing.assert_array_equal(doubled[:60, :60].toarray(), expected.toarray())


def test_coordinates_come_in_many_types():
    points = np.random.default_rng(0).permutation(4000)[:120].reshape(60, 2)
    expected = build_spatial_graph(points.astype(np.float64)).distances.toarray()
    frame = pd.DataFrame({"x": points[:, 0], "y": points[:, 1].astype(float)}, index=[f"spot{i}" for i in range(60)])
    for given in (
        points,
        points.astype(np.float32),
        np.asfortranarray(points),
        frame,
        frame.astype(object),
        points.tolist(),
    ):
        graph = build_spatial_graph(given)
        np.testing.assert_array_equal(graph.distances.toarray(), expected)
    assert check_coordinates(frame).dtype == np.float64


def test_default_n_neighbors_follows_the_slice():
    assert [default_n_neighbors(n) for n in (2, 4, 5, 180, 1000, 3639, 10**6)] == [1, 3, 4, 6, 9, 18, 18]
    slices = np.repeat(["small", "large"], [100, 1500])
    degrees = np.diff(build_spatial_graph(scatter(1600), slices).connectivities.indptr)
    assert degrees[:100].min() == 6 and degrees[100:].min() == 12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "nearest"}, "`method` is 'nearest'; choose one of 'knn', 'radius', 'delaunay'"),
        ({"n_neighbors": 0}, "`n_neighbors` is 0"),
        ({"n_neighbors": 30}, "`n_neighbors` is 30, but there are only 20 spots in slice 'b'; pass at most 19"),
        ({"method": "radius", "n_neighbors": 4}, '`n_neighbors` is 4, but "radius" does not use it'),
        ({"method": "delaunay", "n_neighbors": 4}, '`n_neighbors` is 4, but "delaunay" does not use it'),
        ({"radius": 2}, '`radius` is 2, but "knn" does not use it'),
        ({"method": "radius", "radius": 0}, "`radius` is 0; it must be above 0"),
        ({"method": "delaunay", "radius": -1.0}, "`radius` is -1.0; it must be above 0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        build_spatial_graph(scatter(60), np.repeat(["a", "b"], [40, 20]), **settings)


def test_settings_of_a_wrong_type():
    with pytest.raises(TypeError, match="`n_neighbors` is 4.5"):
        build_spatial_graph(scatter(), n_neighbors=4.5)
    with pytest.raises(TypeError, match="`radius` is nan"):
        build_spatial_graph(scatter(), method="radius", radius=np.nan)


def with_value(value, rows):
    points = scatter()
    points[rows, 1] = value
    return points


@pytest.mark.parametrize(
    ("coordinates", "slices", "message"),
    [
        (with_value(np.nan, [7, 9]), None, r"coordinates of 2 spots are NaN or infinite \(the first is row 7\)"),
        (with_value(-np.inf, [5]), None, r"coordinates of 1 spots are NaN or infinite \(the first is row 5\)"),
        (scatter(80, 4), None, r"shape \(80, 4\); they must have one row a spot and 2 or 3 columns"),
        (np.arange(80.0), None, r"shape \(80,\)"),
        (np.empty((0, 2)), None, "empty"),
        (scatter().astype(str), None, "they must be numbers"),
        (scatter().astype(complex), None, "they must be numbers"),
        (scatter(), np.zeros(79), r"slices have shape \(79,\) for 80 spots"),
        (scatter(), ["a"] * 78 + [None, "a"], r"slice of 1 spots is missing \(the first is row 78\)"),
        (scatter(), [0.0] * 40 + [np.nan] * 40, r"slice of 40 spots is missing \(the first is row 40\)"),
        (np.vstack([scatter(), scatter()]), None, "In the section, 160 of 160 spots share .* pass .* `slice_key`"),
        (np.vstack([scatter(), scatter()[:50]]), ["p"] * 130, "In slice 'p', 100 of 130 spots share"),
    ],
)
@pytest.mark.parametrize("function", [build_spatial_graph, check_coordinates])
def test_bad_coordinates(function, coordinates, slices, message):
    with pytest.raises(ValueError, match=message):
        function(coordinates, slices)


def test_sections_on_one_another_are_fine_as_slices():
    points = np.vstack([scatter(), scatter()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_coordinates(points, np.repeat([0, 1], 80))


@pytest.mark.parametrize("method", ["knn", "radius", "delaunay"])
def test_single_spot(method):
    with pytest.raises(ValueError, match="single spot in slice 'lonely'"):
        build_spatial_graph(scatter(), ["a"] * 79 + ["lonely"], method=method)


def test_radius_that_would_fill_the_memory():
    with pytest.raises(
        ValueError, match="`radius` is 1000.0 and gives a spot of the section 2999 neighbours on average"
    ):
        build_spatial_graph(scatter(3000), method="radius", radius=1000)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.column_stack([np.arange(20.0), 3 * np.arange(20.0) + 1e5]), "lie on one line"),
        (np.column_stack([scatter(20), np.full(20, 7.0)]), "lie on one plane"),
        (scatter(2), "The section has 2 spots; a Delaunay triangulation in 2 dimensions needs at least 3"),
        (scatter(3, 3), "The section has 3 spots; a Delaunay triangulation in 3 dimensions needs at least 4"),
    ],
)
def test_delaunay_of_degenerate_slices(points, message):
    with pytest.raises(ValueError, match=f'{message}.*use "knn"'):
        build_spatial_graph(points, method="delaunay")


def test_delaunay_of_coincident_spots():
    points = scatter(40)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="The section has 3 spots at a position"):
        build_spatial_graph(np.vstack([points, points[:3]]), method="delaunay")


def test_normalized_adjacency_is_the_dense_formula():
    graph = build_spatial_graph(scatter(), [0] * 30 + [1] * 50, n_neighbors=3).connectivities
    before = graph.copy()
    loops = graph.toarray().astype(float) + np.eye(80)
    root = np.diag(loops.sum(axis=1) ** -0.5)
    normalized = normalize_adjacency(graph)
    np.testing.assert_allclose(normalized.toarray(), root @ loops @ root, rtol=1e-6)
    assert normalized.dtype == np.float32 and normalized.format == "csr" and normalized.has_sorted_indices
    np.testing.assert_array_equal(graph.toarray(), before.toarray())
    isolated = normalize_adjacency(sparse.csr_matrix((3, 3), dtype=np.float32))
    np.testing.assert_array_equal(isolated.toarray(), np.eye(3))
    with pytest.raises(ValueError, match="self-loops"):
        normalize_adjacency(normalized)
    with pytest.raises(ValueError, match=r"shape \(80, 79\); pass a sparse square matrix"):
        normalize_adjacency(graph[:, :79])


def test_validate_graph_cleans():
    graph = build_spatial_graph(scatter(), n_neighbors=3).connectivities
    dirty = graph.tolil() * 0.25
    dirty.setdiag(2)
    dirty[0, 70] = dirty[70, 0] = 1
    dirty = dirty.tocsc()
    dirty.data[dirty.data == 1] = 0
    before = dirty.copy()
    clean = validate_graph(dirty)
    np.testing.assert_array_equal(pattern(clean), pattern(graph))
    assert clean.dtype == np.float32 and clean.format == "csr" and set(clean.data) == {1.0}
    assert (dirty != before).nnz == 0
    assert validate_graph(sparse.csr_array(graph > 0)).dtype == np.float32


def spoiled(row, col, value, mirror=True):
    graph = build_spatial_graph(scatter(), np.repeat([0, 1], 40), n_neighbors=3).connectivities.tolil()
    graph[row, col] = value
    if mirror:
        graph[col, row] = value
    return graph.tocsr()


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (np.eye(80), "is a ndarray; pass a sparse matrix"),
        (sparse.eye(80, 79).tocsr(), r"shape \(80, 79\); it must be square"),
        (sparse.eye(79).tocsr(), r"slices have shape \(80,\) for 79 spots"),
        (spoiled(0, 1, np.nan), "2 NaN or infinite weights"),
        (spoiled(0, 1, -1), "2 negative weights"),
        (spoiled(2, 45, 1), "1 edges that join two slices"),
    ],
)
def test_validate_graph_refuses(graph, message):
    with pytest.raises(ValueError, match=message):
        validate_graph(graph, np.repeat([0, 1], 40))


def test_write_and_read_graph():
    adata = toy()
    assert read_graph(adata) is None
    graph = build_spatial_graph(adata.obsm["spatial"])
    write_graph(adata, graph, key="mine")
    assert adata.uns["mine_neighbors"]["params"] == without_none(graph.params)
    assert read_graph(adata) is None
    assert (read_graph(adata, "mine") != graph.connectivities).nnz == 0
    del adata.uns["mine_neighbors"]
    assert (read_graph(adata, "mine") != graph.connectivities).nnz == 0
    adata.obsp["mine_connectivities"] = graph.connectivities.toarray()
    with pytest.raises(ValueError, match="is a ndarray; store a sparse matrix"):
        read_graph(adata, "mine")
    small = SpatialGraph(graph.connectivities[:5, :5], graph.distances[:5, :5])
    with pytest.raises(ValueError, match=r"shape \(5, 5\), but `adata` has 60 spots"):
        write_graph(adata, small, key="new")
    assert "new_neighbors" not in adata.uns


def test_ensure_graph_reuses_only_the_same_graph():
    adata = toy()
    first = ensure(adata, n_neighbors=5)
    # A mark on the stored graph shows whether it is built again.
    adata.obsp["spatial_connectivities"].data[0] = 5
    assert ensure(adata, n_neighbors=5).data[0] == 5
    assert ensure(adata, n_neighbors=7).nnz > first.nnz
    assert ensure(adata).nnz == ensure(adata, n_neighbors=6).nnz
    assert (ensure(adata) != first).nnz > 0 and "n_neighbors" not in adata.uns["spatial_neighbors"]["params"]
    assert ensure(adata, method="radius").nnz == ensure(adata, method="radius", radius=1.5).nnz

    ensure(adata, n_neighbors=5)
    adata.obsm["spatial"][3] += 400
    assert (ensure(adata, n_neighbors=5) != first).nnz > 0
    adata.obs["slice"] = adata.obs["slice"].cat.rename_categories({"a": "x", "b": "y"})
    adata.obsp["spatial_connectivities"].data[0] = 5
    assert ensure(adata, n_neighbors=5).data[0] == 5, "names of slices do not matter"
    adata.obs["slice"] = ["x"] * 30 + ["y"] * 30
    graph = ensure(adata, n_neighbors=5)
    assert graph[:30, 30:].nnz == 0 and set(graph.data) == {1.0}
    half = adata[10:50].copy()
    np.testing.assert_array_equal(
        ensure(half, n_neighbors=5).toarray(),
        build_spatial_graph(half.obsm["spatial"], half.obs["slice"], n_neighbors=5).connectivities.toarray(),
    )


def test_ensure_graph_leaves_the_graphs_of_others():
    adata = toy()
    foreign = build_spatial_graph(adata.obsm["spatial"], adata.obs["slice"], n_neighbors=7).connectivities
    adata.obsp["spatial_connectivities"] = foreign
    with pytest.raises(ValueError, match='made elsewhere; use "precomputed" .* another `graph_key`'):
        ensure(adata)
    adata.uns["spatial_neighbors"] = {"params": {"n_neighbors": 7}}
    with pytest.raises(ValueError, match="made elsewhere"):
        ensure(adata)
    assert (ensure(adata, method="precomputed") != foreign).nnz == 0
    ensure(adata, key="own")
    assert adata.uns["spatial_neighbors"] == {"params": {"n_neighbors": 7}}
    assert {"own_connectivities", "own_distances"} < set(adata.obsp)


def test_precomputed_graph():
    adata = toy()
    with pytest.raises(ValueError, match=r'needs a graph in `adata.obsp\["spatial_connectivities"\]`'):
        ensure(adata, method="precomputed")
    write_graph(adata, build_spatial_graph(adata.obsm["spatial"]))
    with pytest.raises(ValueError, match="edges that join two slices"):
        ensure(adata, method="precomputed")
    for settings in ({"n_neighbors": 4}, {"radius": 2.0}):
        with pytest.raises(ValueError, match='"precomputed" does not use it'):
            ensure(adata, method="precomputed", **settings)
    graph = ensure_graph(adata, method="precomputed")
    assert (graph != adata.obsp["spatial_connectivities"]).nnz == 0


def test_ensure_graph_writes_nothing_when_it_fails():
    adata = toy()
    with pytest.raises(ValueError, match="only 30 spots"):
        ensure(adata, n_neighbors=40)
    assert not adata.obsp and not adata.uns


def test_graph_survives_a_file(tmp_path):
    adata = toy()
    first = ensure(adata)
    adata.write_h5ad(tmp_path / "spots.h5ad")
    adata = ad.read_h5ad(tmp_path / "spots.h5ad")
    adata.obsp["spatial_connectivities"].data[0] = 5
    again = ensure(adata)
    assert again.data[0] == 5 and (pattern(again) == pattern(first)).all()


# Newer releases of squidpy have one function for each kind of graph; this one is in all of them.
@pytest.mark.filterwarnings("ignore:Calling `spatial_neighbors` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "settings", [{"coord_type": "generic", "delaunay": True}, {"coord_type": "generic", "radius": 300.0}], ids=str
)
def test_squidpy_graph_is_taken(settings):
    squidpy = pytest.importorskip("squidpy")
    adata = toy()
    squidpy.gr.spatial_neighbors(adata, library_key="slice", **settings)
    with pytest.raises(ValueError, match="made elsewhere"):
        ensure(adata)
    graph = ensure(adata, method="precomputed")
    np.testing.assert_array_equal(pattern(graph), adata.obsp["spatial_connectivities"].toarray() > 0)
    if "delaunay" in settings:
        own = build_spatial_graph(adata.obsm["spatial"], adata.obs["slice"], method="delaunay")
        np.testing.assert_array_equal(pattern(own.connectivities), pattern(graph))


@pytest.mark.filterwarnings("ignore:Calling `spatial_neighbors` is deprecated:FutureWarning")
def test_squidpy_nearest_neighbours_gain_their_reverse_edges():
    squidpy = pytest.importorskip("squidpy")
    adata = toy()
    squidpy.gr.spatial_neighbors(adata, library_key="slice", coord_type="generic", n_neighs=5)
    stored = adata.obsp["spatial_connectivities"].copy()
    assert (stored != stored.T).nnz
    own = build_spatial_graph(adata.obsm["spatial"], adata.obs["slice"], n_neighbors=5).connectivities
    np.testing.assert_array_equal(ensure(adata, method="precomputed").toarray(), own.toarray())
    assert (adata.obsp["spatial_connectivities"] != stored).nnz == 0


@pytest.mark.data
def test_real_sections(section, data_file):
    positions = pd.read_csv(data_file("dlpfc_12slices_labels_positions.csv.gz"))
    hexagons = section("dlpfc_151673_hvg").obsm["spatial"]
    for method in ("radius", "delaunay"):
        degrees = np.diff(build_spatial_graph(hexagons, method=method).connectivities.indptr)
        assert np.median(degrees) == 6
    assert np.diff(build_spatial_graph(hexagons, method="radius").connectivities.indptr).max() == 6
    assert len(positions) == 47681
    cells = section("osmfish_sscortex").obsm["spatial"]
    with pytest.warns(UserWarning, match="share their position"):
        graph = build_spatial_graph(cells)
    assert np.diff(graph.connectivities.indptr).min() >= 18 and (graph.distances.data == 0).any()
    with pytest.raises(ValueError, match="pass .* `slice_key`"):
        build_spatial_graph(np.vstack([hexagons, hexagons]))
