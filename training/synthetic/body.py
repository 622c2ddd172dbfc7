"""A body: who it is, its shape, its skeleton, and where its joints are in a pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic import mesh
from training.synthetic.assets import Assets
from training.synthetic.labels import BODY_VERTICES, JOINT_BONES
from training.synthetic.maths import unit

Array = NDArray[Any]

SKIN_TONES: Final = np.array(
    (
        (0.91, 0.77, 0.69), (0.88, 0.73, 0.63), (0.84, 0.68, 0.56), (0.77, 0.59, 0.46),
        (0.69, 0.50, 0.37), (0.59, 0.41, 0.29), (0.48, 0.32, 0.22), (0.385, 0.25, 0.175),
        (0.30, 0.20, 0.145), (0.235, 0.16, 0.125),
    ),
    np.float32,
)  # fmt: skip
"""Ten steps of albedo, sRGB."""

RACES: Final = ("african", "asian", "caucasian")
_ODD_DETAILS: Final = ("pregnant-incr", "waist-down", "eye-trans-in", "ear-trans")
"""Details that look like a deformation when only one side has them."""


@dataclass(frozen=True)
class Traits:
    """What is drawn for a person once; adults only.

    Attributes:
        female: the base shape.
        age: 0 about 25 years, 0.9 about 85.
        ancestry: shares of african, asian, caucasian shape.
        muscle: 0 to 1.
        weight: 0 to 1.
        height: -0.22 to 0.6, of the tallest target.
        proportion: -0.1 to 1, towards the ideal.
        cup: -0.8 to 0.8.
        tone: 0 to 9, index into ``SKIN_TONES``.
        smile: 0 to 1.
        details: target names and amounts of face and trunk.
    """

    female: bool
    age: float
    ancestry: tuple[float, float, float]
    muscle: float
    weight: float
    height: float
    proportion: float
    cup: float
    tone: float
    smile: float
    details: tuple[tuple[str, float], ...]

    @property
    def skin(self) -> NDArray[np.float32]:
        """(3,) skin colour, sRGB in 0..1."""
        step = min(int(self.tone), len(SKIN_TONES) - 2)
        share = self.tone - step
        return np.asarray(SKIN_TONES[step] * (1 - share) + SKIN_TONES[step + 1] * share, np.float32)


def sample_traits(rng: np.random.Generator, detail_names: list[str]) -> Traits:
    """Draw a person."""
    female = bool(rng.random() < 0.5)
    age = float(np.clip(rng.beta(1.1, 2.2) * 1.1 - 0.05, 0, 0.9))
    ancestry = rng.dirichlet((0.45, 0.45, 0.45))
    follows = ancestry[0] * 0.85 + 0.1 + rng.normal(0, 0.12)
    tone = rng.uniform(0, 1) if rng.random() < 0.6 else follows
    details = [
        (name, float(rng.uniform(0, 0.55)))
        for name in detail_names
        if rng.random() < 0.5 and not any(odd in name for odd in _ODD_DETAILS)
    ]
    return Traits(
        female,
        age,
        (float(ancestry[0]), float(ancestry[1]), float(ancestry[2])),
        muscle=float(np.clip(rng.normal(0.42 if female else 0.5, 0.2), 0, 1)),
        weight=float(np.clip(rng.normal(0.48, 0.2), 0.02, 0.98)),
        height=float(np.clip(rng.normal(0.12, 0.2), -0.22, 0.6)),
        proportion=float(rng.uniform(-0.1, 1)),
        cup=float(np.clip(rng.normal(0, 0.4), -0.8, 0.8)),
        tone=float(np.clip(tone, 0, 1)) * 9,
        smile=float(rng.uniform(0.3, 1)) if rng.random() < 0.55 else 0.0,
        details=tuple(details),
    )


def morph_weights(traits: Traits) -> dict[str, float]:
    """Amounts of the morph targets; those of each group sum to 1 as MakeHuman's do."""
    sex = "female" if traits.female else "male"
    weights: dict[str, float] = {}
    for age, share in (("young", 1 - traits.age), ("old", traits.age)):
        for race, part in zip(RACES, traits.ancestry, strict=True):
            weights[f"race/{race}-{sex}-{age}"] = part * share
        for muscle, much in _three(traits.muscle).items():
            for weight, heavy in _three(traits.weight).items():
                weights[f"uni/{sex}-{age}-{muscle}-{weight}"] = share * much * heavy
        tall = "max" if traits.height > 0 else "min"
        weights[f"height/{sex}-{age}-{tall}"] = abs(traits.height) * share
        ideal = "ideal" if traits.proportion > 0 else "uncommon"
        weights[f"prop/{sex}-{age}-{ideal}"] = abs(traits.proportion) * share
    if traits.female:
        weights["breast/" + ("max" if traits.cup > 0 else "min")] = abs(traits.cup)
    return weights | dict(traits.details)


def _three(value: float) -> dict[str, float]:
    """How much of a low, a middle and a high target makes a value in 0..1."""
    return {
        "min": max(0.0, 1 - 2 * value),
        "average": 1 - abs(2 * value - 1),
        "max": max(0.0, 2 * value - 1),
    }


