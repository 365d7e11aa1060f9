r"""Registration of a slice on a reference slice by positions and representations.

Tissue layers look alike along their length, so few of the most similar pairs of spots correspond to each other.
Placements are therefore proposed from two such pairs each, as in random sample consensus :cite:p:`Fischler1981`, but
scored by the whole tissue: by the similarity of the spots that they place on each other.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from spotscape.tl._representation import unit_vectors
from spotscape.tl.alignment._transformation import N_PARAMETERS, Transformation, from_point_pairs, perturb

#: Width of the kernel that smooths the slices for scoring, in units of the larger spacing of both. With a smaller one,
#: the score would show the lattice of the spots.
KERNEL_WIDTH = 0.7
#: Number of nearest spots in a kernel average. On a lattice, the others would add less than a twentieth.
_N_NEAREST = 9
#: Spots per slice used for registration, a random subset if there are more. This bounds time and memory.
N_SPOTS = 1500
#: Spots used to score the proposals.
N_SPOTS_COARSE = 200
#: Most similar reference spots from which the match of a spot is drawn.
N_CANDIDATES = 10
N_PROPOSALS = 500
#: Proposals that are refined; half of them have another orientation than the best.
N_REFINED = 8
#: Rounds of centring and refinement. In a synthetic tissue with a missing third and a batch effect, the error was 1.8
#: spacings before the first round, 1.0 after it and 0.4 after the second.
N_ROUNDS = 5
#: Largest factor between the scale of a proposal and the ratio of the extents of both slices.
MAX_SCALE = 2.0
#: The same for rigid transformations: how much the distance of a pair may change by deformation of the tissue.
MAX_STRETCH = 1.15

Centres = tuple[np.ndarray, np.ndarray]


class Spots(NamedTuple):
    """Positions and representations of the spots of one slice."""

    positions: np.ndarray
    """``(n_spots, 2)``."""
    vectors: np.ndarray
    """``(n_spots, n_dimensions)``."""
    spacing: float
    """Median distance between nearest neighbours."""

    def centred(self, centre: np.ndarray) -> "Spots":
        """Subtract a vector from the representations, and divide each by its length."""
        return self._replace(vectors=unit_vectors(self.vectors - centre))


class Registration(NamedTuple):
    """Placement of a slice, and how reliable it is."""

    transformation: Transformation
    centres: Centres
    """Mean representation of the query and of the reference in their overlap. ``(n_dimensions,)`` each."""
    overlap: float
    """Share of the query spots that lie on the reference."""
    quality: float
    """Mean similarity of these spots to the reference below them: 0 as by chance, 1 as of the most similar spots."""
    margin: float
    """Difference to the score of the best placement of another orientation, as a share of its own score."""
    score: float
    """Value of the objective."""


def register(query: Spots, reference: Spots, *, transform: str, seed: int) -> Registration:
    r"""Find the transformation that places a query on a reference.

    The score of a placement :math:`T` is

    .. math::

        \frac{1}{n} \sum_i (s_{i, T x_i} - \bar s) + \frac{1}{m} \sum_j (s_{T^{-1} x_j, j} - \bar s),

    where :math:`s` is the cosine similarity to the spots of the other slice near the position, and :math:`\bar s` its
    mean over all pairs; positions off the other slice add zero. Both directions count, because a query that is shrunk
    or shifted to the middle lies entirely on the reference, but leaves parts of the reference uncovered.

    Representations are centred before the cosine, because a batch effect shifts a whole slice. If a slice lacks part of
    the tissue, the right centres are those of the overlap, which are unknown at first. The search is therefore made
    twice, without centring and with each slice centred as a whole. In several rounds, the representations are then
    centred in the overlap and the placement is refined. The result with the higher score is kept.

    Parameters
    ----------
    query, reference
        Spots of both slices, in an order that does not depend on the order in the data.
    transform
        ``"rigid"``, ``"similarity"`` or ``"affine"``.
    seed
        Random seed.

    Returns
    -------
    The transformation and its reliability.
    """
    rng = np.random.default_rng(seed)
    query, reference = _subsample(query, rng), _subsample(reference, rng)
    origin = np.zeros(query.vectors.shape[1])
    starts = [(origin, origin), (query.vectors.mean(axis=0), reference.vectors.mean(axis=0))]
    return max((_register(query, reference, start, transform, rng) for start in starts), key=lambda found: found.score)


def _register(
    query: Spots, reference: Spots, centres: Centres, transform: str, rng: np.random.Generator
) -> Registration:
    # Affine parameters are only fitted in the last round: six of them would fit noise before the placement is right.
    early = "rigid" if transform == "rigid" else "similarity"
    ratio = 1.0 if early == "rigid" else _extent(reference.positions) / max(_extent(query.positions), 1e-300)
    scorer = PlacementScorer(query, reference, centres, ratio)
    step = max(1, min(len(query.positions), len(reference.positions)) // N_SPOTS_COARSE)
    proposals = _propose_placements(scorer, ratio, scaled=early != "rigid", rng=rng)
    starts = _best_distinct(proposals, [scorer.score(proposal, step) for proposal in proposals], query.positions)
    refined = [refine(start, scorer, early, step) for start in starts]
    scores = [scorer.score(placement) for placement in refined]
    best, score = refined[int(np.argmax(scores))], max(scores)
    others = [value for one, value in zip(refined, scores, strict=True) if _differs_in_orientation(one, best)]
    for remaining in reversed(range(N_ROUNDS)):
        centres = scorer.overlap_centres(best)
        scorer = PlacementScorer(query, reference, centres, ratio)
        best = refine(best, scorer, early if remaining else transform)
    covered = scorer.overlap(best)[0]
    similarity = scorer.reference_smoother.average(scorer.similarity[covered], best(query.positions[covered]))
    return Registration(
        best,
        centres,
        overlap=float(covered.mean()),
        quality=float(similarity.mean() if covered.any() else 0.0)
        / max(float(scorer.similarity.max(axis=1).mean()), 1e-12),
        margin=1.0 - max(others, default=0.0) / max(score, 1e-12),
        score=scorer.score(best),
    )


class PlacementScorer:
    """Score placements of a query on a reference.

    Parameters
    ----------
    query, reference
        Spots of both slices.
    centres
        Vectors subtracted from the representations of query and reference. ``(n_dimensions,)`` each.
    ratio
        Length in the unit of the reference that corresponds to one unit of the query.
    """

    def __init__(self, query: Spots, reference: Spots, centres: Centres, ratio: float) -> None:
        self.spacing = max(ratio * query.spacing, reference.spacing)
        self.query, self.reference = query, reference
        self.reference_smoother = KernelSmoother(reference.positions, self.spacing)
        self.query_smoother = KernelSmoother(query.positions, self.spacing / ratio)
        similarity = query.centred(centres[0]).vectors @ reference.centred(centres[1]).vectors.T
        self.similarity = similarity - similarity.mean()
        self.similarity_to_query = np.ascontiguousarray(self.similarity.T)

    def score(self, placement: Transformation, step: int = 1) -> float:
        """Objective of :func:`register`, computed on every ``step``-th spot of both slices."""
        placed, returned = placement(self.query.positions[::step]), placement.inverse(self.reference.positions[::step])
        forward = self.reference_smoother.average(self.similarity[::step], placed)
        backward = self.query_smoother.average(self.similarity_to_query[::step], returned)
        return float(forward.mean() + backward.mean())

    def overlap(self, placement: Transformation) -> tuple[np.ndarray, np.ndarray]:
        """Whether query and reference spots lie on the other slice. ``(n_query,)`` and ``(n_reference,)``."""
        covered = self.reference_smoother.covers(placement(self.query.positions))
        return covered, self.query_smoother.covers(placement.inverse(self.reference.positions))

    def overlap_centres(self, placement: Transformation) -> Centres:
        """Mean representation of each slice in the overlap, or of the whole slice if there is no overlap."""
        query, reference = (covered | ~covered.any() for covered in self.overlap(placement))
        return self.query.vectors[query].mean(axis=0), self.reference.vectors[reference].mean(axis=0)


def refine(start: Transformation, scorer: PlacementScorer, transform: str, step: int = 1) -> Transformation:
    """Maximise the score from a given transformation by the Nelder-Mead method :cite:p:`NelderMead1965`.

    Parameters
    ----------
    start
        Initial transformation, which also determines whether the query is mirrored.
    scorer
        The objective.
    transform
        ``"rigid"``, ``"similarity"`` or ``"affine"``: the parameters to optimise.
    step
        Score only every ``step``-th spot.

    Returns
    -------
    The transformation.
    """
    points, spacing = scorer.query.positions, scorer.spacing
    centre = points.mean(axis=0)
    # One unit of each parameter moves spots by about one spacing.
    angle = spacing / max(start.scale * _extent(points), spacing)
    units = np.array([spacing, spacing, angle, angle, angle, angle])[: N_PARAMETERS[transform]]

    def loss(parameters: np.ndarray) -> float:
        return -scorer.score(perturb(start, units * parameters, centre), step)

    simplex = np.vstack([np.zeros(len(units)), 2.0 * np.eye(len(units))])
    found = minimize(
        loss,
        simplex[0],
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-5, "maxfev": 100 * len(units)},
    )
    return perturb(start, units * found.x, centre)


class KernelSmoother:
    """Kernel averages over the spots of a slice, which decay to zero at its edge.

    Smoothing makes the score of a placement a smooth function. Half of the decay lies on each side of the edge, so that
    what a placement gains by covering more at one edge, it loses at the opposite one.
    """

    def __init__(self, positions: np.ndarray, spacing: float) -> None:
        self.tree, self.width = cKDTree(positions), KERNEL_WIDTH * spacing
        self.full = float(np.median(self._weights(positions)[0].sum(axis=1)))

    def average(self, values: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Kernel average near each point, with separate values for each point.

        ``values`` is ``(n_points, n_spots)``, ``points`` is ``(n_points, 2)``, the result is ``(n_points,)``.
        """
        weights, nearest = self._weights(points)
        total = weights.sum(axis=1)
        mean = (weights * np.take_along_axis(values, nearest, axis=1)).sum(axis=1) / np.maximum(total, 1e-300)
        # Factor 1 on the outermost spots of a lattice, 0.5 half a spacing outside them, and 0 one spacing outside.
        return mean * np.clip((total / self.full - 0.2) / 0.6, 0.0, 1.0)

    def covers(self, points: np.ndarray) -> np.ndarray:
        """Whether points are on the slice, at most one spacing from a spot. ``(n_points,)``."""
        return self.tree.query(points)[0] <= self.width / KERNEL_WIDTH

    def _weights(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n_nearest = min(_N_NEAREST, self.tree.n)
        distance, nearest = self.tree.query(points, k=np.arange(1, n_nearest + 1))
        return np.exp(-0.5 * (distance / self.width) ** 2), nearest


def _subsample(spots: Spots, rng: np.random.Generator) -> Spots:
    """Shuffle the spots and keep a random subset. The spacing grows as their number decreases."""
    n_spots = len(spots.positions)
    n_drawn = min(n_spots, N_SPOTS)
    drawn = rng.permutation(n_spots)[:n_drawn]
    return Spots(spots.positions[drawn], spots.vectors[drawn], spots.spacing * float(np.sqrt(n_spots / n_drawn)))


def _propose_placements(
    scorer: PlacementScorer, ratio: float, *, scaled: bool, rng: np.random.Generator
) -> list[Transformation]:
    """Propose placements from two matched pairs of spots each, after one that only joins the centres of the slices."""
    query, reference = scorer.query.positions, scorer.reference.positions
    n_candidates = min(N_CANDIDATES, len(reference))
    candidates = np.argpartition(-scorer.similarity, n_candidates - 1, axis=1)[:, :n_candidates]
    pairs = rng.integers(len(query), size=(40 * N_PROPOSALS, 2))
    matches = candidates[pairs, rng.integers(n_candidates, size=pairs.shape)]
    points, targets = query[pairs], reference[matches]
    before, after = (np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) for ends in (points, targets))
    limit = MAX_SCALE if scaled else MAX_STRETCH
    # In close pairs, a small error of the matches would be a large error of the angle.
    usable = (before > 0.7 * _extent(query)) & (after < limit * ratio * before) & (after > ratio * before / limit)
    proposals = [Transformation(ratio * np.eye(2), reference.mean(axis=0) - ratio * query.mean(axis=0))]
    for pair in np.flatnonzero(usable)[:N_PROPOSALS]:
        for mirrored in (False, True):
            proposals.append(from_point_pairs(points[pair], targets[pair], scaled=scaled, mirrored=mirrored))
    return proposals


