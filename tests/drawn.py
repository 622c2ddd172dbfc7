"""A drawn person on a textured background, with their pose and mask: a photo made in code."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.pose import Pose
from reposedm.pose.skeleton import LIMBS

# A standing person, as parts of a photo 0.75 times as wide as tall.
STANDING = (
    (0.50, 0.17), (0.50, 0.27),
    (0.42, 0.27), (0.38, 0.40), (0.37, 0.52),
    (0.58, 0.27), (0.62, 0.40), (0.63, 0.52),
    (0.45, 0.53), (0.44, 0.70), (0.44, 0.87),
    (0.55, 0.53), (0.56, 0.70), (0.56, 0.87),
    (0.48, 0.155), (0.52, 0.155), (0.46, 0.165), (0.54, 0.165),
)  # fmt: skip


def standing(width: int, height: int) -> Pose:
    points = np.array(STANDING) * (width, height)
    ones, visible = np.ones(18, np.float32), np.full(18, 2, np.uint8)
    return Pose(points.astype(np.float32), ones, visible, (width, height))


def arms_up(pose: Pose) -> Pose:
    """The same person with both wrists above the head."""
    points = pose.points.copy()
    for shoulder, elbow, wrist in ((2, 3, 4), (5, 6, 7)):
        points[elbow] = points[shoulder] * (1, 2) - points[elbow] * (0, 1)
        points[elbow, 0] = pose.points[elbow, 0]
        points[wrist] = points[elbow] + (0, pose.points[elbow, 1] - pose.points[wrist, 1])
    return pose.replace(points=points)


def photo(width: int = 96, height: int = 128) -> tuple[NDArray, Pose, NDArray]:
    """uint8 (H, W, 3), the pose on it, float32 (H, W) mask."""
    pose = standing(width, height)
    mask = np.zeros((height, width), np.uint8)
    thick = max(3, round(height * 0.055))
    points = np.rint(pose.points).astype(int).tolist()
    for a, b in LIMBS:
        cv2.line(mask, points[a], points[b], 255, thick)
    cv2.fillPoly(mask, [np.array([points[i] for i in (2, 5, 11, 8)])], 255)
    cv2.circle(mask, points[0], round(height * 0.065), 255, -1)
    rows, columns = np.mgrid[:height, :width]
    image = np.stack(
        (120 + 60 * np.sin(columns / 9), 140 + 60 * np.cos(rows / 7), 90 + rows / height * 80), -1
    )
    person = np.stack((200 - rows / 3 % 60, 60 + columns % 40, 70 + 0 * rows), -1)
    image[mask > 0] = person[mask > 0]
    soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.8)
    return image.astype(np.uint8), pose, soft
