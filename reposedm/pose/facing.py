"""Which side of a person a pose shows, and a preset that shows the same side as the photo.

A preset that faces the camera, put on a person who is seen from behind, would ask for a chest and a
face that the photo never showed: what comes out is a back with its left and right exchanged. Most
people who choose "standing" there mean the posture. The page does the same in JavaScript
(``pose_editor/static/core/actions.js``), and its "Turn to front" undoes it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.pose.pose import JointState, Pose
from reposedm.pose.skeleton import (
    L_ELBOW,
    L_EYE,
    L_HIP,
    L_SHOULDER,
    L_WRIST,
    MIRROR,
    NECK,
    NOSE,
    R_ELBOW,
    R_EYE,
    R_HIP,
    R_SHOULDER,
    R_WRIST,
)

AWAY: Final = -0.1
"""Of ``breadth``: below, the back is turned to the camera; nearer to 0 it is the side."""
FRONT: Final = 0.4
"""Of ``breadth``: from here upwards a pose faces the camera, less than 60 degrees turned."""

_TRUNK: Final = [NECK, R_SHOULDER, L_SHOULDER, R_HIP, L_HIP]
_FACE: Final = [NOSE, R_EYE, L_EYE]
_ARMS: Final = (R_ELBOW, R_WRIST, L_ELBOW, L_WRIST)


def breadth(pose: Pose) -> float | None:
    """From the right shoulder to the left one along x, in trunks (neck to middle of the hips).

    Returns:
        About 0.8 facing the camera, 0 from the side, -0.8 from behind; None without a trunk.
    """
    if not pose.drawn[_TRUNK].all():
        return None
    points = pose.points.astype(np.float64)
    trunk = float(np.hypot(*(points[[R_HIP, L_HIP]].mean(0) - points[NECK])))
    return float(points[L_SHOULDER, 0] - points[R_SHOULDER, 0]) / trunk if trunk > 0 else None


def turned_away(pose: Pose) -> bool:
    """Whether a person shows the back to the camera, and does not look into it either.

    Who looks over the shoulder, nose and both eyes seen, has a face that a frontal pose can take.
    """
    width = breadth(pose)
    return width is not None and width < AWAY and not pose.drawn[_FACE].all()


def to_back(pose: Pose) -> Pose:
    """The pose of a person who faces the camera, seen from behind.

    The outline stays as it is on the picture; left and right change places, the face goes out of
    sight, and an arm before the trunk is behind it and the other way round.
    """
    other = list(MIRROR)
    points, state = pose.points[other], pose.state[other].copy()
    state[_FACE] = JointState.HIDDEN
    for joint in _ARMS:
        if state[joint] and _in_trunk(points, joint):
            state[joint] = JointState.BEHIND + JointState.VISIBLE - state[joint]
    return pose.replace(points=points, score=pose.score[other], state=state, extras={})


def with_side_of(pose: Pose, body: Pose) -> Pose:
    """A pose that faces the camera ``to_back`` where the person on the photo is ``turned_away``.

    Args:
        pose: of any frame; one that does not face the camera is returned as it is.
        body: the person on the photo.
    """
    width = breadth(pose)
    faces = width is not None and width >= FRONT and bool(pose.drawn[_FACE].any())
    return to_back(pose) if faces and turned_away(body) else pose


def _in_trunk(points: NDArray[np.float32], joint: int) -> bool:
    corners = points[[R_SHOULDER, L_SHOULDER, L_HIP, R_HIP]].astype(np.float64)
    edges, spokes = np.roll(corners, -1, 0) - corners, points[joint] - corners
    turns = edges[:, 0] * spokes[:, 1] - edges[:, 1] * spokes[:, 0] > 0
    return bool((turns == turns[0]).all())
