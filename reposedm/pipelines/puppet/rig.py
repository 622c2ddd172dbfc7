"""The rig: which parts a person has, and the maps of all parts for one target pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reposedm.pipelines.puppet.body import (
    FACE,
    TRUNK,
    Body,
    Placement,
    Points,
    angle_of,
    rotation,
    similarity,
    wrap,
)
from reposedm.pipelines.puppet.field import (
    BoneMap,
    HeadMap,
    Joint,
    LimbMap,
    Map,
    SimilarityMap,
    TrunkMap,
)
from reposedm.pipelines.puppet.skirt import SkirtMap
from reposedm.pose.skeleton import (
    L_ANKLE,
    L_EAR,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    NOSE,
    R_ANKLE,
    R_EAR,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
)

N_PARTS = 10
TRUNK_PART, HEAD_PART = 0, 1
R_UPPER, R_FORE, L_UPPER, L_FORE, R_THIGH, R_SHIN, L_THIGH, L_SHIN = range(2, 10)
NAMES = (
    "trunk", "head",
    "right upper arm", "right forearm", "left upper arm", "left forearm",
    "right thigh", "right lower leg", "left thigh", "left lower leg",
)  # fmt: skip


@dataclass(frozen=True)
class Limb:
    """A part with a bone.

    Attributes:
        start: joint at its root.
        end: joint at its end.
        parent: part it hangs on.
        child: part that hangs on it, or -1.
        radius: half its usual width, in trunk lengths.
        beyond: how far it goes on after its last joint (hand, foot), in trunk lengths.
    """

    start: int
    end: int
    parent: int
    child: int
    radius: float
    beyond: float


LIMBS = {
    R_UPPER: Limb(R_SHOULDER, R_ELBOW, TRUNK_PART, R_FORE, 0.125, 0),
    R_FORE: Limb(R_ELBOW, R_WRIST, R_UPPER, -1, 0.10, 0.36),
    L_UPPER: Limb(L_SHOULDER, L_ELBOW, TRUNK_PART, L_FORE, 0.125, 0),
    L_FORE: Limb(L_ELBOW, L_WRIST, L_UPPER, -1, 0.10, 0.36),
    R_THIGH: Limb(R_HIP, R_KNEE, TRUNK_PART, R_SHIN, 0.18, 0),
    R_SHIN: Limb(R_KNEE, R_ANKLE, R_THIGH, -1, 0.13, 0.35),
    L_THIGH: Limb(L_HIP, L_KNEE, TRUNK_PART, L_SHIN, 0.18, 0),
    L_SHIN: Limb(L_KNEE, L_ANKLE, L_THIGH, -1, 0.13, 0.35),
}
ARMS = (R_UPPER, R_FORE, L_UPPER, L_FORE)
LEGS = (R_THIGH, R_SHIN, L_THIGH, L_SHIN)


def parent_direction(points: Points, part: int) -> Points:
    """Unit vector along which a limb's parent arrives at the limb's root, for the joint's zone."""
    limb = LIMBS[part]
    if limb.parent != TRUNK_PART:
        above = LIMBS[limb.parent]
        return _unit(points[above.end] - points[above.start])
    hips = points[[R_HIP, L_HIP]].mean(0)
    if limb.start in (R_SHOULDER, L_SHOULDER):
        return 0.8 * _unit(points[limb.start] - points[NECK])
    return 0.8 * _unit(hips - points[NECK])


def part_maps(
    body: Body, radii: dict[int, float], goal: Placement, hem: float = 0.0
) -> dict[int, Map]:
    """The maps of all parts, target -> source.

    Args:
        body: the complete source body.
        radii: half widths of the limbs in source pixels, by part.
        goal: where it goes.
        hem: where a skirt ends on the legs: hip 0, knee 1, ankle 2; 0 without one.
    """
    source, target, scale = body.points, goal.points, goal.scale
    trunk = TrunkMap.fit(source[TRUNK], _trunk_target(body, goal), scale)
    bones = {
        part: BoneMap(
            source[[limb.start, limb.end]],
            _bone_target(source, target, limb, trunk.turn, scale),
            scale,
        )
        for part, limb in LIMBS.items()
    }
    joints: dict[int, Joint] = {}
    for part, limb in LIMBS.items():
        before: Map = trunk if limb.parent == TRUNK_PART else bones[limb.parent]
        joints[part] = Joint.between(
            source[limb.start],
            target[limb.start],
            before,
            bones[part],
            directions=(parent_direction(target, part), bones[part].direction),
            radius=_joint_radius(part, radii, target, scale),
        )
    maps: dict[int, Map] = {TRUNK_PART: trunk, HEAD_PART: _head_map(body, goal, trunk)}
    for part, limb in LIMBS.items():
        maps[part] = LimbMap(
            bones[part], joints[part], joints.get(limb.child), _root_fade(limb, joints[part])
        )
    if hem > 0:
        axes = target[[[R_HIP, R_KNEE, R_ANKLE], [L_HIP, L_KNEE, L_ANKLE]]]
        legs = tuple(
            LimbMap(bones[part], joints[part], joints[LIMBS[part].child])
            for part in (R_THIGH, L_THIGH)
        )
        maps[TRUNK_PART] = SkirtMap(trunk, (legs[0], legs[1]), axes, hem, 0.3 * body.unit * scale)
    return maps


