"""The one rule by which a pose is drawn: controlnet-aux's OpenPose body map.

On a canvas of 512 px short side: each limb whose two joints are drawn is a filled ellipse round
the middle of the limb, half its length long and ``STICK`` px thick to either side, in ``LIMB_DIM``
of its colour; over all limbs come the joints, discs of radius ``STICK`` in full colour. All
coordinates, the half length and the angle in degrees are cut off to whole numbers. Nothing is
blended or smoothed. People are drawn one after the other, limbs and joints of one before the next.
Hidden joints are not drawn, joints that are behind are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import PoseError
from reposedm.pose.pose import Pose
from reposedm.pose.skeleton import COLORS, LIMBS, N_JOINTS

SHORT_SIDE: Final = 512
"""Short side in pixels of the map that is shown, exported and given to networks."""
STICK: Final = 4
"""Half thickness of a limb and radius of a joint, in pixels, at ``SHORT_SIDE``."""
LIMB_DIM: Final = 0.6
"""Brightness of a limb; its joints have the full colour."""
MAX_SIDE: Final = 8192


def draw_map(people: Sequence[Pose], short_side: int | None = SHORT_SIDE) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB on black, of the photo's aspect.

    Args:
        people: the poses, all on one photo.
        short_side: of the map in pixels; None: the photo's own. Line width goes with it.

    Raises:
        PoseError: nobody to draw, people of different photos, or a map of an impossible size.
    """
    sizes = {pose.size for pose in people}
    if len(sizes) != 1:
        raise PoseError("a map needs people of one photo" if sizes else "there is nobody to draw")
    width, height = map_size(sizes.pop(), short_side)
    canvas = np.zeros((height, width, 3), np.uint8)
    stick = max(1, round(STICK * min(width, height) / SHORT_SIDE))
    for pose in people:
        _draw_person(canvas, pose, stick)
    return canvas


def map_size(size: tuple[int, int], short_side: int | None) -> tuple[int, int]:
    """(width, height) of the map for a photo of ``size``."""
    scale = 1.0 if short_side is None else short_side / min(size)
    width, height = (round(side * scale) for side in size)
    if min(width, height) < 1 or max(width, height) > MAX_SIDE:
        raise PoseError(f"a map of {width} x {height} pixels is not possible (1 to {MAX_SIDE})")
    return width, height


def limb_polygon(a: Sequence[float], b: Sequence[float], stick: int) -> NDArray[np.int32]:
    """Corners of the ellipse round the limb from ``a`` to ``b`` (x, y in pixels)."""
    middle = (int((a[0] + b[0]) / 2), int((a[1] + b[1]) / 2))
    length = math.hypot(a[0] - b[0], a[1] - b[1])
    angle = math.degrees(math.atan2(a[1] - b[1], a[0] - b[0]))
    polygon: NDArray[np.int32] = cv2.ellipse2Poly(
        middle, (int(length / 2), stick), int(angle), 0, 360, 1
    )
    return polygon


def _draw_person(canvas: NDArray[np.uint8], pose: Pose, stick: int) -> None:
    height, width = canvas.shape[:2]
    # Normalise first, as the detectors do: the order of roundings decides which pixel is hit.
    points = (pose.points.astype(np.float64) / pose.size) * (width, height)
    for (start, end), color in zip(LIMBS, COLORS, strict=False):
        if pose.drawn[start] and pose.drawn[end]:
            polygon = limb_polygon(points[start], points[end], stick)
            cv2.fillConvexPoly(canvas, polygon, [int(c * LIMB_DIM) for c in color])
    for joint in range(N_JOINTS):
        if pose.drawn[joint]:
            x, y = (int(value) for value in points[joint])
            cv2.circle(canvas, (x, y), stick, COLORS[joint], thickness=-1)
