"""The landmarks of a product picture guessed from its outline, without the landmark network."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError
from reposedm.pose import Pose
from reposedm.pose.skeleton import (
    L_ANKLE,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    N_JOINTS,
    NECK,
    R_ANKLE,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
)

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = dict[int, tuple[float, float]]

NOTE: Final = (
    "The weights of the landmark network are not installed: where the garment's shoulders, "
    "sleeves and hips are was guessed from its outline. Correct the joints if they are wrong."
)
_ACROSS: Final = 0.72
"""Shoulder width over trunk length (neck to hips) of a front view."""
_HIPS: Final = 0.38
"""Distance of the hip joints over trunk length."""
_WAIST: Final = 0.62
"""Width of a garment's waist over trunk length."""
_LEG: Final = 1.6
"""Leg length over trunk length."""


def guess_garment_pose(alpha: Floats, region: str) -> Pose:
    """The joints that a garment alone would cover, from its outline; all others are hidden.

    The garment is taken as seen from the front, upright: the wearer's right is on the left.

    Args:
        alpha: float32 (H, W) in [0, 1], the garment.
        region: "top", "outerwear", "dress" or "bottom".

    Raises:
        ImageError: a region that is no one garment, or no garment at all.
    """
    solid = alpha > 0.5
    if not solid.any():
        raise ImageError("No garment is to be seen on the garment photo: choose another one.")
    if region in ("shoes", "outfit"):
        name = "Shoes" if region == "shoes" else "A whole outfit"
        raise ImageError(
            f"{name} cannot be taken from a picture without a person: choose a photo of somebody "
            "who wears them."
        )
    joints = _lower(solid) if region == "bottom" else _upper(solid, region)
    points, state = np.zeros((N_JOINTS, 2), np.float32), np.zeros(N_JOINTS, np.uint8)
    for joint, place in joints.items():
        points[joint], state[joint] = place, 2
    hidden = state == 0
    points[hidden] = points[~hidden].mean(0)
    return Pose(points, (state / 2).astype(np.float32), state, (alpha.shape[1], alpha.shape[0]))


def is_split(alpha: Floats) -> bool:
    """Whether a lower garment has two legs: trousers or shorts, no skirt."""
    solid = alpha > 0.5
    rows = np.flatnonzero(solid.any(1))
    if not len(rows):
        return False
    top, bottom = float(rows[0]), float(rows[-1] + 1)
    left, right = _run(solid, top + 0.06 * (bottom - top))
    return any(
        _split(solid, top + t * (bottom - top), (left + right) / 2) for t in (0.9, 0.94, 0.97)
    )


def _upper(solid: Mask, region: str) -> Points:
    """A garment with shoulders."""
    rows = np.flatnonzero(solid.any(1))
    top, bottom = float(rows[0]), float(rows[-1] + 1)
    length = bottom - top
    probes = (0.3, 0.4) if region == "dress" else (0.6, 0.7, 0.8)
    middle = float(np.mean([np.mean(_run(solid, top + t * length)) for t in probes]))
    runs = [_run(solid, top + t * length, middle) for t in probes]
    wide = min(right - left for left, right in runs)  # a row may hold sleeves that touch the side
    middle = float(np.mean([(left + right) / 2 for left, right in runs]))
    across = 0.86 * wide  # the joints lie inside the seams
    trunk = across / _ACROSS
    if region != "dress":
        trunk = float(np.clip(trunk, 0.78 * length, 0.95 * length))
    shoulder = top + 0.15 * trunk  # joints lie under the cloth; the neck is level with them
    joints: Points = {
        NECK: (middle, shoulder),
        R_SHOULDER: (middle - across / 2, shoulder),
        L_SHOULDER: (middle + across / 2, shoulder),
        R_HIP: (middle - _HIPS / 2 * trunk, shoulder + trunk),
        L_HIP: (middle + _HIPS / 2 * trunk, shoulder + trunk),
    }
    for sign, shoulder_joint, elbow, wrist in (
        (-1, R_SHOULDER, R_ELBOW, R_WRIST), (1, L_SHOULDER, L_ELBOW, L_WRIST),
    ):  # fmt: skip
        _sleeve(joints, solid, sign, trunk, (shoulder_joint, elbow, wrist))
    return joints


