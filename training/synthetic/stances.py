"""How the legs stand, walk, sit or jump: where the ankles are, and how high the pelvis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic.maths import turn_x, turn_y
from training.synthetic.skeleton import SIDES, SIGN, Skeleton

Array = NDArray[Any]

STANCES: Final = {
    "stand": 0.24, "contra": 0.20, "walk": 0.15, "cross": 0.05, "wide": 0.06, "knee": 0.03,
    "library": 0.07, "sit": 0.05, "lunge": 0.04, "squat": 0.03, "run": 0.03, "kick": 0.02,
    "jump": 0.015, "bend": 0.015,
}  # fmt: skip
"""Kinds and how often they are drawn; the second line is for sports."""
WIDE: Final = ("sit", "lunge", "squat", "run", "kick", "jump", "knee")
"""Stances that tear a skirt."""
STRAIGHT: Final = 0.995


@dataclass
class Stance:
    """What the legs are asked to do; sides are the person's own, lengths in dm.

    Attributes:
        ankles: (3,) targets, in the skeleton's rest frame.
        lift: how far a heel leaves the floor.
        yaw: of the feet, degrees outward positive for the left.
        free: sides whose foot is in the air and follows the shin.
        front: the side in front, or relaxed.
        drop: how much lower the pelvis is than with straight legs.
        pitch: of the pelvis, degrees forward.
        lean: of the spine, degrees forward.
        airborne: over the floor.
        knees_up: the knees point up more than forward.
    """

    ankles: dict[str, Array]
    front: str
    lift: dict[str, float] = field(default_factory=lambda: {"L": 0.0, "R": 0.0})
    yaw: dict[str, float] = field(default_factory=dict)
    free: tuple[str, ...] = ()
    drop: float = 0.0
    pitch: float = 0.0
    lean: float = 0.0
    airborne: float = 0.0
    knees_up: bool = False

    @property
    def back(self) -> str:
        """The other side."""
        return "R" if self.front == "L" else "L"


def sample_stance(rng: np.random.Generator, skeleton: Skeleton, kind: str) -> Stance:
    """Draw where the feet go; ``skeleton`` is at rest."""
    half = rng.uniform(0.55, 1.15)
    ankles, yaw = {}, {}
    for side in SIDES:
        rest = skeleton.rest[skeleton.bone[f"foot.{side}"]]
        across = SIGN[side] * (half + rng.uniform(0, 0.25))
        ankles[side] = np.array((across, rest[1], rest[2] + rng.normal(0, 0.25)))
        yaw[side] = SIGN[side] * rng.uniform(2, 22)
    stance = Stance(ankles, "L" if rng.random() < 0.5 else "R", yaw=yaw)
    stance.drop = rng.uniform(0, 0.12) + (rng.uniform(0.2, 0.8) if rng.random() < 0.12 else 0)
    change = {**_UPRIGHT, **_WIDE}.get(kind)
    if change is not None:
        change(rng, skeleton, stance)
    return stance


def _contra(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    side = stance.front
    stance.ankles[side] += (SIGN[side] * rng.uniform(0.1, 0.9), 0, rng.uniform(0.3, 1.5))
    stance.yaw[side] += SIGN[side] * rng.uniform(0, 18)


def _walk(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    step = rng.uniform(1.2, 3.2)
    for side, forward in ((stance.front, 1), (stance.back, -1)):
        stance.ankles[side] *= (0.55, 1, 1)
        stance.ankles[side][2] += forward * step * rng.uniform(0.5, 0.9)
        stance.yaw[side] = SIGN[side] * rng.uniform(-2, 10)
    stance.lift[stance.back] = rng.uniform(0.3, 1.0) * step / 3


def _cross(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    side = stance.front
    stance.ankles[side][0] = -SIGN[side] * rng.uniform(0.1, 0.7)
    stance.ankles[side][2] += rng.uniform(0.7, 1.1)
    stance.ankles[stance.back][0] *= 0.6


def _wide(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    for side in SIDES:
        stance.ankles[side][0] += SIGN[side] * rng.uniform(0.5, 1.5)


def _knee(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    stance.ankles[stance.front] += (0, rng.uniform(1.0, 3.5), rng.uniform(-1.5, 1.2))
    stance.ankles[stance.back][0] *= 0.3
    stance.free = (stance.front,)


def _sit(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    """On a seat about as high as the knees."""
    thigh, shin = _leg(skeleton)
    forward = thigh * rng.uniform(0.75, 1.0)
    for side in SIDES:
        stance.ankles[side] += (0, 0, forward + rng.normal(0, 0.35))
    stance.drop = _standing(skeleton) - shin * rng.uniform(0.9, 1.15)
    stance.lean = rng.normal(4, 9)
    stance.knees_up = True


def _lunge(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    step = rng.uniform(3.0, 6.0)
    stance.ankles[stance.front] += (0, 0, step * 0.5)
    stance.ankles[stance.back] += (0, 0, -step * 0.6)
    stance.lift[stance.back] = rng.uniform(0.6, 1.3)
    stance.drop = rng.uniform(0.6, 2.2)
    stance.lean = rng.normal(4, 8)


def _squat(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    for side in SIDES:
        stance.ankles[side] += (SIGN[side] * rng.uniform(0.2, 0.9), 0, rng.uniform(0.3, 0.9))
    stance.drop = rng.uniform(1.2, 3.8)
    stance.pitch = rng.uniform(2, 8) * stance.drop
    stance.lean = rng.uniform(0, 18)


def _run(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    stance.ankles[stance.front] += (0, rng.uniform(1.0, 3.0), rng.uniform(0.5, 2.5))
    stance.ankles[stance.back] += (0, rng.uniform(0, 2.2), -rng.uniform(1.8, 3.8))
    for side in SIDES:
        stance.ankles[side][0] *= 0.45
    stance.free = SIDES
    stance.pitch, stance.lean = rng.uniform(2, 10), rng.uniform(2, 12)
    stance.drop = rng.uniform(0, 0.6)
    stance.airborne = rng.uniform(0, 0.8)


def _kick(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    side = stance.front
    thigh, shin = _leg(skeleton)
    height = rng.uniform(2.0, 6.5)
    out = np.sqrt(max((thigh + shin) ** 2 * 0.95 - (_standing(skeleton) - height) ** 2, 1.0))
    turn = rng.uniform(-0.2, 1.1)
    stance.ankles[side] += (SIGN[side] * out * np.sin(turn) * 0.8, height, out * np.cos(turn))
    stance.ankles[stance.back][0] *= 0.3
    stance.free = (side,)
    stance.lean = -rng.uniform(0, 14)


def _jump(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    for side in SIDES:
        stance.ankles[side] += (
            SIGN[side] * rng.uniform(0, 2.0), rng.uniform(0, 2.5), rng.uniform(-2.5, 1.0)
        )  # fmt: skip
    stance.free = SIDES
    stance.airborne = rng.uniform(0.5, 2.5)
    stance.lean = rng.normal(0, 8)


def _bend(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    stance.pitch, stance.lean = rng.uniform(15, 45), rng.uniform(15, 40)
    stance.drop = rng.uniform(0, 0.8)


_UPRIGHT: Final = {
    "contra": _contra, "walk": _walk, "cross": _cross, "wide": _wide, "knee": _knee,
}  # fmt: skip
_WIDE: Final = {
    "sit": _sit, "lunge": _lunge, "squat": _squat, "run": _run, "kick": _kick, "jump": _jump,
    "bend": _bend,
}  # fmt: skip


def _leg(skeleton: Skeleton) -> tuple[float, float]:
    """Thigh and shin, dm."""
    thigh = skeleton.span("upperleg01.L", "lowerleg01.L")
    shin = skeleton.span("lowerleg01.L", "foot.L")
    return float(np.linalg.norm(thigh)), float(np.linalg.norm(shin))


def _standing(skeleton: Skeleton) -> float:
    """Height of the hips over the ankles, legs straight."""
    return sum(_leg(skeleton)) * STRAIGHT


def place_legs(rng: np.random.Generator, skeleton: Skeleton, stance: Stance) -> None:
    """Lower the pelvis until the tightest leg is straight, less the drop, and pose the legs."""
    length = sum(_leg(skeleton))
    height = []
    for side in SIDES:
        if side in stance.free and len(stance.free) < 2:
            continue
        hip, ankle = skeleton.at(f"upperleg01.{side}"), stance.ankles[side]
        # A seat carries the pelvis: how far in front the feet are does not lower it.
        away = 0.0 if stance.knees_up else np.hypot(ankle[0] - hip[0], ankle[2] - hip[2])
        up = np.sqrt(max((length * STRAIGHT) ** 2 - away**2, 1))
        height.append(ankle[1] + stance.lift[side] + up - hip[1])
    skeleton.shift((0, min(height) - stance.drop, 0))
    for side in SIDES:
        _place_leg(rng, skeleton, stance, side)


def _place_leg(rng: np.random.Generator, skeleton: Skeleton, stance: Stance, side: str) -> None:
    lift = stance.lift[side]
    up = rng.uniform(0.8, 1.6) if stance.knees_up else 0.0
    pole = (SIGN[side] * rng.uniform(0.05, 0.35), up, 1.0)
    chain = (f"upperleg01.{side}", f"lowerleg01.{side}", f"foot.{side}")
    thigh, shin = skeleton.reach(chain, stance.ankles[side] + (0, lift, 0), pole)
    for bone, rotation in (
        ("upperleg01", thigh), ("upperleg02", thigh), ("lowerleg01", shin), ("lowerleg02", shin)
    ):  # fmt: skip
        skeleton.face(f"{bone}.{side}", rotation)
    if side in stance.free:
        skeleton.face(f"foot.{side}", shin @ turn_x(rng.uniform(-5, 35)))
        return
    pitch = np.degrees(np.arcsin(np.clip(lift / 1.6, 0, 0.8)))
    skeleton.face(f"foot.{side}", turn_y(stance.yaw[side]) @ turn_x(pitch))
    if lift:
        for bone in skeleton.bones:
            if bone.startswith("toe") and bone.endswith(f"-1.{side}"):
                skeleton.turn(bone, turn_x(-pitch * 0.8))
