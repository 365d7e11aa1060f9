"""Windows: lattices are recognised, every ring is what its definition says, and missing sites stay missing."""

import numpy as np
import pytest

from spotscape.graph import build_windows, default_ring_weights, default_window, window_averages
from spotscape.graph._windows import ring_means


def hexagonal(n=12, *, turn=0.0, spacing=1.0):
    rows, columns = np.mgrid[:n, :n]
    xy = spacing * np.column_stack([(columns + 0.5 * (rows % 2)).ravel(), rows.ravel() * np.sqrt(3) / 2])
    return xy @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def square(n=12, *, turn=0.0):
    xy = np.stack(np.mgrid[:n, :n], axis=-1).reshape(-1, 2).astype(float)
    return xy @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def members(windows, spot, ring):
    found = windows.sites[spot, windows.rings == ring]
    return set(found[found >= 0].tolist())


def hops(xy, reach, spot, n_hops):
    """Spots that a walk along edges shorter than ``reach`` first meets after so many steps."""
    near = np.linalg.norm(xy[:, None] - xy, axis=2) < reach
    seen, frontier = {spot}, {spot}
    for _ in range(n_hops):
        frontier = {int(j) for i in frontier for j in np.flatnonzero(near[i])} - seen
        seen |= frontier
    return frontier


@pytest.mark.parametrize("turn", [0.0, 0.3, np.pi / 6])
def test_rings_of_lattices_are_walks_along_the_lattice(turn):
    for xy, name, reach in ((hexagonal(turn=turn), "hexagonal", 1.2), (square(turn=turn), "square", 1.5)):
        windows = build_windows(xy, radius=3)
        assert windows.layouts == [name]
        assert np.isclose(windows.spacings[0], 1.0)
        np.testing.assert_array_equal(windows.sites[:, 0], np.arange(len(xy)))
        for spot in (0, 17, 66, 140):
            for ring in (1, 2, 3):
                assert members(windows, spot, ring) == hops(xy, reach, spot, ring)


def test_windows_in_the_interior_of_lattices_are_full():
    middle = 6 * 12 + 6
    assert (build_windows(hexagonal(), radius=3).sites[middle] >= 0).sum() == 1 + 6 + 12 + 18
    assert (build_windows(square(), radius=3).sites[middle] >= 0).sum() == 49


def test_missing_spots_are_missing_sites():
    xy = hexagonal()
    whole, gone = build_windows(xy, radius=1), 6 * 12 + 7
    without = build_windows(np.delete(xy, gone, axis=0), radius=1)
    assert members(whole, gone - 1, 1) - {gone} == {i + (i >= gone) for i in members(without, gone - 1, 1)}
    assert (without.sites[gone - 1] == -1).sum() == 1


def test_bent_and_trembling_lattices_are_followed():
    xy = hexagonal(30, spacing=100.0)
    bent = np.column_stack([xy[:, 0] * 1.02 + 1e-5 * xy[:, 1] ** 2, xy[:, 1]])
    bent += np.random.default_rng(0).normal(0, 3.0, xy.shape)
    windows = build_windows(bent, radius=2)
    assert windows.layouts == ["hexagonal"]
    np.testing.assert_array_equal(windows.sites >= 0, build_windows(xy, radius=2).sites >= 0)


@pytest.mark.parametrize("n_columns", [2, 3])
def test_rings_of_irregular_cells_are_distances(n_columns):
    xy = np.random.default_rng(0).uniform(0, 20, (300, n_columns))
    windows = build_windows(xy, radius=2)
    distances = np.linalg.norm(xy[:, None] - xy, axis=2)
    unit = np.median(np.sort(distances, axis=1)[:, 6])
    assert windows.layouts == ["irregular"] and np.isclose(windows.spacings[0], unit)
    nearest = np.argsort(distances, axis=1)[:, : 1 + 2 * 6 * 4]
    for spot in range(0, 300, 17):
        for ring in (1, 2):
            inside = (distances[spot] > (ring - 1) * unit) & (distances[spot] <= ring * unit)
            assert members(windows, spot, ring) == set(np.flatnonzero(inside)) & set(nearest[spot]) - {spot}


