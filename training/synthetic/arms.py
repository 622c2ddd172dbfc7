"""Where the hands go, and how arms, forearms and fingers follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic.body import Body
from training.synthetic.maths import fraction, rotation, turn_z, unit
from training.synthetic.skeleton import SIDES, SIGN, Skeleton

Array = NDArray[Any]

ARMS: Final = {
    "down": 6.0, "hip": 1.6, "pocket": 1.4, "raised": 0.6, "hair": 0.7, "chin": 0.6,
    "forward": 0.6, "side": 0.7, "front": 0.8, "back": 0.6, "bent": 1.0, "bag": 0.8,
}  # fmt: skip
"""What an arm does, and how often; beside these: swing, cross, lap, hang."""
UP, FORWARD = np.array((0.0, 1.0, 0.0)), np.array((0.0, 0.0, 1.0))


def sample_arms(rng: np.random.Generator, kind: str) -> dict[str, str]:
    """What both arms do in a stance."""
    shares = np.array(list(ARMS.values()))
    left, right = (str(n) for n in rng.choice(list(ARMS), 2, p=shares / shares.sum()))
    if rng.random() < 0.3:
        right = left
    if rng.random() < 0.05:
        left = right = "cross"
    if kind in ("walk", "run") and rng.random() < 0.7:
        left = right = "swing"
    if kind == "sit":
        left, right = (
            "lap" if n in ("down", "pocket", "back", "hip") else n for n in (left, right)
        )
    elif kind in ("bend", "squat", "lunge"):
        left, right = ("hang" if n in ("down", "pocket") else n for n in (left, right))
    elif kind == "jump" and rng.random() < 0.6:
        left = right = "raised"
    return {"L": left, "R": right}


@dataclass(frozen=True)
class _Frame:
    """One arm's surroundings: in all vectors x is outward."""

    side: str
    skeleton: Skeleton
    body: Body
    front_leg: str

    def of_hips(self, x: float, y: float, z: float) -> Array:
        """A vector in the pelvis' axes."""
        return self.skeleton.rotation("root") @ np.array((SIGN[self.side] * x, y, z))

    def of_chest(self, x: float, y: float, z: float) -> Array:
        """A vector in the chest's axes."""
        return self.skeleton.rotation("spine02") @ np.array((SIGN[self.side] * x, y, z))


def place_arms(
    rng: np.random.Generator,
    skeleton: Skeleton,
    body: Body,
    arms: dict[str, str],
    front_leg: str,
) -> None:
    """Pose both arms; legs and trunk are in place."""
    for side in SIDES:
        frame = _Frame(side, skeleton, body, front_leg)
        target, pole = _hand(rng, frame, arms[side])
        _place_arm(rng, frame, target, pole, arms[side])
        _curl_fingers(rng, skeleton, side)
    skeleton.update()


def _hand(rng: np.random.Generator, frame: _Frame, kind: str) -> tuple[Array, Array]:
    """Target of the wrist, and where the elbow points."""
    u, side, skeleton, body = rng.uniform, frame.side, frame.skeleton, frame.body
    hip = skeleton.at(f"upperleg01.{side}")
    shoulder, head = skeleton.at(f"upperarm01.{side}"), skeleton.at("head")
    root = skeleton.at("root")
    centre = np.array((root[0], hip[1], root[2]))
    wide, deep = body.half_hips, max(1.0, body.belly)
    out = np.array((SIGN[side], 0, 0))
    hips, chest = frame.of_hips, frame.of_chest
    swing = -1 if side == frame.front_leg else 1
    knee = skeleton.at(f"lowerleg01.{side}")
    choices = {
        "down": (centre, hips(wide + u(0.35, 1.1), u(-1.2, 0.2), u(-0.5, 0.8)),
                 -FORWARD + out * u(0.2, 0.7)),
        "swing": (centre, hips(wide + u(0.25, 0.7), u(-0.6, 0.9), swing * u(0.8, 2.6)),
                  -FORWARD + out * u(0.2, 0.7)),
        "hip": (centre, hips(wide + 0.25, u(1.3, 2.1), u(-0.1, 0.6)), out - FORWARD * u(0.1, 0.9)),
        "pocket": (centre, hips(wide + 0.28, u(0.6, 1.0), u(0.2, 0.7)), out * 0.8 - FORWARD),
        "raised": (shoulder, chest(u(-0.3, 2.5), u(3.2, 5.5), u(-0.5, 1)), out - FORWARD * 0.3),
        "hair": (head, chest(u(0.9, 1.3), u(0.2, 1.2), u(-0.8, 0.3)), out + UP * u(-0.4, 0.6)),
        "chin": (head, chest(u(-0.1, 0.6), u(-1.6, -1.1), u(1.5, 1.9)), -UP + out * 0.6),
        "forward": (shoulder, chest(u(-0.6, 1.0), u(-1.5, 1.2), u(3, 5.2)), -UP + out * 0.5),
        "side": (shoulder, chest(u(3, 5.4), u(-2.5, 1.5), u(-0.6, 1.2)), -UP - FORWARD * 0.5),
        "front": (centre, hips(u(0.2, 0.7), u(0.4, 1.6), deep + u(0.5, 0.9)), out - FORWARD * 0.6),
        "back": (centre, hips(u(0.2, 0.8), u(0.6, 1.8), -u(1.5, 1.9)), out - FORWARD * 0.5),
        "bent": (shoulder, chest(u(-0.2, 1.2), u(-3.2, -1.8), u(1.8, 3.2)),
                 -FORWARD + out * 0.4 - UP * 0.3),
        "bag": (shoulder, chest(u(-0.3, 0.3), u(-1.6, -0.9), u(1.2, 1.7)),
                -UP + out * 0.6 - FORWARD * 0.4),
        "lap": ((hip + knee) / 2, np.array((0, u(0.8, 1.1), u(0.2, 1.2))), out - FORWARD * 0.8),
        "hang": (shoulder, np.array((SIGN[side] * u(-0.2, 1.0), -u(3.8, 5.2), u(0.3, 1.8))),
                 out - FORWARD * 0.6),
    }  # fmt: skip
    if kind == "cross":
        under = side == "R"
        target = np.array(
            (
                root[0] - SIGN[side] * u(0.7, 1.2),
                shoulder[1] + u(-2.3, -1.8) - 0.35 * under,
                centre[2] + deep + (0.95 if under else 0.45),
            )
        )
        return target, out - UP * 0.4
    base, offset, pole = choices[kind]
    return base + offset, pole


