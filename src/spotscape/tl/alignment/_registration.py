r"""Placing one slice on another by position and representation together.

Layers look alike along themselves, so that few of the most similar pairs of spots belong together. Placements are
therefore proposed by two such pairs each, as in random sample consensus :cite:p:`Fischler1981`, but judged by all of
the tissue: how alike the spots are that come to lie on each other.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from spotscape.tl.alignment._transformation import N_NUMBERS, Transformation, changed, from_two_pairs

#: Width of the blur of the tissue that a placement is judged on, in units of the larger spacing of both slices. A
#: smaller one would show the lattice of the spots.
BLUR = 0.7
#: Spots of each slice that take part, drawn at random where there are more. They bound time and memory.
N_SPOTS = 1500
N_SPOTS_COARSE = 200
N_CANDIDATES = 10
N_PROPOSALS = 500
#: Proposals that are improved before the best is chosen, half of them turned against the others.
N_IMPROVED = 8
#: Rounds of centring and improving. On a synthetic tissue without a third and with a batch effect, the error was 1.8
#: spacings before the first, 1.0 after it and 0.4 after the second.
N_ROUNDS = 5
#: Largest factor between the scale of a proposal and the ratio of the extents of both slices.
MAX_SCALE = 2.0
#: The same where lengths may not change: how far a pair may be off because the tissue was deformed.
MAX_STRETCH = 1.15
#: Spots of the other slice among which the similarity at a place is interpolated. On a lattice, farther ones would add
#: less than a twentieth.
_N_NEAREST = 9

Centres = tuple[np.ndarray, np.ndarray]


class Spots(NamedTuple):
    """Places and representations of spots of one slice."""

    positions: np.ndarray
    """``(n_spots, 2)``."""
    vectors: np.ndarray
    """``(n_spots, n_dimensions)``."""
    spacing: float
    """Median distance of a spot to the nearest other one."""


class Registration(NamedTuple):
    """How a slice was placed, and how far that can be trusted."""

    transformation: Transformation
    centres: Centres
    """Mean representation of the query and of the reference where they lie on each other. ``(n_dimensions,)`` each."""
    overlap: float
    """Share of the query's spots that lie on the reference."""
    quality: float
    """Mean similarity of those to the reference spots below them, 0 as by chance and 1 as of the most similar spots."""
    margin: float
    """How much better the placement is than the best one that is mirrored or turned, as a share of its own score."""
    score: float
    """What was maximised."""


def register(query: Spots, reference: Spots, *, transform: str, seed: int) -> Registration:
    r"""Find the transformation that places a query on a reference.

    A placement :math:`T` is judged by

    .. math::

        \frac{1}{n} \sum_i (s_{i, T x_i} - \bar s) + \frac{1}{m} \sum_j (s_{T^{-1} x_j, j} - \bar s),

    where :math:`s` is the cosine similarity to the spots of the other slice near the place, and :math:`\bar s` its mean
    over all pairs; places off the other slice add nothing. Both directions count, because a query that is shrunk or
    pushed to the middle lies on the reference everywhere, but leaves parts of that empty.

    Cosines are those of centred representations: a batch effect moves one slice as a whole. Where to centre is not
    known before the slices lie on each other, if one of them lacks a part. So the search is made with the
    representations as they are and with each slice centred as a whole; then they are centred where they overlap, the
    placement is improved, and this is repeated. The better end is kept.

    Parameters
    ----------
    query, reference
        Spots in an order that does not depend on that in the file.
    transform
        ``"rigid"``, ``"similarity"`` or ``"affine"``.
    seed
        Seed of the draws.

    Returns
    -------
    The transformation, and how far it can be trusted.
    """
    rng = np.random.default_rng(seed)
    query, reference = _draw(query, rng), _draw(reference, rng)
    origin = np.zeros(query.vectors.shape[1])
    starts = [(origin, origin), (query.vectors.mean(axis=0), reference.vectors.mean(axis=0))]
    return max((_register(query, reference, start, transform, rng) for start in starts), key=lambda one: one.score)


