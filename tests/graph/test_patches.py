"""Patches are compact, even, of one slice, and the same however the spots are ordered."""

import numpy as np
import pytest

from spotscape.graph import cut_into_patches


@pytest.fixture
def tissue():
    rng = np.random.default_rng(0)
    return rng.random((1003, 2)) * [3, 1], np.sort(rng.integers(0, 3, 1003))


@pytest.mark.parametrize("patch_size", [1, 10, 64, 5000])
def test_patches_are_a_partition_within_slices_of_even_sizes(tissue, patch_size):
    coordinates, slices = tissue
    patches = cut_into_patches(coordinates, slices, patch_size)
    np.testing.assert_array_equal(np.sort(np.concatenate(patches)), np.arange(1003))
    for code in range(3):
        sizes = [len(patch) for patch in patches if slices[patch[0]] == code]
        assert len(sizes) == max(1, round((slices == code).sum() / patch_size))
        assert max(sizes) - min(sizes) <= 1
    assert all(len(np.unique(slices[patch])) == 1 for patch in patches)


def test_patches_are_compact_and_near_those_beside_them(tissue):
    coordinates, slices = tissue
    patches = cut_into_patches(coordinates, slices, 25)
    in_order = np.concatenate([coordinates[patch] for patch in patches])
    width = np.median([np.ptp(coordinates[patch], axis=0).max() for patch in patches])
    # A square of 25 of the 334 spots on 3 x 1 is 0.47 wide.
    assert width < 0.8
    steps = np.linalg.norm(np.diff([coordinates[patch].mean(axis=0) for patch in patches], axis=0), axis=1)
    assert np.median(steps) < 0.8 and np.linalg.norm(np.diff(in_order[::25], axis=0), axis=1).mean() < 1


def test_patches_follow_the_spots_when_these_are_permuted(tissue):
    coordinates, slices = tissue
    order = np.random.default_rng(1).permutation(1003)
    expected = [frozenset(patch) for patch in cut_into_patches(coordinates, slices, 30)]
    found = [frozenset(order[patch]) for patch in cut_into_patches(coordinates[order], slices[order], 30)]
    assert found == expected


def test_positions_in_three_dimensions_and_coincident_ones_are_cut():
    coordinates = np.random.default_rng(0).random((64, 3)).round(1)
    coordinates[:40] = 0.5
    patches = cut_into_patches(coordinates, np.zeros(64, dtype=int), 8)
    assert [len(patch) for patch in patches] == [8] * 8
