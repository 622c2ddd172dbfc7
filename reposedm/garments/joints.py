"""The landmarks of a garment alone, and the joints of a body that they stand for.

A garment has no joints. Where a swap needs a pose, it is that of the body which the garment was cut
for: straight limbs, in the proportions below, hung onto collar, cuffs, waist and hems.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import DetectionError
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

Points = NDArray[np.float32]
Spot = NDArray[np.float64]

LANDMARKS: Final = (
    "collar right", "collar middle", "collar left", "right cuff outer", "right cuff inner",
    "left cuff outer", "left cuff inner", "waist right", "waist left", "hem right", "hem middle",
    "hem left", "right leg outer", "right leg inner", "left leg outer", "left leg inner",
)  # fmt: skip
"""What the landmark network looks for. Right and left are the wearer's."""

MIRRORED: Final = (2, 1, 0, 5, 6, 3, 4, 8, 7, 11, 10, 9, 14, 15, 12, 13)
"""Where landmark l's place comes from when left and right are exchanged."""

OF_REGION: Final[dict[str, tuple[int, ...]]] = {
    "top": (0, 1, 2, 3, 4, 5, 6, 9, 10, 11),
    "outerwear": (0, 1, 2, 3, 4, 5, 6, 9, 10, 11),
    "dress": (0, 1, 2, 3, 4, 5, 6, 9, 10, 11),
    "bottom": (7, 8, 9, 10, 11, 12, 13, 14, 15),
}
"""Landmarks that a region's garment can have."""

_COLLAR_R, _COLLAR_L, _WAIST_R, _WAIST_L, _HEM_R, _HEM_M, _HEM_L = 0, 2, 7, 8, 9, 10, 11
_CUFFS: Final = ((3, 4), (5, 6))
_LEGS: Final = ((12, 13), (14, 15))


def pose_of_landmarks(
    points: Points, known: NDArray[np.bool_], region: str, size: tuple[int, int]
) -> Pose:
    """The joints that a garment shows; all others are hidden.

    Args:
        points: (16, 2) pixels of ``LANDMARKS``.
        known: bool (16,), which of them were found.
        region: "top", "outerwear", "dress" or "bottom".
        size: (width, height) of the picture.

    Raises:
        DetectionError: the region is no one garment, or collar, waist or hem were not found.
    """
    if region not in OF_REGION:
        raise DetectionError(
            f"the region {region} has no landmarks in a picture without a person: choose a photo "
            "of somebody who wears it"
        )
    usable = np.zeros(len(LANDMARKS), bool)
    usable[list(OF_REGION[region])] = True
    marks = {i: np.asarray(points[i], float) for i in np.flatnonzero(known & usable)}
    joints = _lower(marks) if region == "bottom" else _upper(marks, region)
    places, state = np.zeros((N_JOINTS, 2), np.float32), np.zeros(N_JOINTS, np.uint8)
    for joint, spot in joints.items():
        places[joint], state[joint] = spot, 2
    hidden = state == 0
    places[hidden] = places[~hidden].mean(0)  # somewhere sensible to pick them up from
    return Pose(places, (state / 2).astype(np.float32), state, size)


# Proportions of the bodies in the rendered products, in trunk lengths (neck to the hips' middle)
# and leg lengths (hip to ankle); with how far single bodies are from the mean where that is much.
_NECK: Final = 0.22
"""From the collar down to the neck joint."""
_ACROSS: Final = 0.75
_HIPS: Final = 0.43
_UPPER_ARM: Final = 0.53
_ARM: Final = 0.91
_LEG: Final = 1.6
_HEM: Final = {"top": 0.77, "outerwear": 0.77, "dress": 0.92}
"""Width of the hem; a tenth up or down."""
_LEAST: Final = 0.3
"""A sleeve or leg that covers less of its limb does not say where the limb goes."""
_LENGTHS: Final = {"top": (0.95, 1.4), "outerwear": (0.95, 2.6), "dress": (1.6, 2.8)}
"""From collar to hem, shortest and longest."""
_WAIST: Final = 0.34
"""Width of the waistband, in leg lengths."""
_HIP: Final = 0.11
_HIPS_IN_WAISTS: Final = 0.72
_THIGH: Final = 0.48


