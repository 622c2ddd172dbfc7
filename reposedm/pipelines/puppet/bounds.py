"""How far a layer can reach in the target, so that only that box is rendered."""

from __future__ import annotations

import numpy as np

from reposedm.pipelines.puppet.body import Body, Placement, Points
from reposedm.pipelines.puppet.field import HeadMap, LimbMap, Map, TrunkMap
from reposedm.pipelines.puppet.rig import LIMBS
from reposedm.pipelines.puppet.skirt import SkirtMap


def layer_bounds(
    body: Body, goal: Placement, maps: dict[int, Map], part: int, corners: Points
) -> Points:
    """Target points whose box contains the layer whose source corners are given."""
    field = maps[part]
    if isinstance(field, LimbMap):
        limb = LIMBS[part]
        return _limb_bounds(
            body.points[[limb.start, limb.end]],
            goal.points[[limb.start, limb.end]],
            goal.scale,
            corners,
        )
    if isinstance(field, HeadMap):
        inverse = np.linalg.inv(field.head.matrix)
        head = (corners - field.head.offset) @ inverse.T
        return np.concatenate([head, goal.points[[1]]])
    if isinstance(field, SkirtMap):
        trunk = layer_bounds(body, goal, {**maps, part: field.trunk}, part, corners)
        slack = 0.6 * body.unit * goal.scale
        ends = field.axes.reshape(-1, 2)
        return np.concatenate([trunk, ends - slack, ends + slack])
    assert isinstance(field, TrunkMap)
    inverse = np.linalg.inv(field.affine)
    placed = (corners - field.offset) @ inverse.T
    slack = np.abs(field.residual).max() * goal.scale + 0.05 * body.unit * goal.scale
    return np.concatenate([placed - slack, placed + slack, goal.points[[1, 2, 5, 8, 11]]])


def _limb_bounds(source: Points, target: Points, scale: float, corners: Points) -> Points:
    """Corners carried along the bone, and discs as wide as the layer round both joints."""
    along_s, along_t = source[1] - source[0], target[1] - target[0]
    length_s = max(float(np.linalg.norm(along_s)), 1e-6)
    length_t = max(float(np.linalg.norm(along_t)), 1e-6)
    unit_s, unit_t = along_s / length_s, along_t / length_t
    offset = corners - source[0]
    t = offset @ unit_s
    n = offset @ np.array([-unit_s[1], unit_s[0]]) * scale
    inner = np.clip(t, 0, length_s)
    g = inner * (length_t / length_s) + (t - inner) * scale
    across = np.array([-unit_t[1], unit_t[0]])
    placed = target[0] + g[:, None] * unit_t + n[:, None] * across
    # The caps at the joints turn with the neighbours, so they need a disc, not a box.
    reach = float(np.abs(n).max())
    reach = min(reach, 0.5 * length_s * scale)
    discs = np.concatenate([target - reach, target + reach])
    return np.concatenate([placed, discs])
