"""Where a person's body must be, from the joints alone: tubes around the bones, pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.pose.pose import Pose
from reposedm.pose.skeleton import (
    L_ANKLE,
    L_EAR,
    L_ELBOW,
    L_EYE,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    NOSE,
    R_ANKLE,
    R_EAR,
    R_ELBOW,
    R_EYE,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
)

_TUBES = (
    (R_SHOULDER, R_ELBOW, 0.16), (R_ELBOW, R_WRIST, 0.12), (L_SHOULDER, L_ELBOW, 0.16),
    (L_ELBOW, L_WRIST, 0.12), (R_HIP, R_KNEE, 0.24), (R_KNEE, R_ANKLE, 0.17),
    (L_HIP, L_KNEE, 0.24), (L_KNEE, L_ANKLE, 0.17), (NECK, NOSE, 0.18),
    (R_SHOULDER, L_SHOULDER, 0.14),
)  # fmt: skip
"""Bone and the radius of its tube, as a share of the body's unit."""

_HANDS = ((R_ELBOW, R_WRIST, 0.4), (L_ELBOW, L_WRIST, 0.4))
"""Forearm and how much of its length the hand reaches beyond the wrist."""

_FACE = (NOSE, R_EYE, L_EYE, R_EAR, L_EAR)


def unit(pose: Pose) -> float:
    """The person's scale on the photo, pixels: near the shoulder width of a front view.

    The largest of shoulder width, 0.6 x trunk and the like, because each of them foreshortens.
    """

    def length(one: int, other: int, share: float) -> float:
        if not (pose.drawn[one] and pose.drawn[other]):
            return 0.0
        return share * float(np.hypot(*(pose.points[one] - pose.points[other])))

    lengths = (
        length(R_SHOULDER, L_SHOULDER, 1.0),
        length(R_SHOULDER, R_HIP, 0.65),
        length(L_SHOULDER, L_HIP, 0.65),
        length(R_HIP, R_KNEE, 0.7),
        length(L_HIP, L_KNEE, 0.7),
        length(R_KNEE, R_ANKLE, 0.75),
        length(L_KNEE, L_ANKLE, 0.75),
        length(R_SHOULDER, R_ELBOW, 1.0),
        length(L_SHOULDER, L_ELBOW, 1.0),
        length(NECK, NOSE, 1.3),
    )
    box = pose.box()
    extent = max(box[2] - box[0], box[3] - box[1]) if box else 0.0
    return max(*lengths, 0.1 * extent, 2.0)


def draw_body(
    pose: Pose,
    shape: tuple[int, int],
    grow: float = 1.0,
    tips: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """uint8 (H, W), 255 inside the drawn bones' tubes, the trunk and the head.

    Args:
        pose: in pixels of the plane that is drawn on.
        shape: (H, W).
        grow: factor of every radius.
        tips: (N, 2, 2) further bones, in the same pixels: fingers and feet.
    """
    canvas = np.zeros(shape, np.uint8)
    size = unit(pose)
    points, drawn = pose.points, pose.drawn
    for one, other, share in _TUBES:
        if drawn[one] and drawn[other]:
            _line(canvas, points[one], points[other], share * size * grow)
    for elbow, wrist, share in _HANDS:
        if drawn[elbow] and drawn[wrist]:
            tip = points[wrist] + share * (points[wrist] - points[elbow])
            _line(canvas, points[wrist], tip, 0.1 * size * grow)
    trunk = [joint for joint in (R_SHOULDER, L_SHOULDER, L_HIP, R_HIP) if drawn[joint]]
    if len(trunk) >= 3:
        corners = points[trunk] * 16 - 8
        cv2.fillPoly(canvas, [corners.round().astype(np.int32)], 255, shift=4)  # type: ignore[call-overload]
    for start, end in tips if tips is not None else ():
        _line(canvas, start, end, 0.08 * size * grow)
    face = [joint for joint in _FACE if drawn[joint]]
    if face:
        _line(canvas, points[face].mean(0), points[face].mean(0), 0.3 * size * grow)
    return canvas


def _line(
    canvas: NDArray[np.uint8],
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    radius: float,
) -> None:
    """A thick line with round ends."""
    ends = [tuple(round(float(v) * 16 - 8) for v in point) for point in (start, end)]
    thickness = max(1, round(2 * radius))
    cv2.line(canvas, ends[0], ends[1], 255, thickness, cv2.LINE_8, 4)
