"""How far a warp along the bones can be right: where a part only moves in the picture's plane.

A limb that keeps its length is the limb of the photo, turned; one that gets much shorter or longer
points another way in space, and shows a side of itself that the photo does not.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.pipelines.puppet.body import Body, Flags, Placement, Points
from reposedm.pipelines.puppet.parts import HEAD_PART, TRUNK_PART
from reposedm.pipelines.puppet.rig import LEGS, LIMBS
from reposedm.pose.skeleton import (
    L_HIP,
    L_SHOULDER,
    NECK,
    R_HIP,
    R_SHOULDER,
)

_LIMB: Final = (0.1, 0.3)
"""Change of a limb's length, over the trunk's, that is none, and that is another direction."""
_WIDTH: Final = (0.08, 0.22)
"""The same of the distance between the shoulders, or the hips."""


_IMPOSSIBLE: Final = 1.2
"""Length over the trunk's that no limb has: stretched as wanted is better than not drawn at all."""
_DRAGGED: Final = 2
"""Such limbs that one drag can make; where there are more, it is the trunk that was seen short."""
_OPEN: Final = 0.5
"""Certainty below which a part is left to others."""
_REACH: Final = 2.2
"""Half the width of what a limb with its clothes may fill, over its usual half width."""
_TRUNK_REACH: Final = 0.35
"""The same of the trunk's edges, over its length."""


def certainty(body: Body, goal: Placement) -> dict[int, float]:
    """For each part 0 .. 1, how far its pixels are right where the bones bring them.

    Args:
        body: the person on the photo.
        goal: where they go; nothing is certain of somebody ``turned``.
    """
    source, target = body.points, goal.points / goal.scale
    trunk = min(_steady(source, target, pair, body.unit, _WIDTH)
                for pair in ((R_SHOULDER, L_SHOULDER), (R_HIP, L_HIP)))  # fmt: skip
    down = (_middle(points) - points[NECK] for points in (source, target))
    heights = [float(np.hypot(*along)) for along in down]
    trunk *= _falling(abs(heights[0] - heights[1]) / body.unit, _LIMB)
    if goal.turned:
        trunk = 0.0
    # A face is who somebody is: better theirs, looking where it looked, than anybody's.
    found = {TRUNK_PART: trunk, HEAD_PART: 0.0 if goal.turned else 1.0}
    lengths = {part: float(np.hypot(*(target[limb.end] - target[limb.start])))
               for part, limb in LIMBS.items()}  # fmt: skip
    stretched = {part for part, length in lengths.items() if length > _IMPOSSIBLE * body.unit}
    for part, limb in LIMBS.items():
        own = _steady(source, target, (limb.start, limb.end), body.unit, _LIMB)
        if part in stretched and len(stretched) <= _DRAGGED:
            own = 1.0
        above = found.get(limb.parent, trunk)
        found[part] = own * (0.25 + 0.75 * above)
    return found


def left_open(
    body: Body, goal: Placement, present: Flags, size: tuple[int, int], scale: float
) -> NDArray[np.uint8]:
    """Where a warp has no answer: around limbs that are not certain, or not in the photo.

    Args:
        body: the person on the photo.
        goal: where they go.
        present: which parts the photo has.
        size: (width, height) of the answer.
        scale: its pixels over the photo's.

    Returns:
        uint8 (height, width), 255 there, 0 where what the bones bring is all there should be.
    """
    found = certainty(body, goal)
    drawn = np.zeros(size[::-1], np.uint8)
    points, unit = goal.points * scale, body.unit * goal.scale * scale
    if goal.turned:
        drawn[:] = 255
        return drawn
    if found[TRUNK_PART] < _OPEN:
        corners = points[[R_SHOULDER, L_SHOULDER, L_HIP, R_HIP]]
        cv2.fillConvexPoly(drawn, cv2.convexHull(np.rint(corners).astype(np.int32)), 255)
        for start, end in ((R_SHOULDER, L_SHOULDER), (R_HIP, L_HIP), (R_SHOULDER, R_HIP),
                           (L_SHOULDER, L_HIP), (NECK, NECK)):  # fmt: skip
            _capsule(drawn, points[start], points[end], _TRUNK_REACH * unit)
    for part, limb in LIMBS.items():
        ends = goal.wanted[[limb.start, limb.end]].all()
        if ends and (found[part] < _OPEN or not present[part]):
            along = points[limb.end] - points[limb.start]
            further = limb.beyond * unit * along / max(float(np.hypot(*along)), 1e-6)
            radius = _REACH * limb.radius * unit
            _capsule(drawn, points[limb.start], points[limb.end] + further, radius)
    return drawn


def of_cloth(found: dict[int, float]) -> float:
    """Of a part that hangs around both legs."""
    return found[TRUNK_PART] * min(found[part] for part in LEGS)


def _capsule(picture: NDArray[np.uint8], start: Points, end: Points, radius: float) -> None:
    a, b = (
        tuple(np.rint(np.clip(point, -1e4, 1e4)).astype(int).tolist()) for point in (start, end)
    )
    cv2.line(picture, a, b, 255, max(1, round(2 * radius)))


def _steady(
    source: Points, target: Points, pair: tuple[int, int], unit: float, limits: tuple[float, float]
) -> float:
    lengths = [float(np.hypot(*(points[pair[1]] - points[pair[0]]))) for points in (source, target)]
    return _falling(abs(lengths[0] - lengths[1]) / unit, limits)


def _falling(change: float, limits: tuple[float, float]) -> float:
    """1 up to the first limit, 0 from the second on."""
    return float(np.clip((limits[1] - change) / (limits[1] - limits[0]), 0, 1))


def _middle(points: Points) -> Points:
    middle: Points = points[[R_HIP, L_HIP]].mean(0)
    return middle