def _place_arm(
    rng: np.random.Generator, frame: _Frame, target: Array, pole: Array, kind: str
) -> None:
    skeleton, side = frame.skeleton, frame.side
    shoulder = skeleton.at(f"upperarm01.{side}")
    raised = np.clip((target[1] - shoulder[1] + 1.0) / 5, 0, 1)
    skeleton.turn(f"clavicle.{side}", turn_z(SIGN[side] * 22 * raised + rng.normal(0, 2)))
    skeleton.update()
    chain = (f"upperarm01.{side}", f"lowerarm01.{side}", f"wrist.{side}")
    upper, fore = skeleton.reach(chain, target, pole)
    clavicle = skeleton.rotation(f"clavicle.{side}")
    skeleton.face(f"shoulder01.{side}", clavicle @ fraction(clavicle.T @ upper, 0.35))
    axis = fore @ unit(skeleton.span(f"lowerarm01.{side}", f"wrist.{side}"))
    twist = _twist(rng, frame, fore, axis, kind)
    for bone, turned in (
        ("upperarm01", upper),
        ("upperarm02", upper),
        ("lowerarm01", fore),
        ("lowerarm02", rotation(axis * twist * 0.5) @ fore),
        ("wrist", rotation(axis * twist) @ fore @ rotation(rng.normal(0, 0.12, 3))),
    ):
        skeleton.face(f"{bone}.{side}", turned)


def _twist(rng: np.random.Generator, frame: _Frame, fore: Array, axis: Array, kind: str) -> float:
    """Angle about the forearm that brings the thumb to a natural side, at most 1.5 rad."""
    side, skeleton = frame.side, frame.skeleton
    out = np.array((SIGN[side], 0, 0))
    wanted = {
        "down": FORWARD, "swing": FORWARD, "pocket": FORWARD, "hang": FORWARD - out * 0.3,
        "hip": FORWARD - UP * 0.3, "raised": -out - FORWARD * 0.2, "hair": -out * 0.2 - UP,
        "chin": UP - out * 0.3, "lap": -out + FORWARD * 0.4,
    }.get(kind, UP - out * 0.4)  # fmt: skip
    thumb = fore @ unit(skeleton.span(f"finger5-1.{side}", f"finger2-1.{side}"))
    goal = skeleton.rotation("root") @ wanted
    thumb, goal = (unit(v - axis * (v @ axis)) for v in (thumb, goal))
    angle = np.arctan2(np.cross(thumb, goal) @ axis, thumb @ goal) + rng.normal(0, 0.2)
    return float(np.clip(angle, -1.5, 1.5))


def _curl_fingers(rng: np.random.Generator, skeleton: Skeleton, side: str) -> None:
    curl = rng.uniform(0.05, 0.35) if rng.random() < 0.6 else rng.uniform(0.35, 1.0)
    across = skeleton.span(f"finger5-1.{side}", f"finger2-1.{side}")
    axis = -SIGN[side] * unit(across)
    for finger in "2345":
        for phalanx, share in (("1", 0.7), ("2", 1.0), ("3", 0.8)):
            skeleton.turn(f"finger{finger}-{phalanx}.{side}", rotation(axis * curl * share))
