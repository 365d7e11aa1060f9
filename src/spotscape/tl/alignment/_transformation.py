"""Transformations of the plane."""

from typing import NamedTuple

import numpy as np

#: Numbers that change each of them, in the order of :func:`changed`.
N_NUMBERS = {"rigid": 3, "similarity": 4, "affine": 6}
TRANSFORMS = tuple(N_NUMBERS)


class Transformation(NamedTuple):
    r"""Linear map and shift of the plane, :math:`x \mapsto A x + t`."""

    matrix: np.ndarray
    """:math:`A`. ``(2, 2)``."""
    shift: np.ndarray
    """:math:`t`. ``(2,)``."""

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Move points. ``(n_points, 2)``."""
        return points @ self.matrix.T + self.shift

    @property
    def inverse(self) -> "Transformation":
        """The way back."""
        matrix = np.linalg.inv(self.matrix)
        return Transformation(matrix, -matrix @ self.shift)

    @property
    def is_mirrored(self) -> bool:
        """Whether left and right change places."""
        return bool(np.linalg.det(self.matrix) < 0)

    @property
    def scale(self) -> float:
        """Factor of lengths; the geometric mean of both directions where they differ."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    @property
    def homogeneous(self) -> np.ndarray:
        """Matrix that moves columns ``(x, y, 1)``. ``(3, 3)``."""
        return np.block([[self.matrix, self.shift[:, None]], [np.zeros((1, 2)), np.ones((1, 1))]])


def rotation(angle: float) -> np.ndarray:
    """Matrix that turns by an angle in radians. ``(2, 2)``."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def changed(start: Transformation, numbers: np.ndarray, centre: np.ndarray) -> Transformation:
    r"""Change a transformation a little, without moving a place of the query unless by the shift.

    Parameters
    ----------
    start
        Transformation :math:`(A, t)`.
    numbers
        Shift in both directions, angle, logarithm of the scale, stretch :math:`k` and shear :math:`l`: the first three
        for a rigid change, four for a similarity, all six for an affine one. Zeros change nothing. ``(3,)``, ``(4,)``
        or ``(6,)``.
    centre
        The place :math:`c` that is turned about. ``(2,)``.

    Returns
    -------
    The transformation with matrix
    :math:`A R e^s \left(\begin{smallmatrix} 1 + k & l \\ l & 1 - k \end{smallmatrix}\right)`.
    """
    right, down, angle, log_scale, stretch, shear = np.pad(numbers, (0, 6 - len(numbers)))
    change = rotation(angle) @ np.array([[1 + stretch, shear], [shear, 1 - stretch]]) * np.exp(log_scale)
    matrix = start.matrix @ change
    return Transformation(matrix, start(centre) + (right, down) - matrix @ centre)


def from_two_pairs(points: np.ndarray, targets: np.ndarray, *, scaled: bool, mirrored: bool) -> Transformation:
    """Find the rotation, with a scale or without, that moves two points onto their targets.

    Parameters
    ----------
    points, targets
        Two places before and after. ``(2, 2)``.
    scaled
        Whether lengths may change. If not, the middle of both points is moved onto that of the targets.
    mirrored
        Whether the rotation follows a mirroring.

    Returns
    -------
    The transformation.
    """
    mirror = np.diag([1.0, -1.0 if mirrored else 1.0])
    before, after = mirror @ (points[1] - points[0]), targets[1] - targets[0]
    angle = np.arctan2(after[1], after[0]) - np.arctan2(before[1], before[0])
    scale = np.linalg.norm(after) / np.linalg.norm(before) if scaled else 1.0
    matrix = scale * rotation(angle) @ mirror
    return Transformation(matrix, targets.mean(axis=0) - matrix @ points.mean(axis=0))
