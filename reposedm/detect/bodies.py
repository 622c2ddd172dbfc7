"""Who is where on a photograph, with mediapipe's networks: several people, near and far.

1. The finder looks at the whole photo, then at overlapping squares of two thirds of its short
   side: it sees 224 x 224 pixels, so whoever is a quarter of the photo high is lost in the first.
2. Each candidate's region goes through the landmark network, then the region that this one found,
   until it stays: this is how mediapipe itself follows a person through a video. What the network
   calls no person (presence below 0.5) is dropped.
3. Where the network is in doubt, a wider region is tried with the known people painted over.
4. Two results on the same body are one person; people who overlap are seen once more alone.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.detect.graphs import FINDER_SIDE, LANDMARK_SIDE, networks
from reposedm.detect.regions import Photo, Points, Region

PRESENCE = 0.5
"""Below this the landmark network says that the region holds no person."""

VISIBLE = 0.5
"""A joint counts as visible from this visibility on."""

_CERTAIN = 0.98
"""From this presence on a person is not in doubt."""

_SURE = 0.99
_FOUND = 0.65
_WIDER = 1.9
_LOOKS = 3
_TILE = 2 / 3
_OVERLAP = 0.34


@dataclass(frozen=True)
class Body:
    """One pass of the landmark network: what it saw, in pixels of the photo.

    Attributes:
        points: float32 (39, 2); 33 joints, then helpers.
        depth: float32 (33,), pixels, smaller is nearer.
        visibility: float32 (33,) in [0, 1].
        presence: in [0, 1], whether the region holds a person.
        mask: float32 (256, 256) in [0, 1] on ``region``.
        region: the square that was looked at.
        following: the square to look at next.
        score: the finder's, in [0, 1].
    """

    points: Points
    depth: NDArray[np.float32]
    visibility: NDArray[np.float32]
    presence: float
    mask: NDArray[np.float32]
    region: Region
    following: Region
    score: float


_REMEMBERED = 4
_MOST = 40
_recent: OrderedDict[tuple[tuple[int, ...], bytes], tuple[Body, ...]] = OrderedDict()
_recent_lock = threading.Lock()


def look(photo: Photo, region: Region, score: float = 1.0, without: Sequence[Body] = ()) -> Body:
    """Run the landmark network on one region, with some people painted over."""
    crop = region.crop(photo, LANDMARK_SIDE)
    presence, values, mask = networks.landmarks(_erased(crop, region, without))
    points = region.to_photo(values[:, :2])
    following = Region.of_circle(points[33], points[34])
    depth = values[:33, 2] * np.float32(region.side)
    return Body(points, depth, values[:33, 3], presence, mask, region, following, score)


def _erased(crop: NDArray[np.uint8], region: Region, without: Sequence[Body]) -> NDArray[np.uint8]:
    """A crop with other people's masks filled with the blurred surroundings."""
    if not without:
        return crop
    covered = np.zeros(crop.shape[:2], np.float32)
    for body in without:
        covered = np.maximum(covered, body.region.lay(body.mask, region, LANDMARK_SIDE))
    covered = cv2.GaussianBlur(np.clip(covered, 0, 1), (0, 0), 2)[..., None]
    small = cv2.resize(crop, (32, 32), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 3)
    blurred = cv2.resize(small, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return (crop * (1 - covered) + blurred * covered).astype(np.uint8)


def find_bodies(image: NDArray[np.uint8]) -> list[Body]:
    """Everybody on the photo, surest first; the last few photos are remembered."""
    key = (image.shape, hashlib.blake2b(image.tobytes(), digest_size=16).digest())
    with _recent_lock:
        if key in _recent:
            _recent.move_to_end(key)
            return list(_recent[key])
    bodies = _search(Photo(image))
    with _recent_lock:
        _recent[key] = tuple(bodies)
        while len(_recent) > _REMEMBERED:
            _recent.popitem(last=False)
    return bodies


def _search(photo: Photo) -> list[Body]:
    people: list[Body] = []
    doubtful: list[Body] = []
    for score, region in _candidates(photo)[:_MOST]:
        first = look(photo, region, score)
        if first.presence >= PRESENCE and _known(first, people):
            continue
        body = _settled(photo, first)
        if body.presence < _CERTAIN:
            doubtful.append(first)
        if _accepted(body, people, photo):
            people.append(body)
    for first in sorted(doubtful, key=lambda body: body.presence):
        wide = _wider(photo, first, people)
        if wide is not None and _accepted(wide, people, photo):
            people.append(wide)
    people = [body for body in people if not _part_of_another(body, people)]
    return _apart(photo, people)


def _accepted(body: Body, people: list[Body], photo: Photo) -> bool:
    """Whether this is a person, and a new one."""
    if body.presence < PRESENCE or not _plausible(body, photo) or _known(body, people):
        return False
    return body.score >= _FOUND or _confirmed(body, photo)


def _confirmed(body: Body, photo: Photo) -> bool:
    """Whether a person that the finder doubts is one to both other networks.

    Soft hills and sleeves pass the finder and the landmark network with half a heart; the mask
    network sees nothing in that place, or something of another shape.
    """
    if body.presence < _SURE:
        return False
    people = networks.selfie(body.region.crop(photo, LANDMARK_SIDE))
    union = float(np.maximum(people, body.mask).sum())
    return float(np.minimum(people, body.mask).sum()) > 0.35 * union


def _wider(photo: Photo, first: Body, people: list[Body]) -> Body | None:
    """Who fills a wider region around a doubtful one, with the people known there painted over.

    The finder takes somebody who stands behind or bends forward for smaller than they are, and of
    two people in one place it reports the middle one: a wider look finds the other.
    """
    known = [body for body in people if _overlap(body, first) > 0]
    region = replace(first.region, side=first.region.side * _WIDER)
    body = look(photo, region, first.score, known)
    for _ in range(2):
        if body.presence < PRESENCE:
            return None
        body = look(photo, body.following, first.score, known)
    return body if body.presence >= _CERTAIN else None


def _apart(photo: Photo, people: list[Body]) -> list[Body]:
    """People who overlap, each seen once more without the others: limbs do not jump over."""
    result = []
    for body in people:
        others = [other for other in people if other is not body and _overlap(other, body) > 0.1]
        if others:
            alone = look(photo, body.following, body.score, [_beside(o, body) for o in others])
            result.append(alone if alone.presence >= body.presence - 0.01 else body)
        else:
            result.append(body)
    return result


def _beside(other: Body, body: Body) -> Body:
    """Another person's body with the mask emptied where this one is the likelier owner."""
    own = body.region.lay(body.mask, other.region, LANDMARK_SIDE)
    return replace(other, mask=np.where(own >= other.mask, 0, other.mask).astype(np.float32))


def _overlap(one: Body, other: Body) -> float:
    """Share of the second body's square that the first one's mask covers."""
    laid = one.region.lay(one.mask, other.region, LANDMARK_SIDE)
    return float((laid > 0.5).mean())


def _settled(photo: Photo, body: Body) -> Body:
    """The body seen again around the region it points to, until that stays or gets worse."""
    for look_number in range(_LOOKS):
        if body.presence < 0.02:
            return body
        ratio = body.following.side / body.region.side
        if look_number and abs(math.log(ratio)) < 0.08:
            return body
        again = look(photo, body.following, body.score)
        if again.presence < body.presence - 0.2:
            return body
        body = again
    return body


def _candidates(photo: Photo) -> list[tuple[float, Region]]:
    """Regions that may hold a person, surest first, one per person as far as can be told."""
    found: list[tuple[float, Region]] = []
    for tile in tiles(photo.width, photo.height):
        scores, points = networks.find(tile.crop(photo, FINDER_SIDE))
        for score, keys in zip(scores, points, strict=True):
            spots = tile.to_photo(keys)
            found.append((float(score), Region.of_circle(spots[0], spots[1])))
    found.sort(key=lambda candidate: -candidate[0])
    kept: list[tuple[float, Region]] = []
    for score, region in found:
        if not any(_same_region(region, other) for _, other in kept):
            kept.append((score, region))
    return kept


def tiles(width: int, height: int) -> list[Region]:
    """The whole photo, then overlapping squares that cover it."""
    short = min(width, height)
    side = short * _TILE
    step = side * (1 - _OVERLAP)
    columns = max(1, math.ceil((width - side) / step - 0.15) + 1)
    rows = max(1, math.ceil((height - side) / step - 0.15) + 1)
    whole = Region(width / 2, height / 2, float(max(width, height)))
    return [whole] + [
        Region(
            side / 2 + (width - side) * column / max(columns - 1, 1),
            side / 2 + (height - side) * row / max(rows - 1, 1),
            side,
        )
        for row in range(rows)
        for column in range(columns)
    ]


def _same_region(one: Region, other: Region) -> bool:
    larger, smaller = max(one.side, other.side), min(one.side, other.side)
    apart = math.hypot(one.x - other.x, one.y - other.y)
    return apart < 0.15 * larger and smaller > 0.6 * larger


def _known(body: Body, people: list[Body]) -> bool:
    """Whether the body lies on one already found: by trunk and joints, or by their masks."""
    for other in people:
        size = max(reach(body.points), reach(other.points))
        gaps = np.hypot(*(body.points[:33] - other.points[:33]).T)
        near = np.exp(-((gaps / (0.1 * size)) ** 2) / 2)
        if near[11:33].mean() > 0.55 or near[[11, 12, 23, 24]].mean() > 0.6 < near[:11].mean():
            return True
        theirs = other.region.lay(other.mask, body.region, LANDMARK_SIDE)
        union = np.maximum(theirs, body.mask).sum()
        if np.minimum(theirs, body.mask).sum() > 0.5 * union:
            return True
    return False


def _part_of_another(body: Body, people: list[Body]) -> bool:
    """Whether a surer, larger person's mask covers this one's trunk: an arm taken for somebody."""
    spots = np.vstack([body.points[[11, 12, 23, 24]], body.points[[11, 12, 23, 24]].mean(0)])
    for other in people:
        if other is body or other.score <= body.score or reach(other.points) < reach(body.points):
            continue
        into = other.region.matrix(LANDMARK_SIDE)
        cells = (spots @ into[:, :2].T + into[:, 2]).astype(int).clip(0, LANDMARK_SIDE - 1)
        if (other.mask[cells[:, 1], cells[:, 0]] > 0.5).mean() >= 0.6:
            return True
    return False


def reach(points: Points) -> float:
    """Longest side of the box of all joints, pixels, at least 1."""
    return float(max(np.ptp(points[:33], axis=0).max(), 1.0))


def _plausible(body: Body, photo: Photo) -> bool:
    """Enough of the body is on the photo: at least three visible joints that are not the face's."""
    on_photo = inside(body.points[:33], photo)
    return int((on_photo & (body.visibility >= VISIBLE))[11:].sum()) >= 3


def inside(points: Points, photo: Photo) -> NDArray[np.bool_]:
    """(N,) which points lie on the photo."""
    x, y = points.T
    return (x >= 0) & (y >= 0) & (x <= photo.width) & (y <= photo.height)
