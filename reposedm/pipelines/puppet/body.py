"""From two poses to two complete bodies: infers missing joints, and measures the common scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import PoseError
from reposedm.pose import Pose
from reposedm.pose.skeleton import (
    L_ANKLE,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    MIRROR,
    NECK,
    NOSE,
    R_ANKLE,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
)

Points = NDArray[np.float64]
Flags = NDArray[np.bool_]

TRUNK = [NECK, R_SHOULDER, L_SHOULDER, R_HIP, L_HIP]
FACE = [NOSE, 14, 15, 16, 17]
CHAINS = (
    (R_SHOULDER, R_ELBOW, R_WRIST),
    (L_SHOULDER, L_ELBOW, L_WRIST),
    (R_HIP, R_KNEE, R_ANKLE),
    (L_HIP, L_KNEE, L_ANKLE),
)
BONE_LENGTH = {
    R_ELBOW: 0.58, R_WRIST: 0.50, L_ELBOW: 0.58, L_WRIST: 0.50,
    R_KNEE: 0.83, R_ANKLE: 0.78, L_KNEE: 0.83, L_ANKLE: 0.78,
}  # fmt: skip
"""Bone from its parent to each joint, in trunk lengths (neck to the middle of the hips)."""


@dataclass(frozen=True)
class Body:
    """All 18 joints of one person, some of them inferred.

    Attributes:
        points: float64 (18, 2) pixels.
        known: bool (18,), False where the joint was inferred.
        state: uint8 (18,) of ``JointState``.
        unit: trunk length, neck to the middle of the hips, in pixels, never 0.
    """

    points: Points
    known: Flags
    state: NDArray[np.uint8]
    unit: float


@dataclass(frozen=True)
class Placement:
    """Where a source body goes.

    Attributes:
        points: float64 (18, 2) target joints, complete; sides exchanged if ``turned``.
        state: uint8 (18,) states of the target, same order.
        wanted: bool (18,), joints that the target really asks for.
        scale: target size of the person over the source size.
        turned: the target shows the other side of the body.
    """

    points: Points
    state: NDArray[np.uint8]
    wanted: Flags
    scale: float
    turned: bool


def similarity(source: Points, target: Points) -> tuple[NDArray[np.float64], Points]:
    """Least-squares similarity ``target = A source + b`` (no mirroring) of N >= 1 point pairs."""
    mean_s, mean_t = source.mean(0), target.mean(0)
    a, b = source - mean_s, target - mean_t
    norm = float((a**2).sum())
    if norm < 1e-9:
        return np.eye(2), mean_t - mean_s
    cos = float((a * b).sum()) / norm
    sin = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / norm
    matrix = np.array([[cos, -sin], [sin, cos]])
    if np.hypot(cos, sin) < 1e-6:
        matrix = np.eye(2)
    return matrix, mean_t - matrix @ mean_s


def angle_of(vector: Points) -> float:
    """Direction of a vector in radians."""
    return float(np.arctan2(vector[1], vector[0]))


def wrap(angle: float) -> float:
    """The same angle in (-pi, pi]."""
    return float(-((-angle + np.pi) % (2 * np.pi) - np.pi))


def rotation(angle: float) -> NDArray[np.float64]:
    """2 x 2 rotation matrix (x right, y down)."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def complete(pose: Pose) -> Body:
    """Infer a pose's hidden joints from their partners and from human proportions.

    Raises:
        PoseError: nothing to start from (every joint is hidden, or all on one spot).
    """
    pose.check_usable()
    points = pose.points.astype(np.float64)
    known = pose.drawn.copy()
    unit = _unit(points, known)
    down = _down(points, known)
    side = np.array([-down[1], down[0]])  # towards the image's left for an upright person
    facing = _facing(points, known, side)
    _trunk(points, known, unit, down, side * facing)
    for chain in CHAINS:
        partner = tuple(MIRROR[joint] for joint in chain)
        for parent, joint, other_parent, other in zip(
            chain, chain[1:], partner, partner[1:], strict=False
        ):
            if known[joint]:
                continue
            bone = down * unit * BONE_LENGTH[joint]
            if known[other] and known[other_parent]:
                bone = down * np.linalg.norm(points[other] - points[other_parent])
            elif joint in (R_WRIST, L_WRIST, R_ANKLE, L_ANKLE) and known[parent]:
                along = points[parent] - points[chain[0]]
                length = max(float(np.linalg.norm(along)), 1e-6)
                bone = along / length * unit * BONE_LENGTH[joint]
            points[joint] = points[parent] + bone
    _face(points, known, unit, down, side * facing)
    return Body(points, known, pose.state.copy(), unit)


