"""No holes in the trunk: between shoulders and hips there is body, whatever the layers left open.

Layers are cut where an arm or the photo's edge hid the trunk, and a trunk that turns to the camera
gets wider than the photo showed it. What is then seen through it is the background.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.imaging.smooth import smooth_fill
from reposedm.pipelines.puppet.body import Points
from reposedm.pipelines.puppet.parts import fill_polygon, trunk_outline
from reposedm.pipelines.puppet.presence import across_trunk
from reposedm.pose.skeleton import L_HIP, L_SHOULDER, NECK, R_HIP, R_SHOULDER

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_SOLID: Final = 250
_OPEN: Final = 128
_SHRINK: Final = -0.08
"""Of the hips' and the shoulders' distance: cloth may end before the joints."""
_AROUND: Final = 12
"""Pixels around the trunk whose colours go into its holes."""
_DEPTH: Final = 0.5
"""Distance of the shoulders over the trunk's length below which a trunk is seen from the side, and
reaches further than its joints by what is missing."""


def close_trunk(picture: Image, points: Points, *, enclosed: bool) -> None:
    """Fill what is open between shoulders and hips with the colours around it, in place.

    Seen from the side a trunk is wider than between its joints: there what the person surrounds is
    filled, too. An arm was cut out of it; from the front it would be the air beside an arm.

    Args:
        picture: uint8 (H, W, 4), straight alpha.
        points: (18, 2) joints in its pixels, complete.
        enclosed: only what the person surrounds on all sides: for joints that were guessed.
    """
    outline = trunk_outline(points, _SHRINK)
    beside = _beside(points)
    around = _AROUND + round(min(beside, max(picture.shape)))
    low = np.maximum(np.floor(outline.min(0)).astype(int) - around, 0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + around, picture.shape[1::-1])
    if (high - low < 3).any():
        return
    box = np.s_[low[1] : high[1], low[0] : high[0]]
    inside = fill_polygon((int(high[1] - low[1]), int(high[0] - low[0])), outline - low)
    alpha = picture[box][..., 3]
    if not (alpha < _OPEN).any() or not (alpha >= _SOLID).any():
        return
    closed = _surrounded(picture[..., 3])[box]
    if enclosed:
        inside &= closed
    if beside >= 1:
        inside |= cv2.dilate(inside, _disc(beside)) & closed
    if not ((alpha < _OPEN) & (inside > 0)).any():
        return
    share = cv2.blur(cv2.erode(inside, np.ones((3, 3), np.uint8)).astype(np.float32), (3, 3))
    before = alpha.astype(np.float32) / 255
    after = np.maximum(before, share)
    colors = picture[box][..., :3].astype(np.float32)
    behind = smooth_fill(colors, alpha >= _SOLID)
    mixed = colors * before[..., None] + behind * (after - before)[..., None]
    changed = after > before
    mixed /= np.maximum(after, 1e-3)[..., None]
    picture[box][..., :3][changed] = np.rint(mixed[changed]).clip(0, 255).astype(np.uint8)
    alpha[changed] = np.rint(after[changed] * 255).astype(np.uint8)


def _beside(points: Points) -> float:
    """How much further a trunk reaches than its joints, in pixels; 0 where it faces the camera."""
    length = float(np.hypot(*(points[[R_HIP, L_HIP]].mean(0) - points[NECK])))
    return max(0.0, _DEPTH - across_trunk(points, (R_SHOULDER, L_SHOULDER))) * length


def _disc(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _surrounded(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 where a pixel's way to the picture's border leads through the person."""
    open_ = np.pad((alpha < _OPEN).astype(np.uint8), 1, constant_values=1)
    _, labels = cv2.connectedComponents(open_, connectivity=4)
    found: NDArray[np.uint8] = (labels != labels[0, 0])[1:-1, 1:-1].astype(np.uint8)
    return found
