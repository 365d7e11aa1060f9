import numpy as np
import pytest

from spotscape.tl.alignment._transformation import Transformation, from_point_pairs, perturb

from .conftest import rotation


@pytest.mark.parametrize("mirrored", [False, True])
def test_two_pairs_determine_a_transformation(mirrored):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(2, 2))
    matrix = rotation(70, mirrored=mirrored, scale=2.0)
    targets = points @ matrix.T + [3.0, 4.0]
    scaled = from_point_pairs(points, targets, scaled=True, mirrored=mirrored)
    np.testing.assert_allclose(scaled.matrix, matrix, atol=1e-12)
    np.testing.assert_allclose(scaled.shift, [3.0, 4.0], atol=1e-12)
    plain = from_point_pairs(points, targets, scaled=False, mirrored=mirrored)
    np.testing.assert_allclose(plain.matrix, matrix / 2, atol=1e-12)
    np.testing.assert_allclose(plain(points).mean(axis=0), targets.mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("mirrored", [False, True])
def test_changes_of_a_transformation(mirrored):
    rng = np.random.default_rng(0)
    points, centre = rng.normal(size=(9, 2)), np.array([5.0, 1.0])
    start = Transformation(rotation(25, mirrored=mirrored, scale=3.0), np.array([1.0, 2.0]))
    np.testing.assert_allclose(start.inverse(start(points)), points, atol=1e-12)
    np.testing.assert_allclose(perturb(start, np.zeros(3), centre)(points), start(points), atol=1e-12)
    rigid = perturb(start, np.array([0.5, -1.0, 0.3]), centre)
    assert rigid.is_mirrored == mirrored and rigid.scale == pytest.approx(3.0)
    np.testing.assert_allclose(rigid(centre[None]), start(centre[None]) + [0.5, -1.0])
    np.testing.assert_allclose(rigid.matrix, start.matrix @ rotation(np.degrees(0.3)), atol=1e-12)
    assert perturb(start, np.array([0, 0, 0.3, np.log(2)]), centre).scale == pytest.approx(6.0)
    stretched = np.linalg.svd(perturb(start, np.array([0, 0, 0.3, 0, 0.3, 0.4]), centre).matrix)[1]
    np.testing.assert_allclose(stretched, [3 * 1.5, 3 * 0.5])