def draw_order(body: Body, goal: Placement, skirt: bool) -> list[int]:
    """Parts from back to front, as far as a 2-D pose tells.

    Arms lie in front of the trunk and legs in front of each other by height of the ankle, unless
    joints are marked as behind.
    """
    hidden_arms: list[int] = []
    arms: list[int] = []
    for upper, fore in ((L_UPPER, L_FORE), (R_UPPER, R_FORE)):
        for part in (upper, fore):
            (hidden_arms if is_behind(goal.state, part) else arms).append(part)
    ankles = goal.points[[R_ANKLE, L_ANKLE], 1] + goal.scale * body.unit * 0.3 * np.array(
        [-is_behind(goal.state, R_SHIN), -is_behind(goal.state, L_SHIN)], float
    )
    right_front = ankles[0] >= ankles[1]
    far, near = ((L_THIGH, L_SHIN), (R_THIGH, R_SHIN))
    if not right_front:
        far, near = near, far
    legs = [far[1], far[0], near[1], near[0]]
    middle = [*legs, TRUNK_PART] if skirt else [TRUNK_PART, *legs]
    behind_head = [part for part in arms if _is_behind_head(body, goal, part)]
    arms = [part for part in arms if part not in behind_head]
    return [*hidden_arms, *middle, *behind_head, HEAD_PART, *arms]


def _is_behind_head(body: Body, goal: Placement, part: int) -> bool:
    """A forearm that comes down from a raised elbow to the head: hands are put behind it so."""
    limb = LIMBS[part]
    if limb.end not in (R_WRIST, L_WRIST):
        return False
    elbow, wrist, nose = goal.points[limb.start], goal.points[limb.end], goal.points[NOSE]
    near = np.linalg.norm(wrist - nose) < 0.33 * body.unit * goal.scale
    return bool(near and elbow[1] < nose[1] and wrist[1] > elbow[1])


def is_behind(state: np.ndarray, part: int) -> bool:
    """Whether a limb's part is marked as behind the body.

    A single joint marked behind is often only under cloth; the upper part needs both its joints.
    """
    limb = LIMBS[part]
    if limb.child == -1:
        return bool(state[limb.end] == 1)
    lower = LIMBS[limb.child]
    return bool(state[limb.end] == 1 and state[lower.end] == 1)


def _bone_target(source: Points, target: Points, limb: Limb, turn: float, scale: float) -> Points:
    """The bone's target ends; a bone of no length keeps a direction, so that nothing flips."""
    ends = target[[limb.start, limb.end]].copy()
    along = source[limb.end] - source[limb.start]
    if np.linalg.norm(ends[1] - ends[0]) < 0.02 * scale * max(float(np.linalg.norm(along)), 1):
        ends[1] = ends[0] + rotation(-turn) @ along * 0.02 * scale
    if np.linalg.norm(ends[1] - ends[0]) < 1e-3:
        ends[1] = ends[0] + np.array([0, 1e-2])
    return ends


def _joint_radius(part: int, radii: dict[int, float], target: Points, scale: float) -> float:
    """Radius of the joint at a limb's root, target pixels: the wider of both bones' half widths.

    It must not reach the bone's other joint.
    """
    limb = LIMBS[part]
    radius = radii[part]
    if limb.parent != TRUNK_PART:
        radius = max(radius, radii[limb.parent])
    length = float(np.linalg.norm(target[limb.end] - target[limb.start]))
    return min(radius * scale, max(0.45 * length, 0.5 * radius * scale))


def _root_fade(limb: Limb, joint: Joint) -> float:
    """How far a limb has turned against the trunk, 0 .. 1: its cap would show as a whirl."""
    if limb.parent != TRUNK_PART:
        return 0.0
    turn = abs(wrap(joint.after.turn - joint.before.turn))
    return float(np.clip((turn - 0.5) / 0.6, 0, 1))


