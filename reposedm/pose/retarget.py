"""A pose put onto another body: the pose's directions, the body's bone lengths and place.

The page does the same in JavaScript (``pose_editor/static``); this is the algorithm, exactly.

**Bones.** Bone ``j`` ends at joint ``j``. Bone 1 is the *trunk*, from the neck to ``mid``, the
middle of the hips; bones 8 and 11 run from ``mid`` to the hips; every other bone starts at
``PARENT[j]``. ``RATIO[j]`` is its average unforeshortened length in trunks.

**Measure(person)**, from drawn joints alone, a bone counting when both its ends are drawn (trunk
and hips: the neck, if it is an end, and both hips; a hip bone is half the distance of the hips):

1. ``seen[j]`` = length of bone ``j`` in pixels, for each bone that counts; for a left-right pair
   both get the longer one, because foreshortening only ever shortens.
2. ``heads`` = ear-to-ear / 0.29, eye-to-eye / 0.12, right and left eye-to-ear / ``RATIO[16]``:
   each that counts is a size of the head in trunks of this person.
3. ``scale`` = second largest of ``length of bone j / RATIO[j]`` over the single bones 1 to 13
   except the hips that count (before step 1's pairing); with only one of them, that one; with
   none, the largest of ``heads``; without any, the longer side of the box of drawn joints / 3.
4. ``trunk`` = ``full(seen[1], scale)``, or ``scale`` if bone 1 does not count.
5. ``length[j]`` = ``full(seen[j], RATIO[j] * trunk)``, or ``RATIO[j] * trunk`` if it does not
   count; ``length[1] = trunk``; ``length[14..17] = RATIO * head`` with ``head`` = largest of
   ``heads``, limited to ``0.5 trunk .. 2 trunk``, or ``trunk`` if there is none.

``full(seen, usual)`` is the unforeshortened length behind a seen one: from 0.7 of the usual
upwards we believe what we see (people differ), below 0.5 we believe the usual (the bone points at
the camera), between them we blend: ``w = clamp((0.7 - seen / usual) / 0.2, 0, 1)``, ``full = seen
+ w * (usual - seen)``; ``full = seen`` where ``usual`` is 0.

**Fill(pose).** A joint is *known* if it is drawn, or hidden with coordinates other than (0, 0).
Unknown ones are put where a standing person has them, in this order, with ``L = length`` of the
pose: the neck (middle of both shoulders; the one known shoulder - REST * L; nose + (0, L[0]);
mean of the known hips - (0, trunk); else the mean of the known joints), ``mid`` (middle of both
hips; the one known hip - REST * L; neck + (0, trunk)), then joints 8, 11 and all others in
``ORDER``: start of the bone + ``REST[j] * L[j]``.

**Retarget(pose, body, proportions p).** ``S = body.trunk / pose.trunk`` (1 where ``pose.trunk``
is 0). Each bone vector of the filled pose is multiplied by ``(1 - p) * body.length[j] /
pose.length[j] + p * S`` (``S`` alone where ``pose.length[j]`` is 0), at most 1000, and the joints
are put together again from the neck outwards. So a bone keeps its direction and its
foreshortening, ``p = 0`` gives the body's own lengths, ``p = 1`` the pose scaled as a whole, and
a pose on its own body is unchanged.

**Place.** x: the middle of the hips on the body's, if both its hips are drawn; else the neck on
the body's, if drawn; else the centre of the box of the result's drawn joints on the centre of the
body's. y: if both ankles are drawn in the pose and in the body, the lower ankle on the body's
lower one (the floor); else as x.

**Result.** States and scores are the pose's, except that a drawn joint outside the body's photo
(x < 0, y < 0, x > width or y > height) becomes hidden and keeps its coordinates. The photo is the
body's; hands and face are left behind. A preset that is off the ground has a ``lift``: where the
floor decides y, the result is ``lift * body.trunk`` above it. Presets also come with their
``lengths``, which take the place of ``Measure(pose)`` (``trunk = lengths[1]``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import PoseError
from reposedm.pose.pose import JointState, Pose
from reposedm.pose.skeleton import (
    L_ANKLE,
    L_EAR,
    L_EYE,
    L_HIP,
    L_SHOULDER,
    MIRROR,
    N_JOINTS,
    NECK,
    NOSE,
    PARENT,
    R_ANKLE,
    R_EAR,
    R_EYE,
    R_HIP,
    R_SHOULDER,
)

Points = NDArray[np.float64]

RATIO: Final = (
    0.355, 1.0,
    0.40, 0.62, 0.50,
    0.40, 0.62, 0.50,
    0.21, 0.82, 0.82,
    0.21, 0.82, 0.82,
    0.12, 0.12, 0.21, 0.21,
)  # fmt: skip
"""Average length of the bone that ends at each joint, in trunks (neck to middle of the hips)."""

REST: Final = (
    (0.0, -1.0), (0.0, 1.0),
    (-1.0, 0.0), (-0.2, 0.98), (-0.1, 0.995),
    (1.0, 0.0), (0.2, 0.98), (0.1, 0.995),
    (-1.0, 0.0), (-0.05, 0.999), (0.0, 1.0),
    (1.0, 0.0), (0.05, 0.999), (0.0, 1.0),
    (-0.5, -0.7), (0.5, -0.7), (-0.4, 0.16), (0.4, 0.16),
)  # fmt: skip
"""Direction of each bone of a person who stands and faces the camera (1: the trunk)."""

ORDER: Final = (0, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13, 14, 15, 16, 17)
"""The joints in an order that visits the parent first, without neck and hips."""

EARS_APART: Final = 0.29
EYES_APART: Final = 0.12
BELIEVE_SEEN: Final = 0.7
BELIEVE_USUAL: Final = 0.5

_SCALE_BONES: Final = (1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13)


@dataclass(frozen=True)
class Measure:
    """How long a person's bones are when none is foreshortened, in pixels.

    Attributes:
        trunk: neck to the middle of the hips.
        length: float64 (18,), the bone that ends at each joint; index 1 is the trunk.
    """

    trunk: float
    length: NDArray[np.float64]


def measure(person: Pose) -> Measure:
    """Unforeshortened bone lengths of a person from its drawn joints; all finite and >= 0."""
    points = person.points.astype(np.float64)
    drawn = person.drawn
    single = _seen_lengths(points, drawn)
    heads = _head_sizes(points, drawn)
    candidates = sorted((single[j] / RATIO[j] for j in _SCALE_BONES if j in single), reverse=True)
    if candidates:
        scale = candidates[min(1, len(candidates) - 1)]
    elif heads:
        scale = max(heads)
    else:
        left, top, right, bottom = person.box() or (0.0, 0.0, 0.0, 0.0)
        scale = max(right - left, bottom - top) / 3
    trunk = _full(single[1], scale) if 1 in single else scale
    length = np.empty(N_JOINTS)
    for j in range(N_JOINTS):
        pair = [single[i] for i in {j, MIRROR[j]} if i in single]
        usual = RATIO[j] * trunk
        length[j] = _full(max(pair), usual) if pair else usual
    length[NECK] = trunk
    head = min(max(*heads, 0.5 * trunk), 2 * trunk) if heads else trunk
    for j in (R_EYE, L_EYE, R_EAR, L_EAR):
        length[j] = RATIO[j] * head
    return Measure(trunk, length)


def retarget(
    pose: Pose,
    body: Pose,
    *,
    proportions: float = 0.0,
    lengths: Sequence[float] | None = None,
    lift: float = 0.0,
) -> Pose:
    """The pose on another body, in the body's photo and at its place (see the module's text).

    Args:
        pose: whose joint directions, foreshortening and states to take.
        body: whose bone lengths, photo and place to take.
        proportions: 0 = the body's own bone lengths .. 1 = the pose's, scaled by the trunk.
        lengths: the pose's unforeshortened bone lengths (18, index 1 the trunk) where they are
            known, as they are for presets; None measures them.
        lift: how far the lower ankle is above the floor in the pose, in trunks (a jump).

    Raises:
        PoseError: ``proportions`` is not in [0, 1], or one of the two is not usable (no joint
            drawn, or all on one spot).
    """
    if not 0 <= proportions <= 1:
        raise PoseError(f"proportions go from 0 (own) to 1 (theirs), not {proportions}")
    pose.check_usable()
    body.check_usable()
    theirs = measure(pose)
    if lengths is not None:
        theirs = Measure(float(lengths[NECK]), np.asarray(lengths, np.float64))
    own = measure(body)
    factor = _factors(theirs, own, proportions)
    points = _rebuild(_filled(pose, theirs), factor)
    points += _shift(points, pose, body, lift * own.trunk)
    return hide_outside(Pose(points.astype(np.float32), pose.score, pose.state, body.size))


def hide_outside(pose: Pose, margin: float = 0.0) -> Pose:
    """The pose with joints more than ``margin`` sides outside its photo hidden.

    They keep their coordinates, so that a larger photo, or a shift, can bring them back.
    """
    low = -margin * np.array(pose.size)
    high = (1 + margin) * np.array(pose.size)
    outside = ((pose.points < low) | (pose.points > high)).any(1)
    return pose.replace(state=np.where(outside, np.uint8(JointState.HIDDEN), pose.state))


def _seen_lengths(points: Points, drawn: NDArray[np.bool_]) -> dict[int, float]:
    """Length of each bone whose ends are drawn."""
    seen = {}
    for j in ORDER:
        if drawn[j] and drawn[PARENT[j]]:
            seen[j] = _distance(points[j], points[PARENT[j]])
    if drawn[R_HIP] and drawn[L_HIP]:
        seen[R_HIP] = seen[L_HIP] = _distance(points[R_HIP], points[L_HIP]) / 2
        if drawn[NECK]:
            seen[NECK] = _distance(points[NECK], (points[R_HIP] + points[L_HIP]) / 2)
    return seen


def _head_sizes(points: Points, drawn: NDArray[np.bool_]) -> list[float]:
    """Sizes of the head in trunks: the widest view of it is the least foreshortened."""
    pairs = (
        (R_EAR, L_EAR, EARS_APART),
        (R_EYE, L_EYE, EYES_APART),
        (R_EYE, R_EAR, RATIO[R_EAR]),
        (L_EYE, L_EAR, RATIO[L_EAR]),
    )
    return [_distance(points[a], points[b]) / r for a, b, r in pairs if drawn[a] and drawn[b]]


def _full(seen: float, usual: float) -> float:
    """The unforeshortened length behind a seen one."""
    if usual <= 0:
        return seen
    doubt = (BELIEVE_SEEN - seen / usual) / (BELIEVE_SEEN - BELIEVE_USUAL)
    return seen + min(max(doubt, 0.0), 1.0) * (usual - seen)


def _factors(theirs: Measure, own: Measure, proportions: float) -> NDArray[np.float64]:
    """What each bone vector of the pose is multiplied by."""
    scale = own.trunk / theirs.trunk if theirs.trunk > 0 else 1.0
    ratio = np.full(N_JOINTS, scale)
    np.divide(own.length, theirs.length, out=ratio, where=theirs.length > 0)
    return np.minimum((1 - proportions) * ratio + proportions * scale, 1000.0)


def _filled(pose: Pose, lengths: Measure) -> Points:
    """(19, 2): the pose with unknown joints where a standing person has them; 18 is ``mid``."""
    rest = np.array(REST) * lengths.length[:, None]
    points = np.vstack([pose.points.astype(np.float64), np.zeros((1, 2))])
    known = pose.drawn | (pose.points != 0).any(1)
    shoulders = [j for j in (R_SHOULDER, L_SHOULDER) if known[j]]
    hips = [j for j in (R_HIP, L_HIP) if known[j]]
    if not known[NECK]:
        if len(shoulders) == 2:
            points[NECK] = points[shoulders].mean(0)
        elif shoulders:
            points[NECK] = points[shoulders[0]] - rest[shoulders[0]]
        elif known[NOSE]:
            points[NECK] = points[NOSE] - rest[NOSE]
        elif hips:
            points[NECK] = points[hips].mean(0) - rest[NECK]
        else:
            points[NECK] = points[:N_JOINTS][known].mean(0)
    if len(hips) == 2:
        points[-1] = points[hips].mean(0)
    elif hips:
        points[-1] = points[hips[0]] - rest[hips[0]]
    else:
        points[-1] = points[NECK] + rest[NECK]
    for j in (R_HIP, L_HIP, *ORDER):
        if not known[j]:
            start = -1 if j in (R_HIP, L_HIP) else PARENT[j]
            points[j] = points[start] + rest[j]
    return points


def _rebuild(filled: Points, factor: NDArray[np.float64]) -> Points:
    """(18, 2): the joints put together again from the neck with every bone vector scaled."""
    result = np.empty_like(filled)
    result[NECK] = filled[NECK]
    result[-1] = filled[NECK] + factor[NECK] * (filled[-1] - filled[NECK])
    for j in (R_HIP, L_HIP):
        result[j] = result[-1] + factor[j] * (filled[j] - filled[-1])
    for j in ORDER:
        parent = PARENT[j]
        result[j] = result[parent] + factor[j] * (filled[j] - filled[parent])
    return result[:N_JOINTS]


def _shift(points: Points, pose: Pose, body: Pose, lift: float) -> NDArray[np.float64]:
    """(2,): from where the result is to where the body stands, ``lift`` pixels above its floor."""
    there = body.points.astype(np.float64)
    hips = [R_HIP, L_HIP]
    ankles = [R_ANKLE, L_ANKLE]
    if body.drawn[hips].all():
        shift = there[hips].mean(0) - points[hips].mean(0)
    elif body.drawn[NECK]:
        shift = there[NECK] - points[NECK]
    else:
        shift = _centre(there[body.drawn]) - _centre(points[pose.drawn])
    if body.drawn[ankles].all() and pose.drawn[ankles].all():
        shift[1] = there[ankles, 1].max() - points[ankles, 1].max() - lift
    return shift


def _centre(points: Points) -> NDArray[np.float64]:
    return (points.min(0) + points.max(0)) / 2


def _distance(a: Points, b: Points) -> float:
    return float(np.hypot(*(a - b)))