@dataclass(frozen=True, eq=False)
class Body:
    """A person's naked shape, from which clothes are fitted.

    Attributes:
        traits: of the person.
        vertices: float32 (19158, 3), the morphed base mesh with helpers.
        joints: float64 (bones, 3) at rest.
        belly: how far the belly reaches to the front, dm.
        hip_flesh: flesh outside the hip joint, dm.
        half_hips: half the width of the hips, flesh included, dm.
    """

    traits: Traits
    vertices: Array
    joints: Array
    belly: float
    hip_flesh: float
    half_hips: float


def build_body(assets: Assets, traits: Traits) -> Body:
    """The body of a person."""
    vertices = assets.morphed(morph_weights(traits)).astype(np.float32)
    if traits.smile:
        vertices[:BODY_VERTICES] += smile_offsets(assets) * np.float32(traits.smile)
    joints = assets.joints(vertices)
    at = assets.template[:BODY_VERTICES]
    skin = vertices[:BODY_VERTICES]
    belly = skin[(np.abs(at[:, 0]) < 0.8) & (at[:, 1] > 0.6) & (at[:, 1] < 3.0), 2].max()
    hips = skin[(np.abs(at[:, 1] - 0.3) < 0.5) & (np.abs(at[:, 0]) < 2.6), 0].max()
    hip = abs(joints[assets.bone["upperleg01.L"], 0])
    return Body(traits, vertices, joints, float(belly), float(hips - hip), float(hips))


def smile_offsets(assets: Assets) -> Array:
    """float32 (13380, 3): corners of the mouth up and out, cheeks forward."""

    def make() -> Array:
        at = assets.template[:BODY_VERTICES]
        lips = (at[:, 1] > 6.53) & (at[:, 1] < 6.78) & (np.abs(at[:, 0]) < 0.32) & (at[:, 2] > 1)
        corners = at[lips][np.argsort(-np.abs(at[lips, 0]))[:12]]
        depth = corners[:, 2].mean()
        out = np.zeros_like(at)
        for sign in (-1, 1):
            for centre, spread, move in (
                ((sign * 0.25, 6.655, depth), (0.13, 0.10, 0.3), (sign * 0.030, 0.055, -0.02)),
                ((sign * 0.42, 6.92, depth - 0.05), (0.15, 0.12, 0.3), (sign * 0.008, 0.018, 0.03)),
            ):
                near = (((at - centre) / spread) ** 2).sum(1)
                out += np.exp(-near / 2)[:, None] * move
        return out.astype(np.float32)

    return np.asarray(assets.once("smile", make))


@dataclass(frozen=True, eq=False)
class Posture:
    """A pose of a skeleton.

    Attributes:
        turned: float64 (bones, 3, 3) global rotations.
        position: float64 (bones, 3) joints.
        name: what was drawn, for the index.
        seat: (x, y, z), middle of the top of what the person sits on; None: stands.
        airborne: height of the lowest point over the floor, dm.
    """

    turned: Array
    position: Array
    name: str
    seat: tuple[float, float, float] | None = None
    airborne: float = 0.0


def skinned(
    vertices: Array, bones: Array, weights: Array, body: Body, posture: Posture
) -> NDArray[np.float32]:
    """A mesh (N, 3) in a pose."""
    out = np.empty((len(vertices), 3), np.float32)
    mesh.skin(vertices, bones, weights, posture.turned, posture.position, body.joints, out)
    return out


def joints_in_space(
    assets: Assets, body: Body, posture: Posture, skin: Array
) -> NDArray[np.float32]:
    """(18, 3) joints in OpenPose's order, in the pose's own coordinates.

    Args:
        assets: the pack.
        body: whose joints.
        posture: the pose.
        skin: float32 (13380, 3), the posed skin.
    """
    out = np.zeros((18, 3), np.float32)
    for joint, bone in JOINT_BONES.items():
        out[joint] = posture.position[assets.bone[bone]]
    out[1] = (out[2] + out[5]) / 2
    nose, right_ear, left_ear = face_points(assets)
    out[0], out[16], out[17] = skin[nose], skin[right_ear], skin[left_ear]
    head = assets.bone["head"]
    for joint, (first, last) in {15: (14598, 14670), 14: (14670, 14742)}.items():
        eye = body.vertices[first:last].mean(0) + np.array((0, 0, 0.10))
        moved = posture.turned[head] @ (eye - body.joints[head])
        out[joint] = moved + posture.position[head]
    return out


def face_points(assets: Assets) -> tuple[int, int, int]:
    """Vertices of the tip of the nose, the right and the left ear."""

    def make() -> tuple[int, int, int]:
        skin = assets.base[:BODY_VERTICES]
        x, y, z = skin.T
        face = np.flatnonzero((np.abs(x) < 0.05) & (y > 6.6) & (y < 7.25))
        level = np.flatnonzero((y > 6.8) & (y < 7.5))
        nose = face[np.argmax(z[face])]
        return int(nose), int(level[np.argmin(x[level])]), int(level[np.argmax(x[level])])

    points: tuple[int, int, int] = assets.once("face points", make)
    return points


def facing(joint: int) -> Array:
    """(3,) the direction a joint of the head looks in, in the head's own axes."""
    return unit(
        {
            0: (0, 0, 1),
            14: (-0.25, 0, 1),
            15: (0.25, 0, 1),
            16: (-1, 0, -0.1),
            17: (1, 0, -0.1),
        }[joint]
    )
