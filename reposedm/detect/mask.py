"""The soft mask of one person on a photograph.

Two networks see different things: the landmark network's mask knows *which* person but is coarse
and loses wide clothes; the selfie network finds all people with good edges but not whose they are.
Their evidence is added up as log-odds, with the joints as a prior and the other people on the
photo against it; the edge is then pulled to the photo's own colours and edges.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.detect.bodies import PRESENCE, Body, find_bodies, look
from reposedm.detect.gaps import open_gaps
from reposedm.detect.graphs import LANDMARK_SIDE, networks
from reposedm.detect.limbs import draw_body, unit
from reposedm.detect.mediapipe_backend import likeness, to_pose
from reposedm.detect.refine import follow_edges
from reposedm.detect.regions import Photo, Region
from reposedm.errors import DetectionError
from reposedm.pose.pose import Pose

Plane = NDArray[np.float32]
Box = tuple[int, int, int, int]

_WORK = 448
"""The evidence is added up on a window whose long side has at most this many pixels."""

_TIPS = ((15, 19), (15, 17), (16, 20), (16, 18), (27, 29), (29, 31), (28, 30), (30, 32))
"""Bones of the landmark network's 33 points that our 18 joints lack: palms, heels, toes."""

_COLOUR = 2.5
"""Log-odds of the colours' vote."""

_STEEP = 1.8
"""The evidence is one-sided enough to make up its mind: grey zones become halos in a cut-out."""

_SURE = 3.0
"""Log-odds beyond which a network's word is not trusted any further."""


def person_mask(image: NDArray[np.uint8], pose: Pose) -> Plane:
    """Soft alpha of the person that ``pose`` lies on; other people are left out.

    Args:
        image: uint8 (H, W, 3) RGB, the upright photo.
        pose: the person's joints in its pixels.

    Returns:
        float32 (H, W) in [0, 1].

    Raises:
        DetectionError: the pose is of a photo of another size, or mediapipe is not installed.
        PoseError: the pose has no drawn joint.
    """
    height, width = image.shape[:2]
    if pose.size != (width, height):
        raise DetectionError(
            f"the pose belongs to a photo of {pose.size[0]} x {pose.size[1]} pixels, "
            f"this one has {width} x {height}"
        )
    pose.check_usable()
    photo = Photo(image)
    own, others = _whose(photo, image, pose)
    left, top, right, bottom = box = _window(pose, own, photo)
    if right - left < 2 or bottom - top < 2:
        return np.zeros((height, width), np.float32)
    coarse = _evidence(photo, box, pose, own, others)
    coarse = _by_colour(image[top:bottom, left:right], coarse)
    coarse = _attached(coarse, _moved(pose, box, coarse.shape[:2]))
    size = (right - left, bottom - top)
    coarse = np.clip(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), 0, 1)
    radius = max(2, round(max(size) / _WORK * 4))
    mask = np.zeros((height, width), np.float32)
    mask[top:bottom, left:right] = follow_edges(image[top:bottom, left:right], coarse, radius)
    return open_gaps(image, mask, pose)


def _whose(photo: Photo, image: NDArray[np.uint8], pose: Pose) -> tuple[Body | None, list[Body]]:
    """The body that the pose lies on, if the network sees one there, and everybody else."""
    bodies = find_bodies(image)
    scores = [likeness(to_pose(body, photo), pose) for body in bodies]
    if scores and max(scores) > 0.4:
        best = int(np.argmax(scores))
        return bodies[best], [body for index, body in enumerate(bodies) if index != best]
    box = pose.box()
    assert box is not None  # a usable pose has drawn joints
    body = look(photo, Region.of_box(box, 1.3))
    own = body if body.presence >= PRESENCE and likeness(to_pose(body, photo), pose) > 0.3 else None
    return own, [body for body, score in zip(bodies, scores, strict=True) if score < 0.2]


def _window(pose: Pose, own: Body | None, photo: Photo) -> Box:
    """The part of the photo that can hold the person: (left, top, right, bottom)."""
    points = pose.points[pose.drawn]
    if own is not None:  # also the joints that clothes or things hide, as far as the photo goes
        points = np.vstack([points, own.points[:33].clip(0, (photo.width, photo.height))])
    room = 0.9 * unit(pose)
    (left, top), (right, bottom) = points.min(0) - room, points.max(0) + room
    return (
        int(np.clip(left, 0, photo.width)),
        int(np.clip(top, 0, photo.height)),
        int(np.clip(np.ceil(right), 0, photo.width)),
        int(np.clip(np.ceil(bottom), 0, photo.height)),
    )


def _moved(pose: Pose, box: Box, shape: tuple[int, ...]) -> Pose:
    """The pose in the pixels of a plane of ``shape`` that shows ``box``."""
    left, top, right, bottom = box
    scale = np.array([shape[1] / (right - left), shape[0] / (bottom - top)])
    return pose.transformed(scale, -np.array([left, top]) * scale, (shape[1], shape[0]))