def _register(
    query: Spots, reference: Spots, centres: Centres, transform: str, rng: np.random.Generator
) -> Registration:
    # An affine change is small, and is left to the end: six numbers would fit noise where three are not yet right.
    early = "rigid" if transform == "rigid" else "similarity"
    ratio = 1.0 if early == "rigid" else _extent(reference.positions) / max(_extent(query.positions), 1e-300)
    judge = Judge(query, reference, centres, ratio)
    step = max(1, min(len(query.positions), len(reference.positions)) // N_SPOTS_COARSE)
    proposals = _propose(judge, ratio, scaled=early != "rigid", rng=rng)
    starts = _distinct_best(proposals, [judge.score(one, step) for one in proposals], query.positions)
    improved = [improve(start, judge, early, step) for start in starts]
    scores = [judge.score(one) for one in improved]
    best, score = improved[int(np.argmax(scores))], max(scores)
    turned = [value for one, value in zip(improved, scores, strict=True) if _is_turned(one, best)]
    for remaining in reversed(range(N_ROUNDS)):
        centres = judge.centres(best)
        judge = Judge(query, reference, centres, ratio)
        best = improve(best, judge, early if remaining else transform)
    on = judge.overlap(best)[0]
    gains = judge.tissue.interpolate(judge.gain[on], best(query.positions[on]))
    return Registration(
        best,
        centres,
        overlap=float(on.mean()),
        quality=float(gains.mean() if on.any() else 0.0) / max(float(judge.gain.max(axis=1).mean()), 1e-12),
        margin=1.0 - max(turned, default=0.0) / max(score, 1e-12),
        score=judge.score(best),
    )


class Judge:
    """Scores placements of a query on a reference.

    Parameters
    ----------
    query, reference
        Spots of both slices.
    centres
        What is taken off the representations of both. ``(n_dimensions,)`` each.
    ratio
        Length in units of the reference for one in those of the query.
    """

    def __init__(self, query: Spots, reference: Spots, centres: Centres, ratio: float) -> None:
        self.spacing = max(ratio * query.spacing, reference.spacing)
        self.query, self.reference = query, reference
        self.tissue = Tissue(reference.positions, self.spacing)
        self.query_tissue = Tissue(query.positions, self.spacing / ratio)
        similarity = directions(query.vectors - centres[0]) @ directions(reference.vectors - centres[1]).T
        self.gain = similarity - similarity.mean()
        self.gain_back = np.ascontiguousarray(self.gain.T)

    def score(self, placement: Transformation, step: int = 1) -> float:
        """Mean gain in similarity of the spots of both slices, or of every so many; see :func:`register`."""
        there, back = placement(self.query.positions[::step]), placement.inverse(self.reference.positions[::step])
        gains = self.tissue.interpolate(self.gain[::step], there)
        gains_back = self.query_tissue.interpolate(self.gain_back[::step], back)
        return float(gains.mean() + gains_back.mean())

    def overlap(self, placement: Transformation) -> tuple[np.ndarray, np.ndarray]:
        """Spots of query and reference that lie on the other slice. ``(n_query,)`` and ``(n_reference,)``."""
        on = self.tissue.has(placement(self.query.positions))
        return on, self.query_tissue.has(placement.inverse(self.reference.positions))

    def centres(self, placement: Transformation) -> Centres:
        """Mean representation of each slice where they lie on each other; of the whole slices if nowhere."""
        on, on_back = (here | ~here.any() for here in self.overlap(placement))
        return self.query.vectors[on].mean(axis=0), self.reference.vectors[on_back].mean(axis=0)


def improve(start: Transformation, judge: Judge, transform: str, step: int = 1) -> Transformation:
    """Change a transformation for a better score, by the method of Nelder and Mead :cite:p:`NelderMead1965`.

    Parameters
    ----------
    start
        Where to begin; it also says whether the query is mirrored.
    judge
        What is maximised.
    transform
        ``"rigid"``, ``"similarity"`` or ``"affine"``: what may change.
    step
        Only every so many spots are judged.

    Returns
    -------
    The transformation.
    """
    points, spacing = judge.query.positions, judge.spacing
    centre = points.mean(axis=0)
    # Each number in units that move spots by about one spacing.
    turn = spacing / max(start.scale * _extent(points), spacing)
    units = np.array([spacing, spacing, turn, turn, turn, turn])[: N_NUMBERS[transform]]

    def loss(numbers: np.ndarray) -> float:
        return -judge.score(changed(start, units * numbers, centre), step)

    simplex = np.vstack([np.zeros(len(units)), 2.0 * np.eye(len(units))])
    found = minimize(
        loss,
        simplex[0],
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-5, "maxfev": 100 * len(units)},
    )
    return changed(start, units * found.x, centre)


