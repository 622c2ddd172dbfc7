"""The default detector: mediapipe's networks, everything inside its wheel, works offline."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reposedm.detect.bodies import VISIBLE, Body, find_bodies, inside, reach
from reposedm.detect.detection import Detection
from reposedm.detect.regions import Photo
from reposedm.pose.pose import JointState, Pose
from reposedm.pose.skeleton import (
    FROM_BLAZEPOSE_33,
    L_ANKLE,
    L_EAR,
    L_EYE,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    NECK,
    NOSE,
    R_ANKLE,
    R_EAR,
    R_EYE,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
)

_FACE = (NOSE, R_EYE, L_EYE)


def detect(image: NDArray[np.uint8], max_people: int) -> list[Detection]:
    """People on ``image`` uint8 (H, W, 3) RGB, largest first, at most ``max_people``."""
    photo = Photo(image)
    found = [_detection(body, photo) for body in find_bodies(image)]
    return sorted(found, key=lambda person: -person.area)[:max_people]


def _detection(body: Body, photo: Photo) -> Detection:
    pose = to_pose(body, photo)
    return Detection(
        pose=pose,
        box=_box(body, photo),
        confidence=float(np.clip(body.presence * math.sqrt(max(body.score, 0.0)), 0, 1)),
        notes=_notes(pose),
    )


def to_pose(body: Body, photo: Photo) -> Pose:
    """Our 18 joints of a body.

    The network gives all 33 points always. A joint is visible at visibility >= 0.5 inside the
    photo, else hidden; hidden ones keep their place, at most 20 % of the photo outside it.
    """
    joints = [index if index is not None else 11 for index in FROM_BLAZEPOSE_33]
    points = body.points[joints].copy()
    score = body.visibility[joints].copy()
    points[NECK] = body.points[[11, 12]].mean(0)
    score[NECK] = body.visibility[[11, 12]].min()
    shown = (score >= VISIBLE) & inside(points, photo)
    shown[hidden_face(body)] = False
    margin = 0.2 * np.array([photo.width, photo.height])
    points = np.clip(points, -margin, margin / 0.2 + margin)
    state = np.where(shown, JointState.VISIBLE, JointState.HIDDEN)
    return Pose(points, score, state.astype(np.uint8), (photo.width, photo.height))


def hidden_face(body: Body) -> list[int]:
    """Joints of the face that cannot be seen, though the network reports them all as visible.

    It says visibility 1.0 for the nose of a person seen from behind. What does tell is its depth:
    with the nose more than 0.8 of the neck's length behind the ears, the face looks away (nose
    and eyes are hidden); with one ear far behind the other, that ear is hidden, in a full profile
    the eye too. The limits were set on twelve annotated people and are no more than a good guess.
    """
    nose, ears = body.points[0], body.points[[8, 7]]
    neck = float(np.hypot(*(nose - body.points[[11, 12]].mean(0)))) + 1e-3
    width = float(np.hypot(*(ears[0] - ears[1]))) + 1e-3
    gap = float(body.depth[8] - body.depth[7])  # positive: the right ear is the farther one
    if body.depth[0] - body.depth[[7, 8]].mean() > 0.8 * neck:
        return list(_FACE)
    hidden = []
    if abs(gap) > 1.6 * width:
        hidden.append(R_EAR if gap > 0 else L_EAR)
    if abs(gap) > 10 * width:
        hidden.append(R_EYE if gap > 0 else L_EYE)
    return hidden


def _box(body: Body, photo: Photo) -> tuple[float, float, float, float]:
    """The box of all points on the photo, with the room that head, hands and feet need."""
    points = body.points[:33]
    shown = inside(points, photo)
    points = points[shown] if shown.any() else points
    (left, top), (right, bottom) = points.min(0), points.max(0)
    pad = 0.06 * reach(body.points)
    head = max(0.0, _head_room(body))
    return (
        float(np.clip(left - pad, 0, photo.width)),
        float(np.clip(min(top - pad, top - head), 0, photo.height)),
        float(np.clip(right + pad, 0, photo.width)),
        float(np.clip(bottom + pad, 0, photo.height)),
    )


def _head_room(body: Body) -> float:
    """From the eyes to the top of the hair, pixels: about the eyes' height over the shoulders."""
    eyes = body.points[[2, 5]].mean(0)
    return float(0.6 * np.hypot(*(eyes - body.points[[11, 12]].mean(0))))


def _notes(pose: Pose) -> tuple[str, ...]:
    shown = pose.visible
    notes = []
    if not shown[[L_SHOULDER, R_SHOULDER]].any():
        notes.append("the shoulders are not visible")
    if not shown[[L_HIP, R_HIP, L_KNEE, R_KNEE]].any():
        notes.append("only the upper body is visible")
    elif not shown[[L_ANKLE, R_ANKLE]].any():
        notes.append("the feet are not visible")
    if not shown[list(_FACE)].any() and shown[[L_EAR, R_EAR, NECK]].any():
        notes.append("seen from behind, so the face is hidden")
    return tuple(notes)


def likeness(one: Pose, other: Pose) -> float:
    """How much two poses lie on the same person, in [0, 1]: near joints count, of those in both."""
    both = one.drawn & other.drawn
    if not both.any():
        return 0.0
    spread = max(np.ptp(pose.points[pose.drawn], axis=0).max() for pose in (one, other))
    gaps = np.hypot(*(one.points[both] - other.points[both]).T) / max(0.1 * float(spread), 1.0)
    return float(
        np.exp(-(gaps**2) / 2).mean() * both.sum() / min(one.drawn.sum(), other.drawn.sum())
    )
