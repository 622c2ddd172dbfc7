"""Cloth: patterns as functions of the fabric chart, prints, seams and folds."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic.canonical import CHART_BOTTOM, CHART_LEFT, CHART_SIDE, TURN
from training.synthetic.colors import Color, cloth_color
from training.synthetic.labels import TEXTURE
from training.synthetic.noise import smooth_noise
from training.synthetic.tailoring import add_placket, add_print, add_trouser_seams

Plane = NDArray[np.float32]
Image = NDArray[np.float32]

SLEEVES: Final = 4.75
"""The sleeves' charts begin here (s)."""
KINDS: Final = {
    "solid": 7.0, "hstripe": 3.0, "vstripe": 1.3, "check": 2.0, "dots": 1.2, "floral": 2.0,
    "block": 1.6, "gradient": 1.0, "camo": 0.6, "zigzag": 0.6, "heather": 2.0, "bands": 1.2,
}  # fmt: skip
"""Families of patterns, and how often each is worn."""
PLAIN_TROUSERS: Final = 16.0
_SKIN_LIKE: Final = 0.22


@lru_cache(maxsize=1)
def chart() -> tuple[Plane, Plane]:
    """s and t (512, 512) at the chart's pixels; row 0 is the top."""
    steps = (np.arange(TEXTURE) + 0.5) / TEXTURE * CHART_SIDE
    s = np.repeat((steps + CHART_LEFT)[None], TEXTURE, 0)
    t = np.repeat((CHART_SIDE - steps + CHART_BOTTOM)[:, None], TEXTURE, 1)
    return s.astype(np.float32), t.astype(np.float32)


def soft(wave: NDArray[Any]) -> NDArray[Any]:
    """0 below zero, 1 above, over a few pixels."""
    return np.clip(wave * 6 + 0.5, 0, 1)


def stripes(position: NDArray[Any], period: float, level: float) -> NDArray[Any]:
    """Stripes across a coordinate: 1 where its wave is above ``level``."""
    return soft(np.sin(position * (2 * np.pi / period)) - level)


def dots(s: NDArray[Any], t: NDArray[Any], period: float, radius: float) -> NDArray[Any]:
    """Dots in rows that are set off by half; closes after 2 rows and every period."""
    row = np.floor(t / period)
    x = (s / period + 0.5 * (row % 2)) % 1 - 0.5
    y = (t / period) % 1 - 0.5
    return np.clip((radius - np.hypot(x, y)) * 12 + 0.5, 0, 1)


def zigzag(s: NDArray[Any], t: NDArray[Any], period: float, height: float) -> NDArray[Any]:
    """Bands that go up and down once a period."""
    bend = 0.35 * np.abs(((s / period) % 1) * 2 - 1)
    return soft(np.sin((t + bend) * 2 * np.pi / height))


def closing_period(rng: np.random.Generator) -> float:
    """A period that divides the way round the trunk, so that the pattern closes at the back."""
    return TURN / int(rng.integers(9, 40))


class Palette:
    """Three colours of one garment, none of them like the wearer's skin."""

    def __init__(self, rng: np.random.Generator, calm: bool, avoid: Color | None) -> None:
        """Draw them.

        Args:
            rng: draws.
            calm: colours of trousers.
            avoid: nobody should look undressed.
        """
        family = ["calm" if calm and rng.random() < 0.75 else "" for _ in range(3)]
        colors = [cloth_color(rng, name) for name in family]
        for _ in range(8):
            bare = [avoid is not None and np.abs(c - avoid).max() < _SKIN_LIKE for c in colors[:2]]
            if not any(bare):
                break
            for index in np.flatnonzero(bare):
                colors[index] = cloth_color(rng)
        if np.abs(colors[0] - colors[1]).sum() < 0.35:
            colors[1] = np.clip(1 - colors[0] * 0.7, 0, 1)
        self.main, self.second, self.third = colors