def _best_distinct(proposals: list[Transformation], scores: list[float], points: np.ndarray) -> list[Transformation]:
    """Best proposals that place the query differently, by at least a quarter of its extent."""
    marks = points[:: max(1, len(points) // 20)]
    chosen: list[Transformation] = []
    for index in np.argsort(-np.array(scores), kind="stable"):
        proposal = proposals[index]
        # The second half is reserved for other orientations, which are needed for the margin.
        if len(chosen) >= N_REFINED // 2 and not _differs_in_orientation(proposal, chosen[0]):
            continue
        placed, min_distance = proposal(marks), 0.25 * proposal.scale * _extent(points)
        if all(np.sqrt(((placed - other(marks)) ** 2).sum(axis=1).mean()) > min_distance for other in chosen):
            chosen.append(proposal)
        if len(chosen) == N_REFINED:
            break
    return chosen or proposals[:1]


def _differs_in_orientation(one: Transformation, other: Transformation) -> bool:
    """Whether two placements differ by a reflection or by a rotation of more than 45 degrees."""
    change = np.linalg.inv(other.matrix) @ one.matrix
    return bool(one.is_mirrored != other.is_mirrored or np.trace(change) < np.sqrt(2 * abs(np.linalg.det(change))))


def _extent(points: np.ndarray) -> float:
    """Root mean square distance from the centre."""
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))
