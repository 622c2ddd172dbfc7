"""How well a found pose agrees with the wanted one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import PoseError
from reposedm.pose.pose import Pose
from reposedm.pose.skeleton import L_HIP, L_SHOULDER, NECK, NOSE, R_HIP, R_SHOULDER


def pckh(found: Pose, wanted: Pose, threshold: float = 0.5) -> float:
    """Part of the wanted drawn joints that were found within ``threshold`` head lengths, 0..1.

    The head length is 2 x |nose - neck| of the wanted pose, or, without a drawn nose,
    0.6 x its shoulder width. A joint that is hidden in the found pose is a miss.

    Raises:
        PoseError: poses of different photos, or the wanted one has neither of the two lengths.
    """
    return _within(found, wanted, threshold * head_length(wanted))


def within_torso(found: Pose, wanted: Pose, threshold: float = 0.2) -> float:
    """Part of the wanted drawn joints that were found within ``threshold`` torso lengths, 0..1.

    The torso length is that from the neck to the middle of the hips of the wanted pose.

    Raises:
        PoseError: poses of different photos, or the wanted neck or hips are hidden.
    """
    return _within(found, wanted, threshold * torso_length(wanted))


def head_length(pose: Pose) -> float:
    """Head length in pixels (see ``pckh``)."""
    if pose.drawn[[NOSE, NECK]].all():
        return 2 * _distance(pose.points[NOSE], pose.points[NECK])
    if pose.drawn[[R_SHOULDER, L_SHOULDER]].all():
        return 0.6 * _distance(pose.points[R_SHOULDER], pose.points[L_SHOULDER])
    raise PoseError("the head length needs the nose and the neck, or both shoulders")


def torso_length(pose: Pose) -> float:
    """Neck to the middle of the hips in pixels."""
    if not pose.drawn[[NECK, R_HIP, L_HIP]].all():
        raise PoseError("the torso length needs the neck and both hips")
    return _distance(pose.points[NECK], pose.points[[R_HIP, L_HIP]].mean(0))


def _within(found: Pose, wanted: Pose, radius: float) -> float:
    if found.size != wanted.size:
        raise PoseError(f"poses of one photo are needed, got {found.size} and {wanted.size}")
    error = np.hypot(*(found.points - wanted.points).astype(np.float64).T)
    hit = found.drawn & (error <= radius)
    return float(hit[wanted.drawn].mean())


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.hypot(*(a - b).astype(np.float64)))
