"""Colours of cloth and hair, sRGB in 0..1."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Color = NDArray[np.float32]

FAMILIES: Final = {"neutral": 0.32, "muted": 0.25, "vivid": 0.13, "pastel": 0.13, "dark": 0.17}
"""Families of cloth colours and how often each is worn."""

TROUSERS: Final = (
    ((28, 28, 30), 0.20), ((52, 54, 58), 0.10), ((110, 112, 115), 0.08), ((60, 82, 112), 0.14),
    ((96, 124, 158), 0.10), ((34, 42, 66), 0.10), ((176, 158, 128), 0.08), ((92, 90, 66), 0.05),
    ((230, 228, 222), 0.06), ((92, 66, 50), 0.04), ((120, 40, 48), 0.02), ((150, 172, 196), 0.03),
)  # fmt: skip
"""Everyday colours: black, greys, denim, navy, beige, olive, white ..."""

HAIR: Final = (
    ((18, 15, 14), 5), ((38, 26, 20), 5), ((66, 44, 30), 4), ((96, 66, 44), 3), ((120, 62, 36), 2),
    ((150, 84, 48), 1), ((176, 136, 90), 2.5), ((214, 184, 134), 2), ((150, 146, 142), 1.2),
    ((205, 203, 200), 0.6), ((150, 40, 60), 0.15), ((60, 90, 150), 0.12),
)  # fmt: skip
"""Black to blond, grey, white, and two that are dyed."""


def luminance(rgb: NDArray[Any]) -> NDArray[np.float32]:
    """(..., 3) -> (...)."""
    return np.asarray(rgb @ np.array((0.3, 0.59, 0.11), np.float32), np.float32)


def cloth_color(rng: np.random.Generator, family: str = "") -> Color:
    """A colour (3,) of a family of ``FAMILIES``, "calm" (trousers), or of a family drawn."""
    if not family:
        family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    if family == "calm":
        shares = [share for _, share in TROUSERS]
        base = np.array(TROUSERS[rng.choice(len(TROUSERS), p=shares)][0], np.float32) / 255
        color = base * rng.uniform(0.85, 1.15) + rng.normal(0, 0.012, 3)
        return np.clip(color, 0.02, 0.97).astype(np.float32)
    hue = rng.random()
    shades = (rng.uniform(0.07, 0.2), rng.uniform(0.35, 0.7), rng.uniform(0.82, 0.97))
    saturation, value = {
        "neutral": (rng.uniform(0, 0.08), rng.choice(shades)),
        "muted": (rng.uniform(0.2, 0.45), rng.uniform(0.35, 0.75)),
        "vivid": (rng.uniform(0.55, 0.88), rng.uniform(0.4, 0.82)),
        "pastel": (rng.uniform(0.15, 0.35), rng.uniform(0.82, 0.96)),
        "dark": (rng.uniform(0.3, 0.8), rng.uniform(0.12, 0.35)),
    }[family]
    return hsv(hue, float(saturation), float(value))


def hsv(hue: float, saturation: float, value: float) -> Color:
    """A colour (3,) from hue, saturation and value, each in 0..1."""
    point = np.array([[[hue * 360, saturation, value]]], np.float32)
    return np.asarray(cv2.cvtColor(point, cv2.COLOR_HSV2RGB)[0, 0], np.float32)


def hair_color(rng: np.random.Generator, tone: float, age: float) -> Color:
    """Hair (3,): seldom fair on dark skin, often grey in age."""
    shares = np.array([share for _, share in HAIR], np.float64)
    if tone > 5:
        shares[4:8] *= 0.12
    if age > 0.6:
        shares[8:10] *= 8
    base = np.array(HAIR[rng.choice(len(HAIR), p=shares / shares.sum())][0], np.float32) / 255
    return np.asarray(base * rng.uniform(0.85, 1.15), np.float32)
