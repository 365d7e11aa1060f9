"""Detection of the lattice on which spots stand: hexagonal as of Visium, square as of bins."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

_DIRECTIONS = {"hexagonal": 6, "square": 4}
#: A spot that lies within this share of the spacing of a site of the lattice stands on it.
REACH = 0.35
#: Share of the neighbours in line from which spots are taken to stand on a lattice.
IN_LINE = 0.8


def likely_lattice(tree: KDTree) -> str:
    """Lattice whose directions agree best with those of the nearest spots."""
    angles, _ = _nearest_angles(tree)
    agreement = {name: abs(np.exp(1j * n * angles).sum()) for name, n in _DIRECTIONS.items()}
    return max(agreement, key=lambda name: agreement[name])


def fit_lattice(tree: KDTree, name: str) -> tuple[NDArray[np.float64], float]:
    """Two steps of the best-fitting lattice, ``(2, 2)``, and the fraction of steps that lead to another spot."""
    n_directions = _DIRECTIONS[name]
    angles, spacing = _nearest_angles(tree)
    turn = np.angle(np.exp(1j * n_directions * angles).sum()) / n_directions
    directions = turn + np.arange(2) * 2 * np.pi / n_directions
    steps = spacing * np.column_stack([np.cos(directions), np.sin(directions)])
    # The nearest spot underestimates the spacing where positions tremble; steps that meet a spot do not.
    for _ in range(2):
        steps = np.array([_mean_step(tree, step) for step in steps])
    every = [*steps, steps[1] - steps[0]] if name == "hexagonal" else list(steps)
    return steps, float(np.mean([_share_in_line(tree, step) for step in every]))


def _nearest_angles(tree: KDTree) -> tuple[NDArray[np.float64], float]:
    """Angles of the steps to the nearest spots, and the median distance to the nearest spot."""
    spacing = float(np.median(tree.query(tree.data, k=[2])[0])) or 1.0
    near = tree.query_pairs(1.2 * spacing, output_type="ndarray")
    offsets = tree.data[near[:, 1]] - tree.data[near[:, 0]]
    return np.arctan2(offsets[:, 1], offsets[:, 0]), spacing


def _mean_step(tree: KDTree, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean offset from a spot to the spot one step away, over the spots that have one."""
    distances, found = tree.query(tree.data + step, distance_upper_bound=REACH * np.linalg.norm(step))
    there = np.isfinite(distances)
    return (tree.data[found[there]] - tree.data[there]).mean(axis=0) if there.any() else step


def _share_in_line(tree: KDTree, step: NDArray[np.float64]) -> float:
    """Fraction of the spots with a spot near one step away for which that spot is close to the expected position."""
    reach = 0.25 * np.linalg.norm(step)
    close, around = (
        np.isfinite(tree.query(tree.data + step, distance_upper_bound=limit)[0]).sum() for limit in (reach, 2 * reach)
    )
    return float(close / max(around, 0.5 * tree.n))