def _sleeve(
    joints: Points, solid: Mask, sign: int, trunk: float, chain: tuple[int, int, int]
) -> None:
    """Elbow and wrist, where a sleeve shows them: along the line to its farthest pixel."""
    root = np.array(joints[chain[0]])
    ys, xs = np.nonzero(solid)
    out, below = sign * (xs - root[0]), ys - root[1]
    # Not the trunk's own side, which hangs down, or a flared hem.
    sleeve = (out > 0.06 * trunk) & (below < 1.05 * trunk) & (out > 0.3 * below)
    if not sleeve.any():
        return
    away = np.stack((xs[sleeve], ys[sleeve]), 1) + 0.5 - root
    reach = np.hypot(away[:, 0], away[:, 1])
    far = away[reach > np.quantile(reach, 0.97)].mean(0)
    length = float(np.hypot(*far))
    if length < 0.28 * trunk:
        return  # sleeveless
    if length < 0.75 * trunk:
        tip = root + far / length * 0.55 * trunk
        joints[chain[1]] = (float(tip[0]), float(tip[1]))
        return
    wrist = root + far * 0.97
    joints[chain[1]] = (float(root[0] + far[0] * 0.5), float(root[1] + far[1] * 0.5))
    joints[chain[2]] = (float(wrist[0]), float(wrist[1]))


def _lower(solid: Mask) -> Points:
    """Trousers, shorts or a skirt."""
    rows = np.flatnonzero(solid.any(1))
    top, bottom = float(rows[0]), float(rows[-1] + 1)
    length = bottom - top
    left, right = _run(solid, top + 0.06 * length)
    middle, trunk = (left + right) / 2, (right - left) / _WAIST
    hip = top + min(0.22 * trunk, 0.3 * length)
    joints: Points = {
        R_HIP: (middle - _HIPS / 2 * trunk, hip),
        L_HIP: (middle + _HIPS / 2 * trunk, hip),
    }
    split = _split(solid, top + 0.92 * length, middle)
    ends = split or (middle - 0.22 * trunk, middle + 0.22 * trunk)
    long = length > 1.25 * trunk
    leg = (bottom - 0.03 * length - hip) if long else _LEG * trunk
    for end, hip_joint, knee, ankle in (
        (ends[0], R_HIP, R_KNEE, R_ANKLE), (ends[1], L_HIP, L_KNEE, L_ANKLE),
    ):  # fmt: skip
        start = joints[hip_joint][0]
        drift = (end - start) / max(bottom - hip, 1.0)
        joints[knee] = (start + drift * 0.52 * leg, hip + 0.52 * leg)
        if long:
            joints[ankle] = (start + drift * leg, hip + leg)
    return joints


def _run(solid: Mask, y: float, near: float | None = None) -> tuple[float, float]:
    """(left, right) of the solid run of a row that holds, or is nearest to, ``near``."""
    row = solid[int(np.clip(y, 0, len(solid) - 1))]
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return 0.0, float(row.size)
    if near is None:
        return float(runs[0, 0]), float(runs[-1, 1])
    distance = np.maximum(runs[:, 0] - near, 0) + np.maximum(near - runs[:, 1], 0)
    left, right = runs[int(distance.argmin())]
    return float(left), float(right)


def _split(solid: Mask, y: float, middle: float) -> tuple[float, float] | None:
    """Centres of the two legs in a row, or None where there is one piece."""
    row = solid[int(np.clip(y, 0, len(solid) - 1))]
    if row[int(np.clip(middle, 0, row.size - 1))]:
        return None
    xs = np.flatnonzero(row)
    if not (xs < middle).any() or not (xs > middle).any():
        return None
    return float(xs[xs < middle].mean() + 0.5), float(xs[xs > middle].mean() + 0.5)
