"""Coordinates that all people share: body part, position on the template, fabric chart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic.labels import (
    ARM_PARTS,
    HAIR_PART,
    HAT_PART,
    LEG_PARTS,
    PARTS,
    SKIRT_PART,
)
from training.synthetic.maths import unit

Array = NDArray[Any]

CHART_LEFT: Final = -4.712389
CHART_BOTTOM: Final = -8.6
CHART_SIDE: Final = 16.4
"""The fabric chart: a square of dm; s runs round the garment, t is height."""
TURN: Final = 9.424778
"""Length of s once round the trunk: patterns whose period divides it close at the back."""
BOX_MARGIN: Final = 1.2
_BLEND: Final = 0.12
"""How softly the chart bends at the elbow, dm: a hard switch tears the pattern."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A mesh on the template.

    Attributes:
        position: float32 (N, 3), canonical position of the vertices.
        part: int32 (T,), body part of the triangles.
        chart: float32 (T, 3, 2), fabric coordinates of the corners in 0..1, v up.
        long_chart: the same where legs belong to the trunk: the chart of tops that reach below
            the hips, whose pattern would jump at every thigh otherwise.
    """

    position: Array
    part: Array
    chart: Array
    long_chart: Array


class Canon:
    """Finds parts and fabric coordinates of meshes fitted to the template."""

    def __init__(
        self, template: Array, rest: Array, bone: dict[str, int], bone_part: Array
    ) -> None:
        """Remember the template's joints."""
        self.template, self.rest, self.bone, self.bone_part = template, rest, bone, bone_part

    def joint(self, bone: str) -> Array:
        """(3,) a joint of the template."""
        return self.rest[self.bone[bone]]

    def surface(
        self, position: Array, triangles: Array, bones: Array, weights: Array, whole: int = 0
    ) -> Surface:
        """The canonical data of a mesh.

        Args:
            position: (N, 3) on the template.
            triangles: (T, 3).
            bones: (N, 4).
            weights: (N, 4).
            whole: 0: parts follow the bones; otherwise all of it is that part (hair, skirt, hat),
                and its chart goes round the body's axis.
        """
        if whole:
            part = np.full(len(triangles), whole)
        else:
            of_vertex = self.bone_part[bones[np.arange(len(bones)), weights.argmax(1)]]
            corners = of_vertex[triangles]
            part = np.where(corners[:, 0] == corners[:, 1], corners[:, 0], corners[:, 2])
        part = part.astype(np.int32)
        corners = position[triangles]
        of_trunk = np.where(np.isin(part, LEG_PARTS), 0, part)
        chart = self._chart(corners, np.zeros_like(part) if whole else part, whole)
        long_chart = chart if whole else self._chart(corners, of_trunk, whole)
        return Surface(position.astype(np.float32), part, chart, long_chart)

    def _chart(self, corners: Array, part: Array, whole: int) -> Array:
        chart = np.zeros((len(corners), 3, 2), np.float64)
        limbs = np.isin(part, ARM_PARTS + LEG_PARTS)
        axis = np.array((0.0, 0.0, 0.0 if whole else 0.2))
        up = np.array((0.0, 1.0, 0.0))
        chart[~limbs] = _round(corners[~limbs], (axis, up), 1.5, (0.0, 0.0), 1.0)
        for side, left in (("R", 0), ("L", 1)):
            arm = np.isin(part, [p + left for p in ARM_PARTS[::2]])
            chart[arm] = self._arm(corners[arm], side, (6.283, 9.42)[left])
            leg = np.isin(part, [p + left for p in LEG_PARTS[::2]])
            hip, ankle = self.joint(f"upperleg01.{side}"), self.joint(f"foot.{side}")
            start = ((-1.5, 1.5)[left], 0.5)
            chart[leg] = _round(corners[leg], (hip, ankle - hip), 1.0, start, -1.0)
        chart[..., 0] = (chart[..., 0] - CHART_LEFT) / CHART_SIDE
        chart[..., 1] = (chart[..., 1] - CHART_BOTTOM) / CHART_SIDE
        return chart.astype(np.float32)

    def _arm(self, corners: Array, side: str, start: float) -> Array:
        """Upper and fore arm as one sleeve, bent softly at the elbow."""
        shoulder, elbow, wrist = (
            self.joint(f"{name}.{side}") for name in ("upperarm01", "lowerarm01", "wrist")
        )
        length = float(np.linalg.norm(elbow - shoulder))
        upper = _round(corners, (shoulder, elbow - shoulder), 0.5, (start, 5.0), -1.0)
        lower = _round(corners, (elbow, wrist - elbow), 0.5, (start, 5.0 - length), -1.0)
        hinge = unit(unit(elbow - shoulder) + unit(wrist - elbow))
        share = 1 / (1 + np.exp(-np.clip((corners - elbow) @ hinge / _BLEND, -30, 30)))
        below = share.mean(1) > 0.5
        out = np.where(below[:, None, None], lower, upper)
        out[..., 1] = upper[..., 1] * (1 - share) + lower[..., 1] * share
        return out

    def boxes(self, triangles: Array, part: Array) -> Array:
        """float32 (20, 2, 3): the box of each part that canonical maps are quantised in."""
        box = np.zeros((len(PARTS), 2, 3), np.float32)
        for index in range(1, HAIR_PART):
            inside = self.template[triangles[part == index]].reshape(-1, 3)
            box[index] = inside.min(0) - BOX_MARGIN, inside.max(0) + BOX_MARGIN
        box[HAIR_PART] = (-2.5, 2.5, -3), (2.5, 9.5, 3)
        box[SKIRT_PART] = (-5, -8.5, -4), (5, 3, 4)
        box[HAT_PART] = (-3, 5, -3), (3, 10, 4)
        return box


def _round(
    corners: Array,
    line: tuple[Array, Array],
    radius: float,
    start: tuple[float, float],
    sign: float,
) -> Array:
    """Cylinder coordinates (T, 3, 2) of triangle corners (T, 3, 3); no triangle is torn."""
    origin, axis = line[0], unit(line[1])
    front = unit(np.array((0.0, 0.0, 1.0)) - axis * axis[2])
    side = np.cross(axis, front)
    offset = corners - origin
    angle = np.arctan2(offset @ side, offset @ front)
    turns = np.round((angle - angle[:, :1]) / (2 * np.pi))
    angle = angle - 2 * np.pi * turns
    return np.stack((start[0] + angle * radius, start[1] + sign * (offset @ axis)), -1)