def place(body: Body, target: Pose) -> Placement:
    """Complete the target from the source: hidden joints follow their parents rigidly.

    Raises:
        PoseError: every joint of the target is hidden, or all lie on one spot.
    """
    target.check_usable()
    points, state = target.points.astype(np.float64), target.state.copy()
    wanted = target.drawn.copy()
    turned = _is_turned(body, points, wanted)
    if turned:
        order = list(MIRROR)
        points, state, wanted = points[order], state[order], wanted[order]
    source = body.points
    scale = _scale(source, points, wanted)
    trunk = [joint for joint in TRUNK if wanted[joint]]
    anchors = trunk or [int(joint) for joint in np.flatnonzero(wanted)]
    matrix, offset = similarity(source[anchors], points[anchors])
    if len(anchors) < 2:
        matrix = np.eye(2) * scale
        offset = points[anchors].mean(0) - matrix @ source[anchors].mean(0)
    for joint in TRUNK:
        if not wanted[joint]:
            points[joint] = matrix @ source[joint] + offset
    turn = angle_of(matrix[:, 0])
    for root, middle, end in CHAINS:
        if not wanted[middle]:
            points[middle] = points[root] + rotation(turn) @ (source[middle] - source[root]) * scale
        if not wanted[end]:
            bend = angle_of(points[middle] - points[root]) - angle_of(source[middle] - source[root])
            points[end] = points[middle] + rotation(bend) @ (source[end] - source[middle]) * scale
    return Placement(points, state, wanted, scale, turned)


def _unit(points: Points, known: Flags) -> float:
    """Trunk length from what is known, most reliable measure first."""
    hips = [joint for joint in (R_HIP, L_HIP) if known[joint]]
    guesses: list[float] = []

    def measure(a: int, b: int, ratio: float) -> None:
        if known[a] and known[b]:
            guesses.append(float(np.linalg.norm(points[a] - points[b])) / ratio)

    if hips and known[NECK]:
        guesses.append(float(np.linalg.norm(points[hips].mean(0) - points[NECK])))
    measure(R_SHOULDER, L_SHOULDER, 0.72)
    for chain in CHAINS:
        measure(chain[0], chain[1], BONE_LENGTH[chain[1]])
        measure(chain[1], chain[2], BONE_LENGTH[chain[2]])
    if not guesses:
        measure(NECK, NOSE, 0.42)
        measure(14, 15, 0.13)
        measure(16, 17, 0.28)
    if not guesses:
        guesses.append(float(np.ptp(points[known], axis=0).max()))
    # Foreshortening only ever makes a bone look shorter: a high quantile is nearer the truth.
    return max(float(np.quantile(guesses, 0.75)), guesses[0], 2.0)


def _down(points: Points, known: Flags) -> Points:
    """Unit vector from neck to hips; straight down the photo if it cannot be known."""
    hips = [joint for joint in (R_HIP, L_HIP) if known[joint]]
    if hips and known[NECK]:
        axis = points[hips].mean(0) - points[NECK]
    elif known[NECK] and known[NOSE]:
        axis = np.array([0.0, 1.0]) * np.linalg.norm(points[NECK] - points[NOSE])
    else:
        axis = np.array([0.0, 1.0])
    length = float(np.linalg.norm(axis))
    return axis / length if length > 1 else np.array([0.0, 1.0])


def _facing(points: Points, known: Flags, side: Points) -> float:
    """+1 when the person's right is at the image's left (seen from the front), else -1."""
    total = 0.0
    for right, left in ((R_SHOULDER, L_SHOULDER), (R_HIP, L_HIP), (14, 15), (16, 17)):
        if known[right] and known[left]:
            total += float((points[right] - points[left]) @ side)
    return -1.0 if total < 0 else 1.0


