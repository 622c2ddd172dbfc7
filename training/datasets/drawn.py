"""Drawn people: pairs made in code, with exact correspondence, for tests and the tiny config.

A person is twelve capsules with a texture of their own; a point of a capsule is named by how far
along its bone it lies and by its offset from the bone in radii, so the same point is found in any
pose. Pixel centres are at +0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import SettingsError
from reposedm.pose import JointState, Pose
from reposedm.pose.skeleton import NECK, NOSE
from training.sample import Sample

Plane = NDArray[np.float64]

MID_HIP: Final = 18
"""Joint 18 of the drawings: the middle of the hips."""

# (from, to, radius in trunk heights, garment): 0 skin, 1 top, 2 bottom, 3 hair and face.
PARTS: Final = (
    (1, MID_HIP, 0.30, 1), (8, 11, 0.20, 2),
    (9, 10, 0.10, 0), (12, 13, 0.10, 0), (8, 9, 0.15, 2), (11, 12, 0.15, 2),
    (1, 0, 0.09, 0), (0, 0, 0.24, 3),
    (2, 3, 0.12, 1), (3, 4, 0.085, 0), (5, 6, 0.12, 1), (6, 7, 0.085, 0),
)  # fmt: skip
_RIGHT_ARM, _LEFT_ARM = (8, 9), (10, 11)
OWNERS: Final = (
    (6, 7), (0, 6), (0, 8), (8, 9), (9,), (0, 10), (10, 11), (11,),
    (0, 1, 4), (2, 4), (2,), (0, 1, 5), (3, 5), (3,), (7,), (7,), (7,), (7,),
)  # fmt: skip
"""The parts a joint belongs to: it is behind where the picture shows another one there."""

_LENGTHS: Final = {3: 0.60, 4: 0.52, 6: 0.60, 7: 0.52, 9: 0.80, 10: 0.78, 12: 0.80, 13: 0.78}


@dataclass(frozen=True)
class _Drawing:
    """One picture, and which point of which part each of its pixels shows."""

    image: NDArray[np.uint8]  # H,W,3
    alpha: NDArray[np.uint8]  # H,W
    pose: Pose
    joints: Plane  # 19,2
    trunk: float
    order: tuple[int, ...]
    part: NDArray[np.int64]  # H,W, -1 the background
    local: Plane  # H,W,3: along, two offsets in radii


class SyntheticPairs:
    """Ordered pairs of drawn people in two poses, with mapping, visibility and alpha.

    Every pair is drawn anew when it is asked for, from ``seed`` and its number alone.

    Args:
        people: how many.
        poses: pictures of each; there are ``people * poses * (poses - 1)`` pairs.
        size: (H, W) of the pictures, each at least 32.
        seed: two seeds share no person.

    Raises:
        SettingsError: a number is too small.
    """

    def __init__(
        self, people: int = 8, poses: int = 4, size: tuple[int, int] = (64, 48), seed: int = 0
    ) -> None:
        """Remember what to draw; nothing is drawn yet."""
        if people < 1 or poses < 2 or min(size) < 32 or seed < 0:
            raise SettingsError(
                "drawn pairs need at least 1 person, 2 poses and 32 pixels, not "
                f"{people}, {poses} and {size[0]} x {size[1]}"
            )
        self.people, self.poses, self.size, self.seed = people, poses, (size[0], size[1]), seed

    def __len__(self) -> int:
        """The number of ordered pairs."""
        return self.people * self.poses * (self.poses - 1)

    def __getitem__(self, index: int) -> Sample:
        """The pair of that number, 0 to len - 1.

        Raises:
            IndexError: there is no such pair.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} drawn pairs, no number {index}")
        person, rest = divmod(index, self.poses * (self.poses - 1))
        first, second = divmod(rest, self.poses - 1)
        second += second >= first
        source, target = (_drawing(self.seed, person, pose, self.size) for pose in (first, second))
        mapping, seen = _correspondence(source, target)
        return Sample(
            source.image,
            target.image,
            source.pose,
            target.pose,
            f"drawn-{self.seed}-{person:04d}-{first}",
            f"drawn-{self.seed}-{person:04d}-{second}",
            f"drawn-{self.seed}-{person:04d}",
            mapping=mapping,
            seen=seen,
            source_alpha=source.alpha,
            target_alpha=target.alpha,
        )


