"""Registration, compared with its definitions in loops."""

import numpy as np
import pytest

from spotscape.tl.alignment._registration import KernelSmoother, PlacementScorer, Spots, refine, register
from spotscape.tl.alignment._transformation import Transformation

from .conftest import rotation


def test_kernel_averages_interpolate_and_decay_at_the_edge():
    x, y = np.meshgrid(np.arange(8.0), np.arange(7.0))
    places = np.c_[x.ravel(), y.ravel()]
    smoother = KernelSmoother(places, 1.0)
    asked = np.array([[3.5, 3.2], [0.0, 3.0], [-0.5, 3.0], [-1.0, 3.0], [4.1, 2.0]])
    ones = smoother.average(np.ones((5, len(places))), asked)
    np.testing.assert_allclose(ones, [1, 1, 0.5, 0, 1], atol=0.05)
    np.testing.assert_allclose(smoother.average(np.tile(places[:, 0], (5, 1)), asked)[[0, 4]], [3.5, 4.1], atol=0.1)
    assert smoother.covers(asked).tolist() == [True, True, True, True, True]
    assert not smoother.covers(np.array([[-1.1, 3.0]]))[0]


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_the_score_equals_its_definition(scale):
    rng = np.random.default_rng(0)
    query, reference = (Spots(rng.uniform(0, 6, (n, 2)), rng.normal(size=(n, 3)), 0.7) for n in (30, 40))
    query = query._replace(positions=query.positions / scale, spacing=0.7 / scale)
    centres = rng.normal(size=3), rng.normal(size=3)
    placement = Transformation(rotation(20, scale=scale), np.array([1.0, -0.5]))
    cosines = np.array(
        [
            [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in reference.vectors - centres[1]]
            for a in query.vectors - centres[0]
        ]
    )
    gains = cosines - cosines.mean()
    reference_smoother, query_smoother = (
        KernelSmoother(reference.positions, 0.7),
        KernelSmoother(query.positions, 0.7 / scale),
    )
    back = (reference.positions - [1.0, -0.5]) @ np.linalg.inv(placement.matrix).T
    forth = [reference_smoother.average(gains[[i]], placement(query.positions[[i]]))[0] for i in range(30)]
    forth_back = [query_smoother.average(gains[:, [j]].T, back[[j]])[0] for j in range(40)]
    scorer = PlacementScorer(query, reference, centres, scale)
    assert scorer.score(placement) == pytest.approx(np.mean(forth) + np.mean(forth_back))
    better = refine(placement, scorer, "similarity")
    assert scorer.score(better) > scorer.score(placement)
    on = np.linalg.norm(placement(query.positions)[:, None] - reference.positions, axis=2).min(axis=1) <= 0.7
    np.testing.assert_allclose(scorer.overlap_centres(placement)[0], query.vectors[on].mean(axis=0))


def test_coincident_points_can_be_registered():
    same = Spots(np.zeros((12, 2)), np.tile([[1.0, 0.0]], (12, 1)), 1.0)
    found = register(same, same, transform="rigid", seed=0)
    assert np.isfinite(found.transformation.matrix).all() and found.quality <= 1
