"""Background seen between a hand and a thigh is opened; cloth of the same colour stays."""

from __future__ import annotations

import cv2
import numpy as np

from reposedm.detect.gaps import open_gaps
from reposedm.pose import Pose
from tests.drawn import standing

W, H = 300, 400
WALL, CLOTH, SKIN = (205, 210, 208), (30, 50, 120), (200, 150, 120)


def drawn() -> tuple[np.ndarray, np.ndarray, Pose, np.ndarray]:
    """A dark body, a hand beside it, a mask that closes the gap between; and the gap."""
    pose = standing(W, H)
    image = np.full((H, W, 3), WALL, np.uint8)
    mask = np.zeros((H, W), np.uint8)
    x, y = (int(v) for v in pose.points[4])
    for canvas, cloth, skin in ((image, CLOTH, SKIN), (mask, 255, 255)):
        cv2.rectangle(canvas, (x + 14, 100), (200, 350), cloth, -1)
        cv2.line(canvas, (x, y - 50), (x, y + 30), skin, 10)
    gap = np.zeros((H, W), bool)
    gap[y - 10 : y + 24, x + 6 : x + 14] = True
    mask[gap] = 255
    return image, mask.astype(np.float32) / 255, pose, gap & (image == WALL).all(-1)


def test_the_gap_is_opened_and_nothing_else() -> None:
    image, mask, pose, gap = drawn()
    opened = open_gaps(image, mask, pose)
    assert opened[gap].mean() < 0.25 and (opened[gap] < 0.1).mean() > 0.7
    far = cv2.dilate(gap.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0
    assert np.array_equal(opened[far], mask[far])
    person = (mask > 0) & (image != WALL).any(-1)
    assert opened[person].mean() > 0.97


def test_cloth_of_the_walls_colour_stays() -> None:
    """White trousers before a white wall: no edge says where they end."""
    image, mask, pose, _ = drawn()
    image[(image == CLOTH).all(-1)] = WALL
    opened = open_gaps(image, mask, pose)
    assert (mask - opened).sum() < 0.02 * mask.sum()


def test_without_hands_or_background_nothing_changes() -> None:
    image, mask, pose, _ = drawn()
    state = pose.state.copy()
    state[[4, 7]] = 0
    assert np.array_equal(open_gaps(image, mask, pose.replace(state=state)), mask)
    full = np.ones_like(mask)
    assert np.array_equal(open_gaps(image, full, pose), full)
    away = pose.replace(points=pose.points + 10_000)
    assert np.array_equal(open_gaps(image, mask, away), mask)
