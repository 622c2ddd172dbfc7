"""What is behind the person: a floor with the cast shadow, and a wall (numba)."""

# ruff: noqa: PLR0917
# (compiled functions: no keywords, and a call in the innermost loop would cost)

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.synthetic.camera import Camera
from training.synthetic.noise import smooth_noise
from training.synthetic.scene import Scene
from training.synthetic.shading import ShadowMap, lit_share

Array = NDArray[Any]


def render_background(
    scene: Scene, camera: Camera, shadows: ShadowMap, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The empty scene with the person's shadow, linear (H, W, 3)."""
    height, width = camera.size
    floor, shade = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    cos, sin = camera.rays()
    _stage(
        camera.position, cos, sin, camera.focal, *camera.centre, scene.depth,
        shadows.depth, shadows.axes, shadows.frame, scene.shadow * 0.75, floor, shade,
    )  # fmt: skip
    if scene.noise:
        grain = smooth_noise(np.random.default_rng(scene.seed), 512, (3, 6, 12, 200), 0.45)
        rows, columns = np.arange(height) % 512, np.arange(width) % 512
        shade *= 1 + scene.noise * 0.16 * grain[np.ix_(rows, columns)]
    if scene.wall.ndim == 1:
        share = floor[..., None]
        colors = scene.floor * share + scene.wall * (1 - share)
    else:
        colors = _window(scene.wall, camera.size, rng)
    return np.asarray(colors * shade[..., None], np.float32)


def _window(picture: Array, size: tuple[int, int], rng: np.random.Generator) -> Array:
    """A part of a picture, as large as the view."""
    import cv2

    side = picture.shape[0]
    scale = side / max(size) * rng.uniform(0.6, 0.95)
    high, wide = int(size[0] * scale), int(size[1] * scale)
    top, left = int(rng.integers(side - high + 1)), int(rng.integers(side - wide + 1))
    part = picture[top : top + high, left : left + wide]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (size[1], size[0]), interpolation=method))


@njit(fastmath=True, cache=True)
def _stage(
    eye: Array, cos: float, sin: float, focal: float, centre_x: float, centre_y: float,
    wall: float, depth: Array, axes: Array, frame: Array, strength: float, floor: Array,
    shade: Array,
) -> None:  # fmt: skip  # pragma: no cover - compiled
    """How much of each pixel is floor (a soft crease, as of a paper roll), and its brightness."""
    height, width = floor.shape
    for y in range(height):
        for x in range(width):
            right = (x + 0.5 - centre_x) / focal
            up = -(y + 0.5 - centre_y) / focal
            ray_y = cos * up - sin
            ray_z = -sin * up - cos
            to_wall = (-wall - eye[2]) / ray_z
            to_floor = 1e9
            if ray_y < -1e-6:
                to_floor = -eye[1] / ray_y
            if to_floor < to_wall:
                px, pz = eye[0] + right * to_floor, eye[2] + ray_z * to_floor
                lit = lit_share(depth, axes, frame, px, 0.0, pz, 0.05, 3.0)
                floor[y, x] = 1.0 - max(0.0, (to_floor / to_wall - 0.8) / 0.2)
                shade[y, x] = 1.0 - strength * (1.0 - lit)
            else:
                floor[y, x] = 0.0
                height_there = eye[1] + ray_y * to_wall
                shade[y, x] = 0.90 + 0.10 * min(1.0, height_there / 20.0)
