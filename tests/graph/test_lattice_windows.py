"""Square windows are the published lattice neighbourhoods, with gaps where a hexagonal lattice has no sites."""

import numpy as np
import pytest

from spotscape.graph import build_lattice_windows, fill_windows


def hexagonal(n_rows=9, n_columns=8, turn=0.0):
    """Positions, and array rows and columns as those of Visium."""
    row, place = (values.ravel() for values in np.mgrid[:n_rows, :n_columns])
    column = 2 * place + row % 2
    xy = 50.0 * np.column_stack([column, row * np.sqrt(3)])
    return xy @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]), row, column


def by_definition(row, column, width):
    place = {site: spot for spot, site in enumerate(zip(row, column, strict=True))}
    offsets = range(-(width // 2), width // 2 + 1)
    return np.array(
        [[place.get((r + i, c + j), -1) for i in offsets for j in offsets] for r, c in zip(row, column, strict=True)]
    )


@pytest.mark.parametrize("width", [1, 3, 7])
@pytest.mark.parametrize("layout", ["auto", "hexagonal"])
def test_hexagonal_windows_are_those_of_array_rows_and_columns(width, layout):
    xy, row, column = hexagonal()
    np.testing.assert_array_equal(
        build_lattice_windows(xy, width=width, layout=layout), by_definition(row, column, width)
    )


def test_half_of_a_hexagonal_window_is_empty():
    xy, _, _ = hexagonal()
    middle = np.flatnonzero((build_lattice_windows(xy) >= 0).sum(axis=1) == 25)
    assert len(middle) and ((build_lattice_windows(xy) >= 0).sum(axis=1) <= 25).all()


@pytest.mark.parametrize("turn", [0.1, -0.2, np.pi / 2, np.pi])
def test_turned_hexagonal_windows_keep_their_rows(turn):
    xy, row, column = hexagonal(turn=turn)
    found, expected = (
        values.reshape(-1, 7, 7) for values in (build_lattice_windows(xy), by_definition(row, column, 7))
    )
    # Rows are along the nearest axis, in its direction.
    assert np.array_equal(found, expected) or np.array_equal(found, expected[:, ::-1, ::-1])


def test_square_windows_are_squares():
    row, column = (values.ravel() for values in np.mgrid[:8, :9])
    xy = np.column_stack([100.0 * column, 100.0 * row]) + np.random.default_rng(0).normal(0, 3, (72, 2))
    np.testing.assert_array_equal(build_lattice_windows(xy, width=5), by_definition(row, column, 5))


def test_missing_spots_order_and_slices():
    xy, row, column = hexagonal()
    kept = np.random.default_rng(0).permutation(len(xy))[:60]
    xy, expected = xy[kept], by_definition(row[kept], column[kept], 7)
    np.testing.assert_array_equal(build_lattice_windows(xy), expected)
    slices = np.repeat(["b", "a"], 60)
    both = build_lattice_windows(np.vstack([xy, xy]), slices)
    np.testing.assert_array_equal(both, np.vstack([expected, np.where(expected >= 0, expected + 60, -1)]))
    assert build_lattice_windows(xy[:1], width=3).tolist() == [[-1, -1, -1, -1, 0, -1, -1, -1, -1]]


def test_what_is_no_lattice_is_refused():
    xy, _, _ = hexagonal()
    cells = np.random.default_rng(0).uniform(0, 100, (200, 2))
    slices = np.repeat(["first", "second"], [len(xy), 200])
    with pytest.raises(ValueError, match="slice 'second' are on no lattice.*`build_windows`"):
        build_lattice_windows(np.vstack([xy, cells]), slices)
    with pytest.raises(ValueError, match="3 columns"):
        build_lattice_windows(np.random.default_rng(0).normal(size=(9, 3)))
    with pytest.raises(ValueError, match="`width` is 4; pass an odd number"):
        build_lattice_windows(xy, width=4)
    with pytest.raises(ValueError, match="`layout` is 'irregular'"):
        build_lattice_windows(xy, layout="irregular")


def test_missing_sites_have_the_median_of_their_window():
    rng = np.random.default_rng(0)
    xy, _, _ = hexagonal()
    sites, present = build_lattice_windows(xy, width=5), rng.random(len(xy)) < 0.5
    present[np.r_[sites[0][sites[0] >= 0]]] = False
    features = rng.normal(size=(len(xy), 4)).astype(np.float32)
    before = features.copy()
    filled, there = fill_windows(features, sites, present, empty=0.5)
    for i, own in enumerate(sites):
        inside = [j for j in own if j >= 0 and present[j]]
        median = np.median(features[inside], axis=0) if inside else np.full(4, 0.5)
        for place, j in enumerate(own):
            assert there[i, place] == (j in inside)
            np.testing.assert_allclose(filled[i, place], features[j] if j in inside else median, rtol=1e-5, atol=1e-6)
    assert not there[0].any()
    np.testing.assert_array_equal(features, before)