@lru_cache(maxsize=64)  # a picture is in several pairs, and drawing is the slow part of a test
def _drawing(seed: int, person: int, pose: int, size: tuple[int, int]) -> _Drawing:
    looks = _Looks(np.random.default_rng((seed, person)))
    return _draw(looks, np.random.default_rng((seed, person, pose + 1)), size)


class _Looks:
    """One person's colours, patterns and build."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw the lots."""
        skin = np.array((235, 190, 160)) * rng.uniform(0.3, 1.0)
        self.colors = np.stack([skin, rng.uniform(20, 235, 3), rng.uniform(20, 235, 3), skin])
        self.second = np.stack([skin, *rng.uniform(0, 255, (2, 3)), rng.uniform(10, 130, 3)])
        self.stripes = rng.uniform(1.5, 4.5, (4, 2)) * (rng.random((4, 2)) < 0.75)
        self.phase = rng.uniform(0, 2 * np.pi, (4, 2))
        self.background = rng.uniform(90, 250, (2, 3))
        self.width = rng.uniform(0.9, 1.15)
        self.length = rng.uniform(0.92, 1.05)

    def color(self, part: int, local: Plane) -> Plane:
        """float (N, 3) in 0..255 of the part's points (N, 3)."""
        garment = PARTS[part][3]
        along, right, up = local.T
        if garment == 3:  # hair on the upper half, two eyes below it
            share = (up < -0.25).astype(float)
            for side in (-0.35, 0.35):
                share = np.maximum(share, (np.hypot(right - side, up - 0.05) < 0.18) * 1.0)
        else:
            wave = np.sin(2 * np.pi * self.stripes[garment, 0] * along + self.phase[garment, 0])
            wave = wave + np.sin(self.stripes[garment, 1] * 3 * right + self.phase[garment, 1])
            share = np.clip(0.5 + wave, 0, 1) if garment else np.zeros_like(along)
        shade = 1 - 0.25 * np.minimum(right**2, 1)[:, None]  # round, so that limbs stand out
        return (
            (1 - share)[:, None] * self.colors[garment] + share[:, None] * self.second[garment]
        ) * shade


def _posed(rng: np.random.Generator, size: tuple[int, int], length: float) -> tuple[Plane, float]:
    """19 joints in pixels, and the trunk's height in pixels."""
    height, width = size
    trunk = min(height * 0.27, width * 0.38) * length * rng.uniform(0.9, 1.0)
    lean = rng.uniform(-0.15, 0.15)
    joints = np.zeros((19, 2))
    joints[MID_HIP] = width * rng.uniform(0.45, 0.55), height * rng.uniform(0.50, 0.54)
    down, right = _turned((0, 1), lean), _turned((1, 0), lean)
    joints[NECK] = joints[MID_HIP] - trunk * down
    joints[NOSE] = joints[NECK] - trunk * 0.36 * _turned((0, 1), lean + rng.uniform(-0.3, 0.3))
    # The person's right is on the picture's left.
    for joint, (x, y) in {
        14: (-0.08, -0.04),
        15: (0.08, -0.04),
        16: (-0.2, 0),
        17: (0.2, 0),
    }.items():
        joints[joint] = joints[NOSE] + trunk * (x * right + y * down)
    for side, (shoulder, elbow, wrist, hip, knee, ankle) in (
        (-1, (2, 3, 4, 8, 9, 10)),
        (1, (5, 6, 7, 11, 12, 13)),
    ):
        joints[shoulder] = joints[NECK] + trunk * (0.32 * side * right + 0.06 * down)
        joints[hip] = joints[MID_HIP] + trunk * 0.17 * side * right
        arm = lean - side * rng.uniform(-0.5, 2.6)
        fore = arm - side * rng.uniform(-1.6, 1.6)
        thigh = lean - side * rng.uniform(0.0, 0.6)
        shin = thigh + side * rng.uniform(0.0, 0.5)
        for start, end, angle in (
            (shoulder, elbow, arm), (elbow, wrist, fore), (hip, knee, thigh), (knee, ankle, shin)
        ):  # fmt: skip
            joints[end] = joints[start] + trunk * _LENGTHS[end] * _turned((0, 1), angle)
    return joints, trunk


