"""Which parts of a person a photo shows at all."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.pipelines.puppet.body import Flags, Points
from reposedm.pipelines.puppet.rig import ARMS, LEGS, LIMBS, N_PARTS, TRUNK_PART
from reposedm.pose.skeleton import L_HIP, L_SHOULDER, MIRROR, NECK, R_HIP, R_SHOULDER

Mask = NDArray[np.bool_]

_APART: Final = (((R_SHOULDER, L_SHOULDER), 0.45), ((R_HIP, L_HIP), 0.25))
"""Distance of shoulders and hips over the trunk's length below which a person is seen from the
side: facing the camera it is 0.8 and 0.4."""


def find_present(points: Points, inside: Mask, known: Flags) -> NDArray[np.bool_]:
    """A limb is there when the person's mask covers a good part of its bone.

    Of somebody seen from the side, an arm that was not found is not: where it is thought to hang,
    the trunk is to be seen. Nor is a leg that was not found if the other was: it is behind that.
    """
    present = np.ones(N_PARTS, bool)
    person = inside.astype(np.float32)
    arms_apart, legs_apart = (across_trunk(points, pair) > apart for pair, apart in _APART)
    for part, limb in LIMBS.items():
        hidden = not known[limb.end]
        behind = part in ARMS and not arms_apart
        behind |= part in LEGS and not legs_apart and bool(known[MIRROR[limb.end]])
        if hidden and behind:
            present[part] = False
            continue
        t = np.linspace(0.1, 1.0, 24)[:, None]
        share = sample(person, points[limb.start] * (1 - t) + points[limb.end] * t).mean()
        present[part] = share > 0.35
    for part, limb in LIMBS.items():
        if limb.parent != TRUNK_PART and not present[limb.parent]:
            present[part] = False
    return present


def across_trunk(points: Points, pair: tuple[int, int]) -> float:
    """Distance of two joints across the trunk, over its length."""
    down = points[[R_HIP, L_HIP]].mean(0) - points[NECK]
    apart = points[pair[0]] - points[pair[1]]
    return abs(float(apart[0] * down[1] - apart[1] * down[0])) / max(float(down @ down), 1e-6)


def sample(values: NDArray[np.float32], at: Points) -> NDArray[np.float32]:
    """Values at the pixels that contain the points, 0 outside."""
    height, width = values.shape
    x, y = np.floor(at[:, 0]).astype(int), np.floor(at[:, 1]).astype(int)
    ok = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    result = np.zeros(len(at), np.float32)
    result[ok] = values[y[ok], x[ok]]
    return result