def _evidence(photo: Photo, box: Box, pose: Pose, own: Body | None, others: list[Body]) -> Plane:
    """Coarse mask in [0, 1] on a small plane that shows ``box``."""
    left, top, right, bottom = box
    scale = min(1.0, _WORK / max(right - left, bottom - top))
    shape = (max(2, round((bottom - top) * scale)), max(2, round((right - left) * scale)))

    def laid(plane: Plane, region: Region) -> Plane:
        return _on_window(plane, region, box, shape)

    square = Region.of_box((float(left), float(top), float(right), float(bottom)))
    selfie = _odds(laid(networks.selfie(square.crop(photo, LANDMARK_SIDE)), square))
    selfie = 0.6 * selfie + 0.4 * _odds(_stretched(photo, box, shape))
    total = 1.2 * selfie
    theirs = np.full(shape, -_SURE, np.float32)
    for body in others:
        theirs = np.maximum(theirs, _odds(laid(body.mask, body.region)))
        seen = to_pose(body, photo)
        if seen.drawn.any():
            tubes = draw_body(_moved(seen, box, shape), shape, 0.8) > 0
            theirs[tubes] = np.maximum(theirs[tubes], 1.0)
    if own is not None:
        mine = _odds(laid(own.mask, own.region))
        total += 0.7 * mine
        total -= 0.8 * np.clip(theirs - mine, 0, None)
    else:
        total -= 0.8 * np.clip(theirs, 0, None)
    tips = None if own is None else (_tips(own) - np.array([left, top])) * scale
    return _sigmoid(_STEEP * (total + _prior(_moved(pose, box, shape), shape, tips)))


def _on_window(plane: Plane, region: Region, box: Box, shape: tuple[int, int]) -> Plane:
    """A region's square plane on a small plane of ``shape`` that shows ``box``."""
    scale = shape[1] / (box[2] - box[0])
    moved = Region(
        (region.x - box[0]) * scale, (region.y - box[1]) * scale, region.side * scale, region.angle
    )
    return moved.uncrop(plane, (0, 0), (shape[1], shape[0]))


def _stretched(photo: Photo, box: Box, shape: tuple[int, int]) -> Plane:
    """The selfie network on the box itself, stretched to its square: more pixels on a tall box."""
    left, top, right, bottom = box
    _, image = photo.level(1.0)
    crop = cv2.resize(
        image[top:bottom, left:right], (LANDMARK_SIDE, LANDMARK_SIDE), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(  # type: ignore[return-value]
        networks.selfie(crop), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR
    )


def _tips(body: Body) -> Plane:
    """(N, 2, 2) the visible bones beyond wrists and ankles, pixels of the photo."""
    bones = [bone for bone in _TIPS if body.visibility[list(bone)].min() >= 0.5]
    return body.points[np.array(bones, int).reshape(-1, 2)]


def _prior(pose: Pose, shape: tuple[int, int], tips: Plane | None) -> Plane:
    """Log-odds from the joints: for inside the limbs, against far from all of them."""
    body = draw_body(pose, shape, 1.0, tips)
    distance = cv2.distanceTransform(255 - body, cv2.DIST_L2, 3)
    size = unit(pose)
    prior = 0.6 - 1.8 * np.clip(distance / size, 0, 1.5)
    core = cv2.distanceTransform(draw_body(pose, shape, 0.7, tips), cv2.DIST_L2, 3)
    return (prior + 2.2 * np.clip(core / (0.06 * size), 0, 1)).astype(np.float32)


def _by_colour(image: NDArray[np.uint8], coarse: Plane) -> Plane:
    """Doubtful places decided by their colours: the sure parts teach GrabCut both sides'.

    Only a vote, of limited weight: a black coat before a black wall teaches nothing.
    """
    inner = cv2.erode((coarse > 0.99).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    outer = cv2.erode((coarse < 0.03).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if inner.sum() < 50 or outer.sum() < 50:
        return coarse
    labels = np.where(coarse > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[inner], labels[outer] = cv2.GC_FGD, cv2.GC_BGD
    height, width = coarse.shape
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its k-means draws: the same photo gives the same mask
    cv2.grabCut(small, labels, None, *models, 1, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    inside = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    clipped = np.clip(coarse, 1e-4, 1 - 1e-4)
    odds = np.log(clipped / (1 - clipped)) + np.where(inside, _COLOUR, -_COLOUR)
    return _sigmoid(odds.astype(np.float32))


def _attached(coarse: Plane, pose: Pose) -> Plane:
    """Without the parts that do not hang together with the person's limbs."""
    solid = (coarse > 0.5).astype(np.uint8)
    count, labels = cv2.connectedComponents(solid)
    if count <= 1:
        return coarse
    touched = np.bincount(labels[draw_body(pose, coarse.shape) > 0], minlength=count)  # type: ignore[arg-type]
    sizes = np.bincount(labels.ravel(), minlength=count)
    keep = (touched > 0.2 * sizes) | (touched == touched[1:].max())
    keep[0] = True
    return np.where(keep[labels], coarse, np.minimum(coarse, 0.0)).astype(np.float32)


def _odds(plane: Plane) -> Plane:
    clipped = np.clip(plane, 1e-3, 1 - 1e-3)
    return np.clip(np.log(clipped / (1 - clipped)), -_SURE, _SURE).astype(np.float32)


def _sigmoid(odds: Plane) -> Plane:
    return (1 / (1 + np.exp(-odds))).astype(np.float32)