def _turned(vector: tuple[float, float], angle: float) -> Plane:
    """The vector turned by an angle in radians, from x towards y."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array((cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]))


def _draw(
    looks: _Looks, rng: np.random.Generator, size: tuple[int, int], fine: int = 2
) -> _Drawing:
    joints, trunk = _posed(rng, size, looks.length)
    trunk *= looks.width
    behind = [arm for arm in (_RIGHT_ARM, _LEFT_ARM) if rng.random() < 0.25]
    first = [part for arm in behind for part in arm]
    order = (*first, *(part for part in range(len(PARTS)) if part not in first))
    height, width = size
    part, local = _parts_at(_grid(height * fine, width * fine) / fine, joints, trunk, order)
    rows = (np.arange(height * fine) + 0.5)[:, None, None] / (height * fine)
    picture = (1 - rows) * looks.background[0] + rows * looks.background[1]
    picture = np.broadcast_to(picture, (height * fine, width * fine, 3)).copy()
    for index in range(len(PARTS)):
        mask = part == index
        picture[mask] = looks.color(index, local[mask])
    image = picture.reshape(height, fine, width, fine, 3).mean((1, 3))
    alpha = (part >= 0).reshape(height, fine, width, fine).mean((1, 3))
    part, local = _parts_at(_grid(height, width), joints, trunk, order)
    pixels, alpha = np.rint(image).clip(0, 255).astype(np.uint8), np.rint(alpha * 255)
    alpha = alpha.astype(np.uint8)
    for shared in (pixels, alpha):  # by all samples that show this picture
        shared.setflags(write=False)
    pose = _pose(joints, part, size)
    return _Drawing(pixels, alpha, pose, joints, trunk, order, part, local)


def _grid(height: int, width: int) -> Plane:
    """(H, W, 2): x, y of the pixels' centres."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack((columns, rows), -1) + 0.5


def _pose(joints: Plane, part: NDArray[np.int64], size: tuple[int, int]) -> Pose:
    height, width = size
    state = np.full(18, JointState.VISIBLE, np.uint8)
    for joint, (x, y) in enumerate(joints[:18]):
        if not (0 <= x < width and 0 <= y < height):
            state[joint] = JointState.HIDDEN
        elif part[int(y), int(x)] not in OWNERS[joint]:
            state[joint] = JointState.BEHIND
    return Pose(joints[:18].astype(np.float32), np.ones(18, np.float32), state, (width, height))


def _axes(joints: Plane, part: int) -> tuple[Plane, Plane, Plane]:
    """Start and vector of the part's bone, and the unit vector across it, (2,) each.

    The head has no bone: it stands on the neck.
    """
    start, end, *_ = PARTS[part]
    bone = joints[end] - joints[start]
    up = bone if start != end else joints[NECK] - joints[start]
    along = up / np.linalg.norm(up)
    return joints[start], bone, np.array((along[1], -along[0]))


def _parts_at(
    points: Plane, joints: Plane, trunk: float, order: tuple[int, ...]
) -> tuple[NDArray[np.int64], Plane]:
    """Which part is in front at each point (..., 2): its number or -1, and the local position."""
    found = np.full(points.shape[:-1], -1, np.int64)
    local = np.zeros((*points.shape[:-1], 3))
    for part in order:
        start, bone, across = _axes(joints, part)
        onward = np.array((-across[1], across[0]))
        radius = PARTS[part][2] * trunk
        offset = points - start
        square = float(bone @ bone)
        along = np.clip(offset @ bone / square, 0, 1) if square > 0 else np.zeros(offset.shape[:-1])
        rest = (offset - along[..., None] * bone) / radius
        inside = (rest**2).sum(-1) <= 1
        found[inside] = part
        local[inside] = np.stack((along, rest @ across, rest @ onward), -1)[inside]
    return found, local


def _correspondence(
    source: _Drawing, target: _Drawing
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mapping (2, H, W) in pixels, exact on all of the person, and where the source shows it.

    Off the person it is zero and not seen: the background is not the person's.
    """
    height, width = target.part.shape
    looked = _grid(height, width)
    for part in range(len(PARTS)):
        mask = target.part == part
        start, bone, across = _axes(source.joints, part)
        onward = np.array((-across[1], across[0]))
        along, right, up = target.local[mask].T[:, :, None]
        looked[mask] = (
            start + along * bone + source.trunk * PARTS[part][2] * (right * across + up * onward)
        )
    there, _ = _parts_at(looked, source.joints, source.trunk, source.order)
    inside = ((looked > 0) & (looked < (width, height))).all(-1)
    seen = (target.part >= 0) & inside & (there == target.part)
    offsets = (looked - _grid(height, width)).transpose(2, 0, 1)
    return offsets.astype(np.float32), seen.astype(np.float32)
