"""Skirts, dresses and coats: found by their hem, carried by both legs and the trunk together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.pipelines.puppet.body import Points
from reposedm.pipelines.puppet.field import Array, Map, smoothstep
from reposedm.pose.skeleton import L_ANKLE, L_HIP, L_KNEE, R_ANKLE, R_HIP, R_KNEE

LEGS = ((R_HIP, R_KNEE, R_ANKLE), (L_HIP, L_KNEE, L_ANKLE))


def along_leg(points: Points, leg: tuple[int, int, int], s: float) -> Points:
    """The point at ``s`` of a leg's axis: hip 0, knee 1, ankle 2."""
    first, second = (leg[0], leg[1]) if s <= 1 else (leg[1], leg[2])
    t = s if s <= 1 else s - 1
    return np.asarray(points[first] * (1 - t) + points[second] * t)


def find_hem(
    image: NDArray[np.uint8], inside: NDArray[np.bool_], points: Points, unit: float
) -> float:
    """Where on the legs (hip 0, knee 1, ankle 2) a skirt ends; 0 without a skirt.

    A skirt is one piece from leg to leg, of one colour across, and ends in another colour.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab = cv2.GaussianBlur(lab, (0, 0), max(1.0, 0.08 * unit))
    steps = np.arange(0.15, 1.9, 0.05)
    height, width = inside.shape
    colours: list[NDArray[np.float32]] = []
    for leg in LEGS:
        at = np.array([along_leg(points, leg, s) for s in steps])
        x, y = np.floor(at[:, 0]).astype(int), np.floor(at[:, 1]).astype(int)
        ok = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        ok &= inside[y, x]
        colours.append(np.where(ok[:, None], lab[y, x], np.nan).astype(np.float32))
    jumps = [np.full(len(steps), np.nan) for _ in LEGS]
    for jump, colour in zip(jumps, colours, strict=True):
        jump[2:-2] = np.linalg.norm(colour[4:] - colour[:-4], axis=1)
    # A step counts where both legs have it at about the same height.
    wide = np.ones((1, 7), np.uint8)
    spread = [cv2.dilate(np.nan_to_num(jump)[None].astype(np.float32), wide)[0] for jump in jumps]
    steep = np.minimum(spread[0], spread[1])
    total = np.nan_to_num(jumps[0]) + np.nan_to_num(jumps[1])
    peaks = (steep >= 10) & (total >= cv2.dilate(total[None].astype(np.float32), wide)[0] - 1e-3)
    whole = np.array(
        [
            _is_one_piece(lab, inside, points, s, [colour[row] for colour in colours])
            for row, s in enumerate(steps)
        ]
    )
    found = 0.0
    for hem in steps[peaks & (steps >= 0.35) & (steps <= 1.75)]:
        checked = whole[(steps >= 0.3) & (steps <= hem - 0.12)]
        if len(checked) and checked.mean() >= 0.8:
            found = float(hem)
    return found


def _is_one_piece(
    lab: NDArray[np.float32],
    inside: NDArray[np.bool_],
    points: Points,
    s: float,
    colours: Sequence[NDArray[np.float32]],
) -> bool:
    """Whether the person fills the line between both legs' axes, in about one colour."""
    a, b = along_leg(points, LEGS[0], s), along_leg(points, LEGS[1], s)
    t = np.linspace(0, 1, 25)[:, None]
    at = np.floor(a * (1 - t) + b * t).astype(int)
    height, width = inside.shape
    if (at < 0).any() or (at >= (width, height)).any() or not inside[at[:, 1], at[:, 0]].all():
        return False
    across = lab[at[:, 1], at[:, 0]]
    ends = (colours[0] + colours[1]) / 2
    if np.isnan(ends).any():
        return False
    return bool(np.linalg.norm(across - ends, axis=1).max() < 22)


@dataclass(frozen=True)
class SkirtMap:
    """The trunk's map, turning into both legs' maps from the hips to the hem.

    Attributes:
        trunk: map of the trunk.
        legs: maps of the right and the left leg.
        axes: (2, 3, 2) target hip, knee and ankle of both legs.
        hem: where the skirt ends on the legs, hip 0, knee 1, ankle 2.
        reach: least distance over which trunk turns into leg, target pixels.
    """

    trunk: Map
    legs: tuple[Map, Map]
    axes: Points
    hem: float
    reach: float

    @property
    def turn(self) -> float:
        """The trunk's rotation."""
        return self.trunk.turn

    def __call__(self, points: Points) -> Points:
        """Map (N, 2) target points."""
        result = self.trunk(points)
        hips = self.axes[:, 0].mean(0)
        order = (0, 1, 2)
        end = np.mean([along_leg(axis, order, self.hem) for axis in self.axes], axis=0)
        along = end - hips
        length = max(float(np.linalg.norm(along)), 1e-6)
        down = (points - hips) @ (along / length)
        share = smoothstep(down, -0.1 * self.reach, max(0.7 * length, self.reach))
        rows = np.flatnonzero(share > 0)
        if not len(rows):
            return result
        some = points[rows]
        right, left = (_leg_distance(some, axis) for axis in self.axes)
        lean = (left - right) / (left + right + 1e-6)
        towards = smoothstep(lean, -0.9, 0.9)[:, None]
        leg = self.legs[0](some) * towards + self.legs[1](some) * (1 - towards)
        result[rows] += share[rows, None] * (leg - result[rows])
        return result


def _leg_distance(points: Points, axis: Points) -> Array:
    """(N,) distance to the thigh and shin of one leg."""
    best = np.full(len(points), np.inf)
    for a, b in ((axis[0], axis[1]), (axis[1], axis[2])):
        along = b - a
        t = np.clip((points - a) @ along / max(float(along @ along), 1e-6), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - a - t[:, None] * along, axis=1))
    return best