def fabric(
    rng: np.random.Generator,
    *,
    printed: bool = True,
    calm: bool = False,
    avoid: Color | None = None,
) -> NDArray[np.uint8]:
    """A garment's cloth, uint8 (512, 512, 3) on the fabric chart.

    Args:
        rng: draws.
        printed: it may have a print, buttons or a pocket.
        calm: trousers: mostly plain, with seams and a belt.
        avoid: (3,) colour of the wearer's skin.
    """
    palette = Palette(rng, calm, avoid)
    shares = np.array(list(KINDS.values()))
    if calm:
        shares[0] = PLAIN_TROUSERS
    kind = str(rng.choice(list(KINDS), p=shares / shares.sum()))
    image = woven(rng, kind, palette)
    if kind == "heather" or rng.random() < 0.25:
        grain = smooth_noise(rng, TEXTURE, (256, 512), 0.1)
        image = image * (1 + rng.uniform(0.02, 0.06) * grain[..., None])
    image = np.ascontiguousarray(image, np.float32)
    if printed and kind not in ("floral", "camo") and rng.random() < 0.3:
        add_placket(rng, image, palette.second)
    if calm:
        add_trouser_seams(rng, image)
    plain = kind in ("solid", "heather", "block", "bands", "gradient")
    if printed and plain and rng.random() < 0.5:
        image = add_print(rng, image)
    image *= (1 + rng.uniform(0.5, 1.15) * folds()[rng.integers(8)])[..., None]
    return (np.clip(image, 0.015, 1) * 255 + 0.5).astype(np.uint8)


def woven(rng: np.random.Generator, kind: str, palette: Palette) -> Image:
    """The pattern alone, float (512, 512, 3)."""
    s, t = chart()
    period = closing_period(rng)
    if kind == "floral":
        return _flowers(rng, palette.main)
    if kind == "camo":
        patches = smooth_noise(rng, TEXTURE, (20, 40), 0.5)[..., None]
        inner = np.where(patches < 0.5, palette.second * 0.8, palette.third * 0.9)
        return np.where(patches < -0.4, palette.main, inner).astype(np.float32)
    if kind == "check":
        return _check(rng, palette, period)
    masks: dict[str, Callable[[], NDArray[Any]]] = {
        "hstripe": lambda: stripes(t, rng.uniform(0.25, 1.6), rng.uniform(-0.6, 0.6)),
        "bands": lambda: stripes(t, rng.uniform(2, 4), rng.uniform(-0.6, 0.6)),
        "vstripe": lambda: stripes(s, period, rng.uniform(-0.3, 0.85)),
        "dots": lambda: dots(s, t, period, rng.uniform(0.18, 0.38)),
        "zigzag": lambda: zigzag(s, t, period, rng.uniform(0.5, 1.3)),
        "gradient": lambda: np.clip((t - rng.uniform(-2, 1)) / rng.uniform(3, 6), 0, 1),
        "block": lambda: _block(rng, s, t),
    }
    mask = masks[kind]() if kind in masks else np.zeros_like(s)
    return _between(palette.main, palette.second, mask)


def _between(first: Color, second: Color | Image, mask: NDArray[Any]) -> Image:
    share = np.asarray(mask, np.float32)[..., None]
    return np.asarray(first * (1 - share) + second * share, np.float32)


def _block(rng: np.random.Generator, s: Plane, t: Plane) -> NDArray[Any]:
    """Two colours one above the other; sometimes the sleeves are of one of them."""
    mask = soft((t - rng.uniform(1.5, 4.6)) * 2)
    if rng.random() < 0.5:
        mask = np.where(s > SLEEVES, int(rng.integers(2)), mask)
    return mask


def _check(rng: np.random.Generator, palette: Palette, period: float) -> Image:
    s, t = chart()
    across = stripes(s, period, rng.uniform(-0.2, 0.6))
    along = stripes(t, period, rng.uniform(-0.2, 0.6))
    image = _between(palette.main, palette.second, (across + along) / 2)
    if rng.random() < 0.5:  # a thin line of a third colour, as in tartan
        shift = period * 1.5 / (2 * np.pi)
        line = np.maximum(stripes(s + shift, period, 0.93), stripes(t + shift, period, 0.93))
        image = (
            _between(np.zeros(3, np.float32), palette.third, line) + image * (1 - line)[..., None]
        )
    return image