def _upper(marks: dict[int, Spot], region: str) -> dict[int, Spot]:
    """A garment with shoulders."""
    _need(marks, (_COLLAR_R, _COLLAR_L, _HEM_R, _HEM_L), "collar and hem")
    collar = (marks[_COLLAR_R] + marks[_COLLAR_L]) / 2
    hem = (marks[_HEM_R] + marks[_HEM_L]) / 2
    down, side, length = _axes(collar, hem, marks[_HEM_L] - marks[_HEM_R])
    wide = float(np.hypot(*(marks[_HEM_L] - marks[_HEM_R])))
    short, long = _LENGTHS[region]
    trunk = float(np.clip(wide / _HEM[region], length / long, length / short))
    neck = collar + _NECK * trunk * down
    hips = neck + trunk * down
    joints = {
        NECK: neck,
        R_SHOULDER: neck - 0.5 * _ACROSS * trunk * side,
        L_SHOULDER: neck + 0.5 * _ACROSS * trunk * side,
        R_HIP: hips - 0.5 * _HIPS * trunk * side,
        L_HIP: hips + 0.5 * _HIPS * trunk * side,
    }
    for cuff, chain in zip(
        _CUFFS, ((R_SHOULDER, R_ELBOW, R_WRIST), (L_SHOULDER, L_ELBOW, L_WRIST)), strict=True
    ):
        _limb(joints, _middle(marks, cuff), chain, _ARM * trunk, _UPPER_ARM / _ARM)
    if region == "dress":
        _skirt(joints, marks, _LEG * trunk)
    return joints


def _lower(marks: dict[int, Spot]) -> dict[int, Spot]:
    """Trousers, shorts or a skirt."""
    _need(marks, (_WAIST_R, _WAIST_L), "waist")
    waist = (marks[_WAIST_R] + marks[_WAIST_L]) / 2
    wide = float(np.hypot(*(marks[_WAIST_L] - marks[_WAIST_R])))
    ends = [_middle(marks, leg) for leg in _LEGS]
    trousers = ends[0] is not None and ends[1] is not None
    if not trousers:
        _need(marks, (_HEM_R, _HEM_L), "two legs or hem")
        ends = [marks[_HEM_R], marks[_HEM_L]]
    end = (np.asarray(ends[0]) + np.asarray(ends[1])) / 2
    down, side, length = _axes(waist, end, marks[_WAIST_L] - marks[_WAIST_R])
    leg = max(wide, 1e-6) / _WAIST
    if trousers and length > 0.75 * (1 + _HIP) * leg:  # their own length says more
        leg = length / (1 + _HIP)
    hips = waist + _HIP * leg * down
    joints = {
        R_HIP: hips - 0.5 * _HIPS_IN_WAISTS * wide * side,
        L_HIP: hips + 0.5 * _HIPS_IN_WAISTS * wide * side,
    }
    if not trousers:
        _skirt(joints, marks, leg)
        return joints
    for leg_end, chain in zip(
        ends, ((R_HIP, R_KNEE, R_ANKLE), (L_HIP, L_KNEE, L_ANKLE)), strict=True
    ):
        _limb(joints, leg_end, chain, leg, _THIGH)
    return joints


def _skirt(joints: dict[int, Spot], marks: dict[int, Spot], leg: float) -> None:
    """Legs under a skirt, as far as it goes: half way between its middle and its sides."""
    middle = (marks[_HEM_R] + marks[_HEM_L]) / 2
    for hem, chain in (
        (marks[_HEM_R], (R_HIP, R_KNEE, R_ANKLE)), (marks[_HEM_L], (L_HIP, L_KNEE, L_ANKLE)),
    ):  # fmt: skip
        _limb(joints, (middle + hem) / 2, chain, leg, _THIGH)


def _limb(
    joints: dict[int, Spot], end: Spot | None, chain: tuple[int, int, int], whole: float,
    upper: float,
) -> None:  # fmt: skip
    """The middle joint where cloth shows a limb's direction, the last where it covers most of it.

    Args:
        joints: the chain's first is there; the others are added.
        end: where the cloth ends.
        chain: of joints.
        whole: length of the limb, pixels.
        upper: its first bone's part of that.
    """
    if end is None:
        return
    start = joints[chain[0]]
    reach = float(np.hypot(*(end - start)))
    if reach < _LEAST * whole:
        return
    along = (end - start) / reach
    if reach > 0.8 * whole:
        joints[chain[1]], joints[chain[2]] = start + upper * reach * along, end
        return
    joints[chain[1]] = start + upper * whole * along


def _axes(start: Spot, end: Spot, across: Spot) -> tuple[Spot, Spot, float]:
    """Unit vectors down the garment and to the wearer's left, and the length."""
    length = float(np.hypot(*(end - start)))
    if length < 1:
        raise DetectionError(
            "The landmarks of the garment lie on one spot: choose a larger picture of it, or "
            "place its joints by hand"
        )
    down = (end - start) / length
    side = np.array((down[1], -down[0]))
    return down, (side if side @ across >= 0 else -side), length


def _middle(marks: dict[int, Spot], pair: tuple[int, int]) -> Spot | None:
    found = [marks[index] for index in pair if index in marks]
    return sum(found[1:], found[0]) / len(found) if found else None


def _need(marks: dict[int, Spot], wanted: tuple[int, ...], names: str) -> None:
    if any(index not in marks for index in wanted):
        raise DetectionError(
            f"The garment's {names} were not found on its picture: choose another region or "
            "picture, or place its joints by hand"
        )
