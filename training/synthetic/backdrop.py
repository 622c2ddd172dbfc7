"""Pictures of nowhere: backgrounds with the structure of streets, rooms and gardens."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic.colors import cloth_color
from training.synthetic.noise import smooth_noise

Image = NDArray[Any]

SIDE: Final = 384
"""Pictures are square; a view shows a part of one."""


def paint_backdrop(rng: np.random.Generator) -> Image:
    """A picture in linear light, float32 (384, 384, 3)."""
    kind = rng.choice(("facade", "room", "garden", "clutter", "lights"))
    paint = {
        "facade": _facade, "room": _room, "garden": _garden, "clutter": _clutter,
        "lights": _lights,
    }[str(kind)]  # fmt: skip
    image = paint(rng)
    grain = smooth_noise(rng, SIDE, (24, 48, 96, 192), 0.6)[..., None]
    image = image * (1 + rng.uniform(0.02, 0.12) * grain)
    image = image * (1 + rng.uniform(0, 0.25) * smooth_noise(rng, SIDE, (2, 4), 1.0)[..., None])
    blur = rng.choice((0.0, rng.uniform(0.5, 2), rng.uniform(2, 7)))
    if blur > 0:  # out of focus
        image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), float(blur))
    return np.clip(image, 0.03, 1.2).astype(np.float32) ** 2.2


def _plain(rng: np.random.Generator, family: str) -> Image:
    color = cloth_color(rng, family)
    top, bottom = color * rng.uniform(0.8, 1.1), color * rng.uniform(0.7, 1.1)
    share = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray(
        np.broadcast_to(top * (1 - share) + bottom * share, (SIDE, SIDE, 3)), np.float32
    )


def _ground(rng: np.random.Generator, image: Image) -> None:
    """Floor or street from a horizon down, with joints that run together."""
    horizon = int(rng.uniform(0.55, 0.85) * SIDE)
    color = cloth_color(rng, "neutral") * rng.uniform(0.6, 1)
    image[horizon:] = color
    dark = (color * rng.uniform(0.6, 0.9)).tolist()
    if rng.random() < 0.6:
        middle = rng.uniform(0.2, 0.8) * SIDE
        for x in np.linspace(-1, 2, int(rng.integers(8, 24))) * SIDE:
            start = (int(middle + (x - middle) * 0.35), horizon)
            cv2.line(image, start, (int(x), SIDE), dark, 1, cv2.LINE_AA)
        for y in horizon + (SIDE - horizon) * np.linspace(0, 1, int(rng.integers(3, 9))) ** 2:
            cv2.line(image, (0, int(y)), (SIDE, int(y)), dark, 1, cv2.LINE_AA)


def _facade(rng: np.random.Generator) -> Image:
    image = _plain(rng, str(rng.choice(("muted", "neutral"))))
    columns, rows = int(rng.integers(2, 7)), int(rng.integers(2, 7))
    wide, high = SIDE / columns, SIDE / rows
    inner = rng.uniform(0.12, 0.35, 2)
    glass, frame = cloth_color(rng, "dark"), cloth_color(rng, "neutral")
    for row in range(rows):
        for column in range(columns):
            a = int((column + inner[0]) * wide), int((row + inner[1]) * high)
            b = int((column + 1 - inner[0]) * wide), int((row + 1 - inner[1]) * high)
            shade = glass * rng.uniform(0.6, 1.6)
            cv2.rectangle(image, a, b, shade.tolist(), -1)
            cv2.rectangle(image, a, b, frame.tolist(), max(1, int(wide * 0.04)))
    if rng.random() < 0.5:
        _bricks(rng, image)
    _ground(rng, image)
    return image


def _bricks(rng: np.random.Generator, image: Image) -> None:
    height = rng.uniform(5, 14)
    joint = (image.mean((0, 1)) * rng.uniform(0.7, 1.2)).tolist()
    for row, y in enumerate(np.arange(0, SIDE, height)):
        cv2.line(image, (0, int(y)), (SIDE, int(y)), joint, 1)
        for x in np.arange((row % 2) * height, SIDE, height * 2):
            cv2.line(image, (int(x), int(y)), (int(x), int(y + height)), joint, 1)


def _room(rng: np.random.Generator) -> Image:
    image = _plain(rng, str(rng.choice(("pastel", "neutral", "muted"))))
    for _ in range(int(rng.integers(1, 5))):  # pictures, doors, furniture
        x, y = rng.uniform(0, SIDE, 2)
        w, h = rng.uniform(0.08, 0.4, 2) * SIDE
        a, b = (int(x), int(y)), (int(x + w), int(y + h))
        cv2.rectangle(image, a, b, cloth_color(rng).tolist(), -1)
        cv2.rectangle(image, a, b, cloth_color(rng, "dark").tolist(), int(rng.integers(1, 6)))
    _ground(rng, image)
    return image


def _garden(rng: np.random.Generator) -> Image:
    image = _plain(rng, "pastel")
    for _ in range(3):
        leaves = smooth_noise(rng, SIDE, (6, 12, 24, 48, 96), 0.5)
        green = np.array((0.25, 0.4, 0.18)) * rng.uniform(0.5, 1.6) + rng.normal(0, 0.05, 3)
        mask = np.clip((leaves - rng.uniform(-0.8, 0.8)) * 3, 0, 1)[..., None]
        texture = 1 + 0.3 * smooth_noise(rng, SIDE, (48, 96, 192), 0.3)[..., None]
        image = image * (1 - mask) + green * texture * mask
    image = np.ascontiguousarray(image, np.float32)
    if rng.random() < 0.6:
        _ground(rng, image)
    return image


def _clutter(rng: np.random.Generator) -> Image:
    image = _plain(rng, "")
    for _ in range(int(rng.integers(10, 60))):
        x, y = rng.uniform(-0.1, 1.1, 2) * SIDE
        color, size = cloth_color(rng).tolist(), float(rng.uniform(0.02, 0.25) * SIDE)
        kind = rng.integers(4)
        if kind == 0:
            cv2.circle(image, (int(x), int(y)), int(size / 2), color, -1, cv2.LINE_AA)
        elif kind == 1:
            box = ((x, y), (size, size * rng.uniform(0.2, 3)), rng.uniform(0, 180))
            cv2.fillPoly(image, [cv2.boxPoints(box).astype(np.int32)], color, cv2.LINE_AA)
        elif kind == 2:
            end = rng.uniform(-0.1, 1.1, 2) * SIDE
            width = max(1, int(size / 12))
            cv2.line(image, (int(x), int(y)), (int(end[0]), int(end[1])), color, width, cv2.LINE_AA)
        else:
            corners = np.array((x, y)) + rng.normal(0, size, (int(rng.integers(3, 7)), 2))
            cv2.fillPoly(image, [corners.astype(np.int32)], color, cv2.LINE_AA)
    return image


def _lights(rng: np.random.Generator) -> Image:
    """Night, or a shop: out-of-focus lights."""
    image = _plain(rng, "dark") * np.float32(rng.uniform(1, 2.5))
    image = np.ascontiguousarray(image, np.float32)
    for _ in range(int(rng.integers(10, 60))):
        x, y = rng.uniform(0, SIDE, 2)
        glow = image.copy()
        color = np.clip(cloth_color(rng, "vivid") * rng.uniform(0.8, 1.6), 0, 1).tolist()
        cv2.circle(glow, (int(x), int(y)), int(rng.uniform(3, 22)), color, -1, cv2.LINE_AA)
        share = np.float32(rng.uniform(0.2, 0.8))
        image = image * (1 - share) + glow * share
    return image