def _flowers(rng: np.random.Generator, ground: Color) -> Image:
    image = np.tile(ground, (TEXTURE, TEXTURE, 1)).astype(np.float32)
    colors = [[float(v) for v in cloth_color(rng)] for _ in range(4)]
    size = rng.uniform(4, 14)
    turn = TURN / CHART_SIDE * TEXTURE
    for _ in range(int(26000 / size**2 * rng.uniform(0.6, 1.4))):
        x, y = rng.uniform(0, TEXTURE, 2)
        petal, start = size * rng.uniform(0.5, 1.1), rng.uniform(0, 2 * np.pi)
        count, color = int(rng.integers(4, 7)), colors[rng.integers(4)]
        # A flower on the back's seam is drawn at both ends of the trunk's chart.
        copies = (x, x + turn) if x < 2 * size else (x, x - turn) if abs(x - turn) < size else (x,)
        for at in copies:
            for angle in start + np.arange(count) * 2 * np.pi / count:
                where = (
                    int(at + petal * 0.6 * np.cos(angle)),
                    int(y + petal * 0.6 * np.sin(angle)),
                )
                radius = max(1, int(petal * 0.42))
                cv2.circle(image, where, radius, color, -1, cv2.LINE_AA)
            heart = max(1, int(petal * 0.3))
            cv2.circle(image, (int(at), int(y)), heart, colors[0], -1, cv2.LINE_AA)
    return image


@lru_cache(maxsize=1)
def folds() -> list[Plane]:
    """Eight planes (512, 512) of shading: folds at elbow, waist, crotch, knee and ankle.

    The slope of ridged noise that is stretched along s; -0.32 to 0.28.
    """
    rng = np.random.default_rng(5)
    s, t = chart()

    def near(centre: float, width: float) -> Plane:
        return np.exp(-(((t - centre) / width) ** 2))

    arms = 0.35 + 0.9 * near(2.7, 0.8) + 0.5 * near(4.8, 0.5) + 0.5 * near(0.4, 0.5)
    trunk = 0.22 + 0.8 * near(1.3, 0.9) + 0.5 * near(4.6, 0.6) + 0.7 * near(-0.3, 0.8)
    legs = 0.7 * near(-3.8, 0.8) + 0.8 * near(-7.2, 0.6)
    strength = np.where(s > SLEEVES, arms, trunk + legs)
    return [_fold(rng, strength) for _ in range(8)]


def _fold(rng: np.random.Generator, strength: Plane) -> Plane:
    size = (TEXTURE, TEXTURE)
    relief = np.zeros(size, np.float32)
    for cells, amount in ((9, 1.0), (18, 0.6), (36, 0.3)):
        ridges = rng.standard_normal((cells * 3, cells)).astype(np.float32)
        ridges = cv2.resize(ridges, size, interpolation=cv2.INTER_CUBIC)
        swell = rng.standard_normal((cells, cells)).astype(np.float32)
        swell = cv2.resize(swell, size, interpolation=cv2.INTER_CUBIC)
        shear = np.array(((1, 0, 0), (rng.uniform(-0.35, 0.35), 1, 0)), np.float32)
        ridges = cv2.warpAffine(ridges, shear, size, borderMode=cv2.BORDER_WRAP)
        relief += amount * ((1 - np.abs(ridges)) * 0.7 + 0.5 * swell) / cells * 9
    relief = cv2.GaussianBlur(relief, (0, 0), 1.0)
    slope = np.roll(relief, -2, 0) - np.roll(relief, 2, 0)
    slope = slope + 0.35 * (np.roll(relief, -2, 1) - np.roll(relief, 2, 1))
    return np.clip(slope / slope.std() * strength * 0.10, -0.32, 0.28).astype(np.float32)
