"""What is sewn or printed on a garment: buttons, pockets, belts, seams, letters and shapes."""

from __future__ import annotations

import string
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic.canonical import CHART_BOTTOM, CHART_LEFT, CHART_SIDE
from training.synthetic.colors import cloth_color
from training.synthetic.labels import TEXTURE

Image = NDArray[np.float32]

SCALE: Final = TEXTURE / CHART_SIDE
"""Pixels per dm."""
TRUNK_END: Final = 4.7
LETTERS: Final = string.ascii_uppercase.replace("J", "").replace("Q", "") + string.digits


def pixel(s: float, t: float) -> tuple[int, int]:
    """(x, y) in the chart of a place on the garment."""
    return int((s - CHART_LEFT) * SCALE), int((CHART_SIDE - (t - CHART_BOTTOM)) * SCALE)


def add_placket(rng: np.random.Generator, image: Image, accent: NDArray[Any]) -> None:
    """A button line, chest pockets, a collar band, a hem band: each sometimes."""
    x, y = pixel(0, 3)
    seam = (image[y, x] * rng.uniform(0.5, 0.8)).tolist()
    button = (np.full(3, 0.85 if image.mean() < 0.4 else 0.15) * rng.uniform(0.8, 1.1)).tolist()
    x, top = pixel(0, 5.8)
    bottom = pixel(0, float(rng.choice((-0.5, 4.2))))[1]
    if rng.random() < 0.7:
        for offset in (-3, 3):
            cv2.line(image, (x + offset, top), (x + offset, bottom), seam, 1, cv2.LINE_AA)
        for y in range(top, bottom, int(rng.uniform(14, 24))):
            cv2.circle(image, (x, y), 1, button, -1, cv2.LINE_AA)
    if rng.random() < 0.4:
        for side in (1,) if rng.random() < 0.6 else (1, -1):
            corners = pixel(side * 0.85 - 0.4, 4.1), pixel(side * 0.85 + 0.4, 3.3)
            cv2.rectangle(image, *corners, seam, 1)
    end = pixel(TRUNK_END, 0)[0]
    if rng.random() < 0.35:
        image[: pixel(0, rng.uniform(5.0, 5.4))[1], :end] = accent
    if rng.random() < 0.25:
        y = pixel(0, rng.uniform(0.2, 0.9))[1]
        image[y : y + int(rng.uniform(5, 16)), :end] = accent


def add_trouser_seams(rng: np.random.Generator, image: Image) -> None:
    """A belt, fly and pockets, a stripe down the sides: each sometimes."""
    dark = (image.mean((0, 1)) * rng.uniform(0.45, 0.75)).tolist()
    if rng.random() < 0.45:
        x, y = pixel(0, rng.uniform(1.0, 1.35))
        height = int(rng.uniform(5, 9))
        image[y : y + height] = np.clip(cloth_color(rng, "dark"), 0.03, 0.5)
        cv2.rectangle(image, (x - 6, y), (x + 6, y + height), (0.6, 0.58, 0.5), 1)
    if rng.random() < 0.6:
        x, y = pixel(0, 1.2)
        cv2.line(image, (x, y), (x, y + 34), dark, 1, cv2.LINE_AA)
        for side in (-1, 1):
            ends = pixel(side * 1.1, 1.1), pixel(side * 1.9, 0.3)
            cv2.line(image, *ends, dark, 2, cv2.LINE_AA)
    if rng.random() < 0.12:
        color, width = cloth_color(rng).tolist(), int(rng.uniform(3, 8))
        for s in (1.5 + 1.57, -1.5 - 1.57):  # the legs' charts are centred on +-1.5
            x, y = pixel(s, 0.8)
            cv2.line(image, (x, y), (x, TEXTURE - 1), color, width)


def add_print(rng: np.random.Generator, image: Image) -> Image:
    """One to three shapes or words on the chest; a new float image (512, 512, 3)."""
    canvas = (np.clip(image, 0, 1) * 255).astype(np.uint8)  # text is drawn on 8 bits only
    middle = rng.random() < 0.75
    x, y = pixel(0 if middle else 0.75, rng.uniform(3.7, 4.5))
    size = int(rng.uniform(0.35, 1.05) * SCALE) if middle else int(0.3 * SCALE)
    for _ in range(int(rng.integers(1, 4))):
        color = (cloth_color(rng) * 255).tolist()
        at = x + int(rng.normal(0, size * 0.15)), y + int(rng.normal(0, size * 0.25))
        _draw(rng, canvas, at, size, color)
    return np.asarray(canvas, np.float32) / 255


def _draw(
    rng: np.random.Generator,
    canvas: NDArray[np.uint8],
    at: tuple[int, int],
    size: int,
    color: list[float],
) -> None:
    shape = str(rng.choice(("circle", "box", "triangle", "ring", "text", "text", "text")))
    x, y = at
    if shape == "circle":
        cv2.circle(canvas, at, max(2, int(size * rng.uniform(0.3, 0.8))), color, -1, cv2.LINE_AA)
    elif shape == "ring":
        radius = max(2, int(size * rng.uniform(0.4, 0.9)))
        cv2.circle(canvas, at, radius, color, max(1, size // 6), cv2.LINE_AA)
    elif shape == "box":
        a, b = int(size * rng.uniform(0.4, 1)), int(size * rng.uniform(0.2, 0.9))
        cv2.rectangle(canvas, (x - a, y - b), (x + a, y + b), color, -1)
    elif shape == "triangle":
        corners = ((x, y - size), (x - size, y + size // 2), (x + size, y + size // 2))
        cv2.fillPoly(canvas, [np.array(corners, np.int32)], color, cv2.LINE_AA)
    else:
        word = "".join(rng.choice(list(LETTERS), int(rng.integers(2, 6))))
        font, scale, width = int(rng.choice((0, 2, 3, 4))), size / 22.0, max(1, size // 7)
        (wide, high), _ = cv2.getTextSize(word, font, scale, width)
        where = (x - wide // 2, y + high // 2)
        cv2.putText(canvas, word, where, font, scale, color, width, cv2.LINE_AA)