def _trunk(points: Points, known: Flags, unit: float, down: Points, right: Points) -> None:
    """Fill the trunk's joints in place; ``right`` points to the person's right."""
    shoulders = [joint for joint in (R_SHOULDER, L_SHOULDER) if known[joint]]
    offset = {
        NECK: 0 * down,
        R_SHOULDER: 0.36 * unit * right,
        L_SHOULDER: -0.36 * unit * right,
        R_HIP: unit * down + 0.19 * unit * right,
        L_HIP: unit * down - 0.19 * unit * right,
    }
    if known[NECK]:
        neck = points[NECK]
    elif len(shoulders) == 2:
        neck = points[shoulders].mean(0)
    else:
        roots = [joint for joint in offset if known[joint]]
        if roots:
            neck = np.mean([points[joint] - offset[joint] for joint in roots], 0)
        else:
            face = [joint for joint in FACE if known[joint]]
            if not face:
                raise PoseError(
                    "the preview needs at least the neck, a shoulder, a hip or the face "
                    "of the person in the photo: place one of them"
                )
            neck = points[face].mean(0) + 0.42 * unit * down
    points[NECK] = neck
    for joint in (R_SHOULDER, L_SHOULDER):
        other = MIRROR[joint]
        if not known[joint]:
            points[joint] = 2 * neck - points[other] if known[other] else neck + offset[joint]
    for joint in (R_HIP, L_HIP):
        other = MIRROR[joint]
        if not known[joint]:
            across = offset[joint] - offset[other]
            points[joint] = points[other] + across if known[other] else neck + offset[joint]


def _face(points: Points, known: Flags, unit: float, down: Points, right: Points) -> None:
    """Fill the face's joints in place, round a head of human size."""
    layout = {
        NOSE: -0.40 * down,
        14: -0.47 * down + 0.06 * right,
        15: -0.47 * down - 0.06 * right,
        16: -0.44 * down + 0.14 * right,
        17: -0.44 * down - 0.14 * right,
    }
    face = [joint for joint in FACE if known[joint]]
    origin = points[NECK]
    if face:
        origin = np.mean([points[joint] - unit * layout[joint] for joint in face], 0)
    for joint in FACE:
        if not known[joint]:
            points[joint] = origin + unit * layout[joint]


def _is_turned(body: Body, points: Points, wanted: Flags) -> bool:
    """Whether the target shows the other side of the trunk (front against back)."""
    total_s, total_t, count = 0.0, 0.0, 0
    down_s = body.points[[R_HIP, L_HIP]].mean(0) - body.points[NECK]
    hips = [joint for joint in (R_HIP, L_HIP) if wanted[joint]]
    down_t = points[hips].mean(0) - points[NECK] if hips and wanted[NECK] else down_s
    for right, left in ((R_SHOULDER, L_SHOULDER), (R_HIP, L_HIP)):
        if wanted[right] and wanted[left] and body.known[right] and body.known[left]:
            total_s += _cross(down_s, body.points[right] - body.points[left])
            total_t += _cross(down_t, points[right] - points[left])
            count += 1
    if not count:
        return False
    total_s /= float(down_s @ down_s) * count + 1e-9
    total_t /= float(down_t @ down_t) * count + 1e-9
    return total_s * total_t < 0 and min(abs(total_s), abs(total_t)) > 0.1


def _scale(source: Points, target: Points, wanted: Flags) -> float:
    """Size of the target person over the source's, from all bones that both have.

    A bone that points at the camera is short in either photo, so no single one is trusted: the
    weighted 65 % quantile of all ratios is.
    """
    ratios, weights = [], []

    def measure(a: list[int], b: list[int], weight: float) -> None:
        if not (wanted[a].all() and wanted[b].all()):
            return
        before = float(np.linalg.norm(source[a].mean(0) - source[b].mean(0)))
        after = float(np.linalg.norm(target[a].mean(0) - target[b].mean(0)))
        if before > 2:
            ratios.append(after / before)
            weights.append(weight)

    measure([NECK], [R_HIP, L_HIP], 3)
    measure([R_SHOULDER], [L_SHOULDER], 2)
    measure([R_HIP], [L_HIP], 1)
    measure([NECK], [NOSE], 1)
    for root, middle, end in CHAINS:
        measure([root], [middle], 1)
        measure([middle], [end], 1)
    if not ratios:
        return 1.0
    order = np.argsort(ratios)
    share = np.cumsum(np.array(weights)[order]) / np.sum(weights)
    scale = float(np.array(ratios)[order][np.searchsorted(share, 0.6)])
    return float(np.clip(scale, 0.05, 20))


def _cross(a: Points, b: Points) -> float:
    return float(a[0] * b[1] - a[1] * b[0])
