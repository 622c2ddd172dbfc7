"""Rotations, and the two-bone limb."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

REACH = 0.992
"""A limb is never stretched farther than this part of its length: the joint would lock."""


def unit(vector: ArrayLike) -> Vector:
    """The vector (3,) at length 1."""
    values = np.asarray(vector, np.float64)
    return values / (np.linalg.norm(values) + 1e-9)


def rotation(vector: ArrayLike) -> Matrix:
    """Rotation (3, 3) about the vector by its length in radians."""
    return np.asarray(cv2.Rodrigues(np.asarray(vector, np.float64))[0])


def turn_x(degrees: float) -> Matrix:
    """Rotation about x: positive leans forward."""
    return rotation((np.radians(degrees), 0, 0))


def turn_y(degrees: float) -> Matrix:
    """Rotation about y: positive turns to the person's left."""
    return rotation((0, np.radians(degrees), 0))


def turn_z(degrees: float) -> Matrix:
    """Rotation about z: positive raises the left side."""
    return rotation((0, 0, np.radians(degrees)))


def fraction(matrix: Matrix, share: float) -> Matrix:
    """A part of a rotation, about the same axis."""
    return rotation(np.asarray(cv2.Rodrigues(matrix)[0]).ravel() * share)


def two_bone(
    upper: ArrayLike, lower: ArrayLike, start: ArrayLike, target: ArrayLike, pole: ArrayLike
) -> tuple[Matrix, Matrix]:
    """Global rotations of both bones of a limb, so that its end comes to the target.

    The hinge stays a hinge: the plane of the bent limb at rest is carried onto the new plane.

    Args:
        upper: (3,) the upper bone at rest, from its joint to the next; not parallel to ``lower``.
        lower: (3,) the lower bone at rest.
        start: (3,) where the upper joint is now.
        target: (3,) where the end should be; out of reach: the end points there.
        pole: (3,) direction the middle joint is pushed to.

    Returns:
        Two (3, 3): the end is at ``start + R_upper @ upper + R_lower @ lower``.
    """
    a, b = np.asarray(upper, np.float64), np.asarray(lower, np.float64)
    length_a, length_b = np.linalg.norm(a), np.linalg.norm(b)
    way = np.asarray(target, np.float64) - np.asarray(start, np.float64)
    nearest = abs(length_a - length_b) * 1.15 + 0.2
    distance = np.clip(np.linalg.norm(way), nearest, (length_a + length_b) * REACH)
    way = unit(way)
    along = (length_a**2 - length_b**2 + distance**2) / (2 * distance)
    across = np.sqrt(max(length_a**2 - along**2, 1e-6))
    bend = np.asarray(pole, np.float64)
    bend = unit(bend - way * (bend @ way))
    middle = way * along + bend * across
    new_a, new_b = unit(middle), unit(way * distance - middle)
    hinge, new_hinge = unit(np.cross(a, b)), unit(np.cross(new_a, new_b))
    return (
        _frame(new_a, new_hinge) @ _frame(unit(a), hinge).T,
        _frame(new_b, new_hinge) @ _frame(unit(b), hinge).T,
    )


def _frame(axis: Vector, hinge: Vector) -> Matrix:
    return np.stack((axis, hinge, np.cross(axis, hinge)), 1)
