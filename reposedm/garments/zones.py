"""Which part of the body is where, from the joints alone; and what of a person is bare skin."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.detect.limbs import draw_body
from reposedm.detect.limbs import unit as unit_of
from reposedm.pose import JointState, Pose
from reposedm.pose.skeleton import (
    L_ANKLE,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    NOSE,
    R_ANKLE,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
)

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

HEAD, TRUNK, ARM, LEG, FOOT = range(5)
"""The zones of ``body_zones``."""
_ARMS = ((R_SHOULDER, R_ELBOW), (R_ELBOW, R_WRIST), (L_SHOULDER, L_ELBOW), (L_ELBOW, L_WRIST))
_LEGS = ((R_HIP, R_KNEE), (R_KNEE, R_ANKLE), (L_HIP, L_KNEE), (L_KNEE, L_ANKLE))
_TRUNK_UNITS: Final = 0.65
"""A body's unit (``detect.limbs.unit``) over the length of its trunk."""
_SLIM: Final = 0.9
"""Half widths of a bare body over those that a detector's outline has room for."""


ANY_TONE: Final = (
    np.array([60.0, 14.0, 17.0], np.float32), np.array([55.0, 10.0, 13.0], np.float32)
)  # fmt: skip
"""Middle and half axes, in CIE Lab, of the colours of human skin of all tones."""


def with_hips(pose: Pose) -> Pose:
    """The pose with hips guessed below the shoulders, where the photo ends above them."""
    hidden = [joint for joint in (R_HIP, L_HIP) if not pose.drawn[joint]]
    if not hidden or not pose.drawn[[R_SHOULDER, L_SHOULDER]].all():
        return pose
    across = pose.points[L_SHOULDER] - pose.points[R_SHOULDER]
    middle = (pose.points[L_SHOULDER] + pose.points[R_SHOULDER]) / 2
    side = across / max(float(np.hypot(*across)), 1e-6)
    down = np.array([-side[1], side[0]])
    above = middle - pose.points[NOSE] if pose.drawn[NOSE] else np.array([0.0, 1.0])
    if down @ above < 0:
        down = -down
    trunk = unit_of(pose) / _TRUNK_UNITS
    points, state = pose.points.copy(), pose.state.copy()
    for joint in hidden:
        points[joint] = middle + trunk * (down + (0.19 if joint == L_HIP else -0.19) * side)
        state[joint] = JointState.BEHIND
    return pose.replace(points=points, state=state, extras={})


def bare_body(pose: Pose, shape: tuple[int, int]) -> Mask:
    """Where the body itself must be, without loose clothes: bool (H, W)."""
    return np.asarray(draw_body(with_hips(pose), shape, _SLIM) > 0)


