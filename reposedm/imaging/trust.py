"""Where a picture of the person can be believed, beside a generated one of the same pose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from reposedm.imaging.matching import Array, Field, blurred, ramp, stretches
from reposedm.imaging.smooth import smooth_fill

ROWS: Final = 256
"""The height that lengths below are meant at, in pixels."""
_ALIKE_FINE: Final = (0.8, 0.97)
"""Correlation of the coarser details from which, and fully at which, the finest are taken."""
_ALIKE: Final = (0.85, 0.98)
"""The same for the coarser details themselves."""
_SEEN: Final = (0.35, 0.75)
_CONTRADICTED: Final = (1.0, 3.0)
"""Details of the generated picture that a softer copy of the warped person's would not have, over
``_FLOOR``: up to the first they are believed, from the second on not."""
_FLOOR: Final = np.float32(12**2)
"""Energy of details, summed over the channels, below which a picture counts as flat."""


@dataclass(frozen=True)
class Rules:
    """When what the photo shows is the same as what was generated; up to, and from where not.

    Attributes:
        solid: alpha of the generated picture from which, and fully at which, it shows the person.
        apart: mean colours, in levels.
        light: the same, for taking light and broad colours too.
        edges: mean difference of both alphas, over a Gaussian of ``edge_width``.
        edge_width: in pixels.
        softer: the generated details need only not contradict the photo's: it may be softer.
    """

    solid: tuple[float, float]
    apart: tuple[float, float]
    light: tuple[float, float]
    edges: tuple[float, float]
    edge_width: float
    softer: bool = False


FOUND: Final = Rules((0.5, 0.9), (14, 40), (3, 12), (0.06, 0.2), 1.5)
"""Of what the mapping found: it may have found another place that looks alike."""
PLACED: Final = Rules((0.15, 0.5), (20, 55), (8, 30), (0.15, 0.4), 2.5, softer=True)
"""Of what bones brought there: it is the right place, unless the generated picture objects."""


@dataclass(frozen=True)
class Trust:
    """What the photo gives, on the generated picture's grid.

    Attributes:
        field: where each pixel looks.
        base: (h, w, 3), the generated picture with the photo's coarser bands where trusted.
        low: (h, w, 3), what of the photo is in those bands.
        share: (h, w) in [0, 1], of the photo's finest band.
        edge: (h, w) in [0, 1], how well both silhouettes agree.
        scale: photo pixels in a pixel of the layer, typically.
    """

    field: Field
    base: Array
    low: Array
    share: Array
    edge: Array
    scale: float


def trusted(
    generated: Array,
    seen: Array,
    field: Field,
    *,
    visible: Array,
    face: Array | None,
    rules: Rules,
) -> Trust | None:
    """Where, and in which bands, the photo is to be believed; None: nowhere.

    Args:
        generated: premultiplied RGBA, (h, w, 4), colours in 0..255 and alpha in 0..1.
        seen: the photo's person in the place where that shows them, the same.
        field: by which they were brought there, (h, w, 2).
        visible: (h, w) in [0, 1], how sure it is that the photo shows what is there.
        face: (h, w) 1 on the face: it is taken whole, or not; None: it is like all else.
        rules: what counts as the same.
    """
    unit = generated.shape[0] / ROWS
    shape, mask = generated[..., 3], seen[..., 3]
    valid = ramp(mask, 0.5, 0.9) * ramp(shape, *rules.solid)
    colors, own = _straight(generated), _straight(seen)
    known = valid > 0.5
    if not known.any():
        return None

    def mean(values: Array, sigma: float) -> Array:
        weight = valid[..., None] if values.ndim == 3 else valid
        total = blurred(valid, sigma) + np.float32(1e-4)
        found: Array = blurred(values * weight, sigma)
        return found / (total[..., None] if values.ndim == 3 else total)

    smooth_colors, smooth_own = mean(colors, 4 * unit), mean(own, 4 * unit)
    apart = np.sqrt(np.square(smooth_own - smooth_colors).mean(2))
    detail = mean(colors, 0.7 * unit) - smooth_colors
    own_detail = mean(own, 0.7 * unit) - smooth_own

    def around(values: Array) -> Array:
        return mean(values, 3 * unit)

    least, most = stretches(blurred(field, unit))
    allowed = ramp(visible, *_SEEN) * ramp(least, 0.2, 0.45) * (1 - ramp(most, 2.5, 4))
    allowed *= 1 - ramp(apart, *rules.apart)
    if rules.softer:
        share = allowed * (1 - ramp(_contradiction(detail, own_detail, around), *_CONTRADICTED))
        middle, right, likely = share, allowed, np.ones_like(share)
    else:
        alike = _correlation(detail, own_detail, around)
        share, middle = (allowed * ramp(alike, *limits) for limits in (_ALIKE_FINE, _ALIKE))
        right, likely = allowed * ramp(alike, 0.4, 0.8), allowed * ramp(alike, 0, 0.4)
    if face is not None:  # all of a face, or nothing of it
        core = face * valid
        good = np.float32((core * right).sum() / max(float(core.sum()), 1e-3))
        part = ramp(face, 0.3, 0.9)
        whole = ramp(np.full_like(face, good), 0.5, 0.75) * likely
        share, middle = (values + (whole - values) * part for values in (share, middle))

    def settled(values: Array) -> Array:
        small = cv2.erode(values * valid + (1 - valid), np.ones((3, 3)))
        return np.minimum(mean(small, 1.5 * unit) * np.float32(1.002), 1)

    share, middle = settled(share), settled(middle)
    both = smooth_fill(colors, shape > 0.25)
    gap = smooth_fill(own - colors, known)
    rough, smooth = blurred(gap, 1.5 * unit), blurred(gap, 5 * unit)
    light = middle * (1 - ramp(apart, *rules.light))
    mixed = (gap - rough) * share[..., None] + (rough - smooth) * middle[..., None]
    mixed += smooth * light[..., None]
    trusted = (share > 0.5) & known
    scale = float(np.median(most[trusted])) if trusted.any() else 1.0
    apart_shapes = blurred(np.abs(mask - shape), rules.edge_width * unit)
    edge = (1 - ramp(apart_shapes, *rules.edges)) * ramp(least, 0.2, 0.45)
    return Trust(field, both + mixed, both + gap, share, edge, scale)


def _correlation(first: Array, second: Array, mean: Any) -> Array:
    """How alike two pictures' details are around each pixel, up to 1; flat ones are alike."""
    a, b, c = _products(first, second, mean)
    found: Array = (c + _FLOOR / 2) / np.sqrt((a + _FLOOR / 2) * (b + _FLOOR / 2))
    return np.minimum(found * np.float32(1.0001), 1)


def _contradiction(first: Array, second: Array, mean: Any) -> Array:
    """What is left of the first one's details after a share of the second one's, over the floor.

    A picture that is only softer than another does not contradict it.
    """
    a, b, c = _products(first, second, mean)
    share = np.clip(c / (b + _FLOOR / 2), 0, 1)
    return (a - share * (2 * c - share * b)) / _FLOOR


def _products(first: Array, second: Array, mean: Any) -> tuple[Array, Array, Array]:
    pairs = ((first, first), (second, second), (first, second))
    a, b, c = (mean((x * y).sum(2)) for x, y in pairs)
    return a, b, c


def _straight(picture: Array) -> Array:
    found: Array = picture[..., :3] / np.maximum(picture[..., 3:], np.float32(1 / 64))
    return found