def directions(vectors: np.ndarray) -> np.ndarray:
    """Rows divided by their length; rows of zeros stay so."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)


class Tissue:
    """Where a slice is, as a smooth field: its spots are blurred, so that it fades at its edge.

    The blur makes the score of a placement smooth, and a half of it lies on either side of the edge: what a placement
    gains by covering more at one edge, it loses at the other.
    """

    def __init__(self, positions: np.ndarray, spacing: float) -> None:
        self.tree, self.width = cKDTree(positions), BLUR * spacing
        self.full = float(np.median(self._weights(positions)[0].sum(axis=1)))

    def interpolate(self, values: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Mean of some values near each place, fading to zero off the tissue; row of values and place belong together.

        ``values`` is ``(n_places, n_spots)``, ``places`` ``(n_places, 2)``, the answer ``(n_places,)``.
        """
        weights, nearest = self._weights(places)
        total = weights.sum(axis=1)
        mean = (weights * np.take_along_axis(values, nearest, axis=1)).sum(axis=1) / np.maximum(total, 1e-300)
        # One on the outermost spots of a lattice, a half at half a spacing from them, zero at a whole one.
        return mean * np.clip((total / self.full - 0.2) / 0.6, 0.0, 1.0)

    def has(self, places: np.ndarray) -> np.ndarray:
        """Whether places are on the tissue: no more than one spacing from a spot. ``(n_places,)``."""
        return self.tree.query(places)[0] <= self.width / BLUR

    def _weights(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n_nearest = min(_N_NEAREST, self.tree.n)
        distance, nearest = self.tree.query(places, k=np.arange(1, n_nearest + 1))
        return np.exp(-0.5 * (distance / self.width) ** 2), nearest


def _draw(spots: Spots, rng: np.random.Generator) -> Spots:
    """Draw the spots that take part, and shuffle them; their spacing grows as their number falls."""
    n_spots = len(spots.positions)
    n_drawn = min(n_spots, N_SPOTS)
    drawn = rng.permutation(n_spots)[:n_drawn]
    return Spots(spots.positions[drawn], spots.vectors[drawn], spots.spacing * float(np.sqrt(n_spots / n_drawn)))


def _propose(judge: Judge, ratio: float, *, scaled: bool, rng: np.random.Generator) -> list[Transformation]:
    """Make placements of pairs of matches, with the centres of both slices laid on each other as a last resort."""
    query, reference = judge.query.positions, judge.reference.positions
    n_candidates = min(N_CANDIDATES, len(reference))
    candidates = np.argpartition(-judge.gain, n_candidates - 1, axis=1)[:, :n_candidates]
    ends = rng.integers(len(query), size=(40 * N_PROPOSALS, 2))
    matched = candidates[ends, rng.integers(n_candidates, size=ends.shape)]
    points, targets = query[ends], reference[matched]
    before, after = (np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=1) for pairs in (points, targets))
    limit = MAX_SCALE if scaled else MAX_STRETCH
    # Short pairs would turn far for a small error of their ends.
    usable = (before > 0.7 * _extent(query)) & (after < limit * ratio * before) & (after > ratio * before / limit)
    proposals = [Transformation(ratio * np.eye(2), reference.mean(axis=0) - ratio * query.mean(axis=0))]
    for pair in np.flatnonzero(usable)[:N_PROPOSALS]:
        for mirrored in (False, True):
            proposals.append(from_two_pairs(points[pair], targets[pair], scaled=scaled, mirrored=mirrored))
    return proposals


def _distinct_best(proposals: list[Transformation], scores: list[float], points: np.ndarray) -> list[Transformation]:
    """Best proposals that place the tissue differently, by a quarter of its extent at least."""
    marks = points[:: max(1, len(points) // 20)]
    chosen: list[Transformation] = []
    for index in np.argsort(-np.array(scores), kind="stable"):
        one = proposals[index]
        # The other half is there to tell how much better the best is than what contradicts it.
        if len(chosen) >= N_IMPROVED // 2 and not _is_turned(one, chosen[0]):
            continue
        least = 0.25 * one.scale * _extent(points)
        if all(np.sqrt(((one(marks) - other(marks)) ** 2).sum(axis=1).mean()) > least for other in chosen):
            chosen.append(one)
        if len(chosen) == N_IMPROVED:
            break
    return chosen or proposals[:1]


def _is_turned(one: Transformation, other: Transformation) -> bool:
    """Whether two placements differ by a mirroring or by more than 45 degrees."""
    turn = np.linalg.inv(other.matrix) @ one.matrix
    return bool(one.is_mirrored != other.is_mirrored or np.trace(turn) < np.sqrt(2 * abs(np.linalg.det(turn))))


def _extent(points: np.ndarray) -> float:
    """Root mean square distance from the centre."""
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))