def body_zones(pose: Pose, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """(H, W) the nearest part of the body, each measured in its own half widths."""
    pose = with_hips(pose)
    unit = unit_of(pose)
    far = np.full((5, *shape), 1e6, np.float32)
    points, drawn = pose.points, pose.drawn

    def near(part: int, a: NDArray[np.float32], b: NDArray[np.float32], radius: float) -> None:
        far[part] = np.minimum(far[part], segment_distance(shape, a, b) - radius * unit)

    face = [joint for joint in (NOSE, 14, 15, 16, 17) if drawn[joint]]
    if face:
        centre = points[face].mean(0)
        near(HEAD, centre, centre, 0.32)
    trunk = [joint for joint in (R_SHOULDER, L_SHOULDER, L_HIP, R_HIP) if drawn[joint]]
    if len(trunk) >= 3:
        canvas = np.ones(shape, np.uint8)
        cv2.fillConvexPoly(canvas, cv2.convexHull(points[trunk].round().astype(np.int32)), 0)
        outside = cv2.distanceTransform(canvas, cv2.DIST_L2, 5)
        far[TRUNK] = outside - 0.12 * unit * (canvas == 0) - 0.02 * unit
    if drawn[NECK]:
        near(TRUNK, points[NECK], points[NECK], 0.08)
    for part, bones, radius in ((ARM, _ARMS, 0.09), (LEG, _LEGS, 0.15)):
        for start, end in bones:
            if drawn[start] and drawn[end]:
                begin = points[start]
                if start in (R_SHOULDER, L_SHOULDER, R_HIP, L_HIP):
                    begin = 0.75 * points[start] + 0.25 * points[end]
                near(part, begin, points[end], radius)
    for elbow, wrist in ((R_ELBOW, R_WRIST), (L_ELBOW, L_WRIST)):
        if drawn[elbow] and drawn[wrist]:
            tip = points[wrist] + 0.4 * (points[wrist] - points[elbow])
            near(ARM, points[wrist], tip, 0.08)
    for knee, ankle in ((R_KNEE, R_ANKLE), (L_KNEE, L_ANKLE)):
        if drawn[knee] and drawn[ankle]:
            shin = points[ankle] - points[knee]
            near(FOOT, points[ankle] + 0.07 * shin, points[ankle] + 0.3 * shin, 0.13)
    return far.argmin(0)


def hands(pose: Pose, shape: tuple[int, ...]) -> Mask:
    """Beyond the wrists and a cuff: bool (H, W), of the pixels that an arm is nearest to."""
    found = np.zeros((shape[0], shape[1]), bool)
    for elbow, wrist in ((R_ELBOW, R_WRIST), (L_ELBOW, L_WRIST)):
        if pose.drawn[elbow] and pose.drawn[wrist]:
            a, b = pose.points[elbow], pose.points[wrist]
            hand = segment_distance(shape, b + 0.3 * (b - a), b + 0.4 * (b - a))
            found |= hand < segment_distance(shape, a, b)
    return found


def shins(pose: Pose, shape: tuple[int, ...]) -> Mask:
    """Between the knees and the ankles, a little above these: bool (H, W)."""
    found = np.zeros((shape[0], shape[1]), bool)
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + 0.5
    for knee, ankle in ((R_KNEE, R_ANKLE), (L_KNEE, L_ANKLE)):
        if pose.drawn[knee] and pose.drawn[ankle]:
            a, b = pose.points[ankle], pose.points[knee]
            bone = b - a
            square = max(float(bone @ bone), 1e-6)
            along = ((xs - a[0]) * bone[0] + (ys - a[1]) * bone[1]) / square
            across = ((xs - a[0]) * bone[1] - (ys - a[1]) * bone[0]) / square
            found |= (along > 0.06) & (along < 1) & (np.abs(across) < 0.3)
    return found


def skin_seen(lab: Floats, pose: Pose, inside: Mask) -> Mask:
    """Where the colour is that of this person's face; without a face, that of skin in general.

    Args:
        lab: float32 (H, W, 3), the photo in CIE Lab.
        pose: the person's, in its pixels.
        inside: bool (H, W), the person.
    """
    face = [joint for joint in (NOSE, 14, 15) if pose.visible[joint]]
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.0)
    tone, reach = ANY_TONE
    if NOSE in face:
        centre = pose.points[face].mean(0)
        near = inside & (segment_distance(inside.shape, centre, centre) < 0.14 * unit_of(pose))
        if near.sum() >= 12:
            tone = np.median(smooth[near], axis=0).astype(np.float32)
            reach = np.array([32.0, 8.0, 9.0], np.float32)
    return np.asarray((((smooth - tone) / reach) ** 2).sum(-1) < 1) & inside


def any_skin(lab: Floats) -> Mask:
    """Where a colour, float32 (H, W, 3) in CIE Lab, could be anybody's skin."""
    tone, reach = ANY_TONE
    return np.asarray((((lab - tone) / reach) ** 2).sum(-1) < 1)


def along_trunk(pose: Pose, shape: tuple[int, ...]) -> Floats:
    """(H, W) how far down the trunk a pixel lies: neck 0, hips 1."""
    pose = with_hips(pose)
    hips = [joint for joint in (R_HIP, L_HIP) if pose.drawn[joint]]
    if not hips or not pose.drawn[NECK]:
        return np.zeros((shape[0], shape[1]), np.float32)
    neck, hip = pose.points[NECK], pose.points[hips].mean(0)
    along = hip - neck
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + 0.5
    square = max(float(along @ along), 1.0)
    return np.asarray(((xs - neck[0]) * along[0] + (ys - neck[1]) * along[1]) / square, np.float32)


def segment_distance(
    shape: tuple[int, ...], a: NDArray[np.floating], b: NDArray[np.floating]
) -> NDArray[np.float32]:
    """(H, W) distance of each pixel's centre to a segment."""
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + 0.5
    along = np.asarray(b, np.float32) - np.asarray(a, np.float32)
    square = max(float(along @ along), 1e-6)
    t = np.clip(((xs - a[0]) * along[0] + (ys - a[1]) * along[1]) / square, 0, 1)
    return np.asarray(np.hypot(xs - a[0] - t * along[0], ys - a[1] - t * along[1]), np.float32)
