"""How far a warp along the bones can be right: where a part only moves in the picture's plane.

A limb that keeps its length is the limb of the photo, turned; one that gets much shorter or longer
points another way in space, and shows a side of itself that the photo does not.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from reposedm.pipelines.puppet.body import Body, Placement, Points
from reposedm.pipelines.puppet.parts import HEAD_PART, TRUNK_PART
from reposedm.pipelines.puppet.rig import LEGS, LIMBS
from reposedm.pose.skeleton import (
    L_EYE,
    L_HIP,
    L_SHOULDER,
    NECK,
    NOSE,
    R_EYE,
    R_HIP,
    R_SHOULDER,
)

_LIMB: Final = (0.1, 0.3)
"""Change of a limb's length, over the trunk's, that is none, and that is another direction."""
_WIDTH: Final = (0.08, 0.22)
"""The same of the distance between the shoulders, or the hips."""
_TURN: Final = (0.15, 0.5)
"""The same of where the nose is between the eyes."""


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
    lengths = [float(np.hypot(*along)) for along in down]
    trunk *= _falling(abs(lengths[0] - lengths[1]) / body.unit, _LIMB)
    if goal.turned:
        trunk = 0.0
    found = {TRUNK_PART: trunk, HEAD_PART: trunk}
    if body.known[[NOSE, R_EYE, L_EYE]].all() and goal.wanted[[NOSE, R_EYE, L_EYE]].all():
        found[HEAD_PART] = trunk * _falling(abs(_turn(source) - _turn(target)), _TURN)
    for part, limb in LIMBS.items():
        own = _steady(source, target, (limb.start, limb.end), body.unit, _LIMB)
        above = found.get(limb.parent, trunk)
        found[part] = own * (0.25 + 0.75 * above)
    return found


def of_cloth(found: dict[int, float]) -> float:
    """Of a part that hangs around both legs."""
    return found[TRUNK_PART] * min(found[part] for part in LEGS)


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


def _turn(points: Points) -> float:
    """Where the nose is between the eyes, -0.5 .. 0.5 over the eyes themselves."""
    apart = points[L_EYE] - points[R_EYE]
    length = float(apart @ apart)
    middle = (points[L_EYE] + points[R_EYE]) / 2
    return float((points[NOSE] - middle) @ apart / length) if length > 1e-6 else np.inf
