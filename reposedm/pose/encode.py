"""Poses as network inputs: heat maps, and the 20 channels of PIDM."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import PoseError
from reposedm.pose.draw import limb_polygon
from reposedm.pose.pose import JointState, Pose
from reposedm.pose.skeleton import COLORS, LIMBS, N_JOINTS

PEAK: Final = {JointState.HIDDEN: 0.0, JointState.BEHIND: 0.5, JointState.VISIBLE: 1.0}
PIDM_STICK: Final = 4
PIDM_CHANNELS: Final = 20


def heat_maps(
    pose: Pose, shape: tuple[int, int], sigma: float | tuple[float, float] = 2.0
) -> NDArray[np.float32]:
    """One Gaussian a joint: peak 1 where it is visible, 0.5 behind, all zero where hidden.

    Args:
        pose: its photo is stretched over the whole grid.
        shape: (h, w) of the grid.
        sigma: standard deviation in cells of the grid, one or (along y, along x).

    Returns:
        float32 (18, h, w); the cell in row r, column c is sampled at its centre (c + .5, r + .5).

    Raises:
        PoseError: a grid or a sigma that is not positive.
    """
    h, w = shape
    sigma_y, sigma_x = np.broadcast_to(np.asarray(sigma, np.float64), 2)
    if h < 1 or w < 1 or not (sigma_x > 0 and sigma_y > 0):
        raise PoseError(f"heat maps need a grid and a sigma above 0, not {shape} and {sigma}")
    x, y = (pose.points.astype(np.float64) * (w, h) / pose.size).T
    peak = np.array([PEAK[JointState(state)] for state in pose.state])
    across = np.exp(-((np.arange(w) + 0.5 - x[:, None]) ** 2) / (2 * sigma_x**2))
    along = np.exp(-((np.arange(h) + 0.5 - y[:, None]) ** 2) / (2 * sigma_y**2))
    maps = peak[:, None, None] * along[:, :, None] * across[:, None, :]
    return maps.astype(np.float32)


def pidm_encoding(pose: Pose, shape: tuple[int, int]) -> NDArray[np.float32]:
    """PIDM's pose input, exactly: 3 channels of a drawing, 17 of distances to the limbs.

    The drawing is in 0..1 with blue first, joints as discs of radius 4 under limbs that are laid
    over them one after the other at 60 %. Distances are city-block, in thirds of a pixel's 255th:
    ``min(floor(d / 3), 255) / 255``; a limb without both joints is 1.0 everywhere.

    Args:
        pose: its photo is stretched over the whole frame; joints that are behind count.
        shape: (h, w) of the frame.

    Returns:
        float32 (20, h, w).

    Raises:
        PoseError: a frame without pixels.
    """
    h, w = shape
    if h < 1 or w < 1:
        raise PoseError(f"a frame of {w} x {h} pixels is not possible")
    points = pose.points.astype(np.float64) * (w, h) / pose.size
    canvas = np.zeros((h, w, 3), np.uint8)
    for joint in range(N_JOINTS):
        if pose.drawn[joint]:
            x, y = (int(value) for value in points[joint])
            cv2.circle(canvas, (x, y), PIDM_STICK, COLORS[joint], thickness=-1)
    channels = np.ones((PIDM_CHANNELS, h, w), np.float32)
    for limb, (start, end) in enumerate(LIMBS):
        if not (pose.drawn[start] and pose.drawn[end]):
            continue
        polygon = limb_polygon(points[start], points[end], PIDM_STICK)
        over = canvas.copy()
        cv2.fillConvexPoly(over, polygon, COLORS[limb])
        canvas = cv2.addWeighted(canvas, 0.4, over, 0.6, 0)  # type: ignore[assignment]
        outside = np.full((h, w), 255, np.uint8)
        cv2.fillConvexPoly(outside, polygon, [0])
        distance = cv2.distanceTransform(outside, cv2.DIST_L1, 3)
        channels[3 + limb] = np.clip(distance / 3, 0, 255).astype(np.uint8) / np.float32(255)
    channels[:3] = canvas[:, :, ::-1].transpose(2, 0, 1) / np.float32(255)
    return channels