def _trunk_target(body: Body, goal: Placement) -> Points:
    """The trunk's target joints, its width kept from collapsing where the target turns sideways."""
    source, target = body.points, goal.points.copy()
    for right, left in ((R_SHOULDER, L_SHOULDER), (R_HIP, L_HIP)):
        across = target[right] - target[left]
        before = float(np.linalg.norm(source[right] - source[left])) * goal.scale
        width = float(np.linalg.norm(across))
        wanted = float(np.clip(width, 0.6 * before, 1.5 * before))
        if width < 1e-3 or abs(wanted - width) < 1e-9:
            continue
        middle = (target[right] + target[left]) / 2
        target[right] = middle + across * (wanted / width / 2)
        target[left] = middle - across * (wanted / width / 2)
    return np.asarray(target[TRUNK])


def _head_map(body: Body, goal: Placement, trunk: TrunkMap) -> HeadMap:
    """The head: turned by neck-to-face and eye line, its size by the person's scale and its own."""
    source, target = body.points, goal.points
    shared = [joint for joint in FACE if goal.wanted[joint] and body.known[joint]]
    face_s = source[FACE].mean(0)
    if not shared:
        inverse = np.linalg.inv(trunk.affine)
        face_t = target[NECK] + inverse @ (face_s - source[NECK])
        turn = trunk.turn
    else:
        pulls, weights = [trunk.turn], [0.15]
        anchor_s, anchor_t = _head_centres(body, goal, shared)
        neck_turn = wrap(
            angle_of(anchor_s - source[NECK]) - angle_of(anchor_t - target[NECK]) - trunk.turn
        )
        pulls.append(trunk.turn + neck_turn)
        weights.append(1.0)
        for right, left, weight in ((14, 15, 1.0), (16, 17, 1.5)):
            if right in shared and left in shared:
                line_s, line_t = source[right] - source[left], target[right] - target[left]
                size = min(
                    float(np.linalg.norm(line_s)), float(np.linalg.norm(line_t)) / goal.scale
                )
                difference = wrap(angle_of(line_s) - angle_of(line_t) - trunk.turn)
                if abs(difference - neck_turn) < 1.0:
                    pulls.append(trunk.turn + difference)
                    weights.append(weight * min(1.0, size / (0.1 * body.unit)))
        turn = float(np.average(pulls, weights=weights))
        face_s, face_t = anchor_s, anchor_t
    scale = goal.scale
    if len(shared) >= 2:
        grown = float(np.hypot(*similarity(source[shared], target[shared])[0][:, 0]))
        reach = np.linalg.norm(face_t - target[NECK]) / max(
            float(np.linalg.norm(face_s - source[NECK])), 1.0
        )
        scale = float(np.clip(np.sqrt(max(grown, 1e-3) * reach), 0.85 * scale, 1.18 * scale))
    matrix = rotation(turn) / scale
    head = SimilarityMap(matrix, face_s - matrix @ face_t, turn)
    reach_t = float(np.linalg.norm(face_t - target[NECK]))
    axis = (
        _unit(face_t - target[NECK])
        if reach_t > 1e-3
        else rotation(-trunk.turn) @ np.array([0, -1])
    )
    high = max(0.45 * reach_t, 0.1 * body.unit * goal.scale)
    joint = Joint(source[NECK], target[NECK], trunk, head, axis, high, high)
    return HeadMap(head, joint, -0.1 * high, high)


def _head_centres(body: Body, goal: Placement, shared: list[int]) -> tuple[Points, Points]:
    """The same point of the head in source and target.

    Between the ears, where both show one: it stays put when a head turns, the nose does not.
    """
    ears_s = [joint for joint in (R_EAR, L_EAR) if body.known[joint]]
    ears_t = [joint for joint in (R_EAR, L_EAR) if goal.wanted[joint]]
    if ears_s and ears_t and (len(ears_s) == 2 or ears_s == ears_t):
        return body.points[ears_s].mean(0), goal.points[ears_t].mean(0)
    return body.points[shared].mean(0), goal.points[shared].mean(0)


def _unit(vector: Points) -> Points:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-9 else np.array([0.0, 1.0])


__all__ = [
    "ARMS", "HEAD_PART", "LEGS", "LIMBS", "NAMES", "NOSE", "N_PARTS", "TRUNK_PART",
    "Limb", "draw_order", "is_behind", "parent_direction", "part_maps",
]  # fmt: skip