def test_permuting_the_spots_permutes_the_windows_and_slices_do_not_meet():
    rng = np.random.default_rng(0)
    xy = np.concatenate([hexagonal(), square(8), rng.uniform(0, 9, (90, 2))])
    slices = np.repeat(["a", "b", "c"], [144, 64, 90])
    windows = build_windows(xy, slices, radius=2)
    assert windows.layouts == ["hexagonal", "square", "irregular"]
    there = windows.sites >= 0
    assert (slices[windows.sites] == slices[:, None])[there].all()
    order = rng.permutation(len(xy))
    permuted = build_windows(xy[order], slices[order], radius=2)
    for spot in range(0, len(xy), 7):
        for ring in range(3):
            assert {int(order[i]) for i in members(permuted, spot, ring)} == members(windows, order[spot], ring)
    alone = build_windows(xy[144:208], radius=2)
    for spot in range(0, 64, 5):
        for ring in range(3):
            assert {i + 144 for i in members(alone, spot, ring)} == members(windows, 144 + spot, ring)


def test_ring_means_are_those_of_the_spots_that_are_there():
    rng = np.random.default_rng(0)
    windows = build_windows(hexagonal(6), radius=2)
    features, present = rng.normal(size=(36, 4)).astype(np.float32), rng.random(36) < 0.6
    means, counts = ring_means(features, windows.sites, windows.rings, present)
    for spot in range(36):
        for ring in range(3):
            inside = [i for i in members(windows, spot, ring) if present[i]]
            assert counts[spot, ring] == len(inside)
            expected = features[inside].mean(axis=0) if inside else np.zeros(4)
            np.testing.assert_allclose(means[spot, ring], expected, rtol=1e-5, atol=1e-6)


def test_windows_grow_with_the_slice():
    assert [default_window(n) for n in (1, 1599, 1600, 10**6)] == [1, 1, 2, 2]


def test_a_given_layout_is_taken_and_bad_ones_are_refused():
    assert build_windows(square(), radius=1, layout="irregular").layouts == ["irregular"]
    assert build_windows(np.array([[0.0, 0.0]]), radius=2).sites.tolist() == [[0]]
    with pytest.raises(ValueError, match="`layout` is 'round'"):
        build_windows(square(), radius=1, layout="round")
    with pytest.raises(ValueError, match="coordinates have 3 columns"):
        build_windows(np.random.default_rng(0).normal(size=(9, 3)), radius=1, layout="square")
    with pytest.raises(ValueError, match="`radius` is -1"):
        build_windows(square(), radius=-1)


@pytest.mark.parametrize("layout", ["auto", "hexagonal", "irregular"])
def test_a_window_without_rings_is_the_spot_itself(layout):
    windows = build_windows(hexagonal(), radius=0, layout=layout)
    np.testing.assert_array_equal(windows.sites, np.arange(len(hexagonal()))[:, None])
    assert windows.rings.tolist() == [0]


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_weights_of_rings_fall_to_a_quarter(radius):
    weights = default_ring_weights(radius)
    assert weights[0] == 1 and (np.diff(weights) < 0).all()
    if radius:
        assert weights[-1] == 0.25


def test_window_averages_are_weighted_means_of_the_rings(monkeypatch):
    monkeypatch.setattr("spotscape.graph._windows._BLOCK", 50)
    rng = np.random.default_rng(0)
    windows = build_windows(hexagonal(), radius=2)
    features, present = rng.normal(size=(144, 3)).astype(np.float32), rng.random(144) < 0.8
    found = window_averages(features, windows, present)
    weights = default_ring_weights(2)[windows.rings]
    for i, sites in enumerate(windows.sites):
        there = (sites >= 0) & present[sites]
        np.testing.assert_allclose(
            found[i], np.average(features[sites[there]], axis=0, weights=weights[there]), rtol=1e-4
        )
