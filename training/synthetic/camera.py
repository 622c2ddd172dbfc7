"""Where the person stands, and the camera that looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.synthetic.maths import turn_y

Array = NDArray[Any]

FRAMINGS: Final = {"full": 0.62, "knee": 0.14, "thigh": 0.16, "waist": 0.08}
"""How much of the person is wanted in the picture, and how often."""
_CUT_JOINTS: Final = {"knee": (9, 12), "thigh": (8, 9), "waist": (8, 11)}
YAWS: Final = (
    (0, 10, 0.28), (25, 12, 0.12), (-25, 12, 0.12), (60, 10, 0.06), (-60, 10, 0.06),
    (90, 8, 0.05), (-90, 8, 0.05), (180, 14, 0.14), (140, 12, 0.06), (-140, 12, 0.06),
)  # fmt: skip
"""(mean, deviation, share) of the turn away from the camera, degrees."""


@dataclass(frozen=True)
class Viewpoint:
    """A kind of camera.

    Attributes:
        distance: least and most, dm.
        height: least and most, in heights of the person.
        tilt: least and most of the way to looking at the middle of the person.
        fill: least and most part of the picture's height that the person fills.
        loose: how far the person is off the middle, in widths (standard deviation).
    """

    distance: tuple[float, float] = (38, 70)
    height: tuple[float, float] = (0.45, 0.85)
    tilt: tuple[float, float] = (0.3, 1.0)
    fill: tuple[float, float] = (0.84, 0.95)
    loose: float = 0.02


@dataclass(frozen=True)
class Camera:
    """A pinhole camera on the z axis that looks along -z, tilted down.

    Attributes:
        height: over the floor, dm.
        distance: from the person's axis, dm.
        pitch: radians downward.
        focal: pixels.
        centre: (x, y) of the principal point, pixels.
        size: (H, W).
    """

    height: float
    distance: float
    pitch: float
    focal: float
    centre: tuple[float, float]
    size: tuple[int, int]

    @property
    def position(self) -> Array:
        """(3,) in the scene."""
        return np.array((0.0, self.height, self.distance))

    def project(self, points: Array) -> NDArray[np.float32]:
        """(N, 3) in the scene -> x, y in pixels (centres at +0.5) and depth in dm."""
        flat = _perspective(points, self.position, self.pitch)
        flat[:, 0] = flat[:, 0] * self.focal + self.centre[0]
        flat[:, 1] = flat[:, 1] * self.focal + self.centre[1]
        return np.ascontiguousarray(flat, np.float32)

    def rays(self) -> tuple[float, float]:
        """Cosine and sine of the tilt."""
        return float(np.cos(self.pitch)), float(np.sin(self.pitch))


@dataclass(frozen=True, eq=False)
class Placement:
    """How a pose is put into the scene: turned, moved over the origin, set on the floor."""

    turned: Array  # (3, 3)
    centre: Array  # (3,) of the pose, moved to the axis
    floor: float  # height of the lowest point, before

    def __call__(self, points: Array) -> NDArray[np.float32]:
        """(N, 3) of the pose -> of the scene."""
        moved: Array = (points - self.centre) @ self.turned.T
        moved[:, 1] -= self.floor
        return np.ascontiguousarray(moved, np.float32)


def placed(points: Array, seen: Array, root: Array, yaw: float, airborne: float) -> Placement:
    """Turn by ``yaw`` degrees, and put the lowest of the ``seen`` points over the floor."""
    turned = turn_y(yaw).astype(np.float32)
    centre = np.array((root[0], 0, root[2]), np.float32)
    lowest = float(points[seen, 1].min())
    return Placement(turned, centre, lowest - airborne)


def sample_yaw(rng: np.random.Generator, frontal: bool = False) -> float:
    """A turn in degrees; ``frontal``: about 0."""
    shares = [share for _, _, share in YAWS]
    mean, deviation = (0, 12) if frontal else YAWS[rng.choice(len(YAWS), p=shares)][:2]
    return float(rng.normal(mean, deviation))


def sample_camera(
    rng: np.random.Generator,
    points: Array,
    joints: Array,
    *,
    size: tuple[int, int],
    framing: str,
    viewpoint: Viewpoint,
) -> Camera:
    """A camera that frames a person.

    Args:
        rng: draws.
        points: (N, 3) what can be seen of the person, in the scene.
        joints: (18, 3) in the scene.
        size: (H, W) of the picture.
        framing: one of ``FRAMINGS``.
        viewpoint: what kind of camera.
    """
    height, width = size
    full = framing == "full"
    distance = rng.uniform(*viewpoint.distance)
    top = float(points[:, 1].max())
    low, high = viewpoint.height
    eye = rng.uniform(low if full else max(low, 0.6), max(high, 0.61)) * top
    pitch = np.arctan2(eye - top / 2, distance) * rng.uniform(*viewpoint.tilt)
    position = np.array((0, eye, distance))
    flat = _perspective(points, position, pitch)
    (left, upper), (right, lower) = flat[:, :2].min(0), flat[:, :2].max(0)
    marks = _perspective(joints, position, pitch)
    if not full:
        first, second = _CUT_JOINTS[framing]
        margin = (0.04 if framing == "waist" else 0.02) * (lower - upper)
        lower = (marks[first, 1] + marks[second, 1]) / 2 + margin
        above = flat[flat[:, 1] < lower]
        if len(above):
            left, right = above[:, 0].min(), above[:, 0].max()
    fill, room = rng.uniform(*viewpoint.fill), 0.96 if full else 1.12
    focal = min(fill * height / (lower - upper), room * width / max(right - left, 1e-3))
    middle = (left + right) / 2
    if not full:
        middle = 0.5 * middle + 0.5 * float(marks[[1, 8, 11], 0].mean())
    x = width / 2 - focal * middle + rng.normal(0, viewpoint.loose) * width
    slack = height - focal * (lower - upper)
    above_head = slack * rng.uniform(0.35, 0.65) if full else rng.uniform(0.03, 0.10) * height
    centre = float(x), float(above_head - focal * upper)
    return Camera(float(eye), float(distance), float(pitch), float(focal), centre, size)


def _perspective(points: Array, position: Array, pitch: float) -> Array:
    """(N, 3): x and y at focal length 1, and depth."""
    cos, sin = np.cos(pitch), np.sin(pitch)
    offset = points - position
    up = offset[:, 1] * cos - offset[:, 2] * sin
    depth = -(offset[:, 2] * cos + offset[:, 1] * sin)
    return np.stack((offset[:, 0] / depth, -up / depth, depth), 1)
