"""Poses: procedural stances with arms, and the pack's own library."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.synthetic.arms import place_arms, sample_arms
from training.synthetic.assets import Assets
from training.synthetic.body import Body, Posture
from training.synthetic.maths import rotation, turn_x, turn_y, turn_z
from training.synthetic.skeleton import Skeleton
from training.synthetic.stances import STANCES, WIDE, place_legs, sample_stance

SPINE: Final = {"spine05": 0.15, "spine04": 0.2, "spine03": 0.25, "spine02": 0.25, "spine01": 0.15}
NECK: Final = {"neck01": 0.25, "neck02": 0.2, "neck03": 0.2, "head": 0.35}
"""How a bend is shared along the bones."""
UNFIT: Final = ("fly", "sit", "gym", "fight02", "fight03", "fight04")
"""Library poses that need a prop, stand on the hands or dive."""
LOOSE: Final = (
    "neck01", "neck02", "spine02", "spine03",
    "upperarm01.L", "upperarm01.R", "lowerarm01.L", "lowerarm01.R",
)  # fmt: skip
SEAT_BELOW_HIP: Final = 0.75
"""From the hip joints to what one sits on, dm."""


def sample_posture(
    rng: np.random.Generator, assets: Assets, body: Body, kind: str = "", *, skirt: bool = False
) -> Posture:
    """Draw a pose, facing +z.

    Args:
        rng: draws.
        assets: the pack.
        body: whose pose; limb lengths and girth matter.
        kind: one of ``STANCES``; "": drawn.
        skirt: none of the wide stances is drawn: a skirt would be torn between the legs.
    """
    if not kind:
        kind = str(rng.choice(list(STANCES), p=np.array(list(STANCES.values()))))
        if skirt and kind in WIDE:
            kind = "stand"
    if kind == "library":
        return _from_library(rng, assets, body)
    skeleton = Skeleton(assets, body.joints)
    stance = sample_stance(rng, skeleton, kind)
    _place_trunk(rng, skeleton, kind, stance.pitch, stance.lean)
    place_legs(rng, skeleton, stance)
    arms = sample_arms(rng, kind)
    place_arms(rng, skeleton, body, arms, stance.front)
    seat = None
    if stance.knees_up:
        hips = (skeleton.at("upperleg01.L") + skeleton.at("upperleg01.R")) / 2
        seat = (float(hips[0]), float(hips[1] - SEAT_BELOW_HIP), float(hips[2]))
    name = f"{kind}/{arms['L']}/{arms['R']}"
    return Posture(skeleton.turned, skeleton.position, name, seat, stance.airborne)


def resting_posture(assets: Assets, body: Body) -> Posture:
    """The mesh's own pose: standing, arms a little away from the body."""
    skeleton = Skeleton(assets, body.joints)
    skeleton.update()
    return Posture(skeleton.turned, skeleton.position, "rest")


def _place_trunk(
    rng: np.random.Generator, skeleton: Skeleton, kind: str, pitch: float, lean: float
) -> None:
    roll = rng.normal(0, 3)
    if kind == "contra":
        roll = rng.choice((-1, 1)) * rng.uniform(3, 8)
    hips = turn_y(rng.normal(0, 6)) @ turn_z(roll) @ turn_x(pitch + rng.normal(0, 2))
    skeleton.turn("root", hips)
    bend = np.array((
        lean + rng.normal(1.5, 4),
        rng.normal(0, 9),
        -roll * rng.uniform(0.6, 1.1) + rng.normal(0, 3),
    ))  # fmt: skip
    for bone, share in SPINE.items():
        skeleton.turn(bone, rotation(np.radians(bend * share)))
    # Whoever leans forward still looks ahead.
    look = np.array((rng.normal(0, 7) - (pitch + lean) * 0.5, rng.normal(0, 16), rng.normal(0, 4)))
    for bone, share in NECK.items():
        skeleton.turn(bone, rotation(np.radians(look * share)))
    skeleton.update()


def _from_library(rng: np.random.Generator, assets: Assets, body: Body) -> Posture:
    names = [name for name in assets.library if not name.startswith(UNFIT)]
    name = str(rng.choice(names))
    skeleton = Skeleton(assets, body.joints)
    skeleton.local[:] = assets.arrays["poses"][assets.library.index(name)]
    for bone in LOOSE:
        index = skeleton.bone[bone]
        skeleton.local[index] = skeleton.local[index] @ rotation(rng.normal(0, 0.09, 3))
    skeleton.update()
    return Posture(skeleton.turned, skeleton.position, f"library/{name}")
