"""Affine transformations of the plane."""

from typing import NamedTuple

import numpy as np

#: Number of parameters of each kind of transformation, in the order of :func:`perturb`.
N_PARAMETERS = {"rigid": 3, "similarity": 4, "affine": 6}
TRANSFORMS = tuple(N_PARAMETERS)


class Transformation(NamedTuple):
    r"""Affine transformation of the plane, :math:`x \mapsto A x + t`."""

    matrix: np.ndarray
    """:math:`A`. ``(2, 2)``."""
    shift: np.ndarray
    """:math:`t`. ``(2,)``."""

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Transform points. ``(n_points, 2)``."""
        return points @ self.matrix.T + self.shift

    @property
    def inverse(self) -> "Transformation":
        """Inverse transformation."""
        matrix = np.linalg.inv(self.matrix)
        return Transformation(matrix, -matrix @ self.shift)

    @property
    def is_mirrored(self) -> bool:
        """Whether the transformation includes a reflection."""
        return bool(np.linalg.det(self.matrix) < 0)

    @property
    def scale(self) -> float:
        """Scale factor of lengths; the geometric mean of both directions if they differ."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    @property
    def homogeneous(self) -> np.ndarray:
        """Matrix that transforms columns ``(x, y, 1)``. ``(3, 3)``."""
        return np.block([[self.matrix, self.shift[:, None]], [np.zeros((1, 2)), np.ones((1, 1))]])


def rotation(angle: float) -> np.ndarray:
    """Rotation matrix of an angle in radians. ``(2, 2)``."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def perturb(start: Transformation, parameters: np.ndarray, centre: np.ndarray) -> Transformation:
    r"""Change a transformation by a shift, rotation, scale, stretch and shear about a point of the query.

    Parameters
    ----------
    start
        Transformation :math:`(A, t)`.
    parameters
        Shift in both directions, angle, logarithm of the scale :math:`s`, stretch :math:`k` and shear :math:`l`: the
        first three for a rigid change, four for a similarity, all six for an affine change. Zeros change nothing.
        ``(3,)``, ``(4,)`` or ``(6,)``.
    centre
        Centre of the rotation, which only the shift moves. ``(2,)``.

    Returns
    -------
    The transformation with matrix
    :math:`A R e^s \left(\begin{smallmatrix} 1 + k & l \\ l & 1 - k \end{smallmatrix}\right)`.
    """
    shift_x, shift_y, angle, log_scale, stretch, shear = np.pad(parameters, (0, 6 - len(parameters)))
    change = rotation(angle) @ np.array([[1 + stretch, shear], [shear, 1 - stretch]]) * np.exp(log_scale)
    matrix = start.matrix @ change
    return Transformation(matrix, start(centre) + (shift_x, shift_y) - matrix @ centre)


def from_point_pairs(points: np.ndarray, targets: np.ndarray, *, scaled: bool, mirrored: bool) -> Transformation:
    """Find the rotation, with or without a scale, that maps two points to their targets.

    Parameters
    ----------
    points, targets
        Two points before and after the transformation. ``(2, 2)``.
    scaled
        Whether lengths may change. If not, the midpoint of the points is mapped to that of the targets.
    mirrored
        Whether to reflect before the rotation.

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
