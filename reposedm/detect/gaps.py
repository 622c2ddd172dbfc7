"""Gaps between a hand and the body: small places inside the mask that show plain background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.detect.limbs import draw_body, unit
from reposedm.imaging.smooth import smooth_fill
from reposedm.pose.pose import Pose
from reposedm.pose.skeleton import L_ELBOW, L_WRIST, R_ELBOW, R_WRIST

Plane = NDArray[np.float32]

_ARMS = ((R_ELBOW, R_WRIST), (L_ELBOW, L_WRIST))
_REACH = 0.75
"""Gaps are looked for this near to the middle of a hand, in the body's units."""

_ALIKE = 9.0
"""Levels by which a gap's colour may differ from the background beside it."""

_APART = 22.0
"""Levels by which the person next to a gap must differ from it."""


def open_gaps(image: NDArray[np.uint8], mask: Plane, pose: Pose) -> Plane:
    """The mask without the background seen between fingers, or between a hand and a thigh.

    Only what has the plain colour of the background close by, and stands out against the person
    round it, is opened: white trousers before a white wall stay.

    Args:
        image: uint8 (H, W, 3) RGB.
        mask: float32 (H, W) in [0, 1].
        pose: the person's, in pixels of the image.
    """
    result = mask.copy()
    size = unit(pose)
    for elbow, wrist in _ARMS:
        if not pose.drawn[wrist]:
            continue
        hand = pose.points[wrist].astype(float)
        if pose.drawn[elbow]:
            hand = hand + 0.2 * (hand - pose.points[elbow])
        low = np.clip(np.floor(hand - _REACH * size), 0, None).astype(int)
        high = np.ceil(hand + _REACH * size).astype(int)
        box = np.s_[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
        if min(result[box].shape) >= 8:
            height, width = result[box].shape
            moved = pose.transformed(1.0, -low.astype(float), (width, height))
            body = draw_body(moved, (height, width), 0.7) > 0
            result[box] = _opened(image[box], result[box], body, size)
    return result


def _opened(image: NDArray[np.uint8], mask: Plane, body: NDArray[np.bool_], size: float) -> Plane:
    """One hand's surroundings; what lies mostly in the ``body``'s own bones is cloth, no gap."""
    outside = cv2.erode((mask < 0.02).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if outside.mean() < 0.02:
        return mask
    calm = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32)
    behind = smooth_fill(calm, outside)
    off = np.abs(calm - behind).max(-1)
    alike = (off < _ALIKE) & (mask > 0.02)
    core = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=4)
    least, most = max(6.0, (0.02 * size) ** 2), (0.35 * size) ** 2
    kernel = np.ones((7, 7), np.uint8)
    gaps = np.zeros(mask.shape, np.uint8)
    for label in range(1, count):
        if not least <= stats[label, cv2.CC_STAT_AREA] <= most:
            continue
        left, top, width, height = stats[label, :4]
        box = np.s_[max(0, top - 6) : top + height + 6, max(0, left - 6) : left + width + 6]
        own = (labels[box] == label).astype(np.uint8)
        if body[box][own > 0].mean() > 0.3:
            continue
        ring = (cv2.dilate(own, kernel) > cv2.dilate(own, np.ones((3, 3), np.uint8))) & (
            mask[box] > 0.5
        )
        if not ring.any():
            continue
        colour = np.median(calm[box][own > 0], axis=0)
        contrast = np.abs(calm[box][ring] - colour).max(-1)
        if (contrast > _APART).mean() > 0.6:
            gaps[box] |= own
    if not gaps.any():
        return mask
    # The gap's soft rim: how far each pixel there lies from the background's colour.
    rim = cv2.dilate(gaps, np.ones((5, 5), np.uint8)) > 0
    alpha = np.where(rim, np.clip((off - 6) / 40, 0, 1), 1)
    alpha[gaps > 0] = 0
    return np.minimum(mask, alpha).astype(np.float32)
