"""Plain backdrops: a wall and a floor in smooth light, modelled instead of patched together.

Copied patches show as a ghost on a studio's even wall, where the eye sees a step of one per cent.
There the backdrop is a profile down the rows (wall, horizon, floor) that changes smoothly along
them; what the model does not explain (a cast shadow that reaches the person) fades into the hole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.imaging.smooth import smooth_fill

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

_COLUMNS = 80
"""Columns to which the picture is reduced for the fit; its rows stay, so a horizon stays sharp."""

_TOLERANCE = 6.0
"""Levels by which a plain backdrop may differ from the model."""

_LEAST_PLAIN = 0.75
"""Share of the surroundings that must follow the model for any of it to be believed."""

_DARKEST = 0.4
"""A shadow leaves at least this share of the light."""

_WORK_SIDE = 224
"""Longer side of the picture in which the remainder is spread over the hole."""

_HOLD = 5.0
"""How fast the remainder fades: over this part of the picture's longer side, inverted."""


@dataclass(frozen=True)
class Backdrop:
    """What a picture's plain backdrop looks like, and where it is one.

    Attributes:
        model: float32 (H, W, 3), the backdrop without shadows.
        filled: float32 (H, W, 3), valid in the hole: the same with noise and the shadows that
            reach the hole, fading inwards.
        trust: float32 (H, W) in [0, 1], how far the surroundings of a place follow the model.
        shadow: float32 (H, W) in [0, 1], how surely a known pixel lies in a shadow.
    """

    model: Floats
    filled: Floats
    trust: Floats
    shadow: Floats


def plain_backdrop(image: Image, hole: Mask) -> Backdrop | None:
    """Model a picture as a plain backdrop; None where nothing round the hole looks like one.

    Args:
        image: uint8 (H, W, 3).
        hole: bool (H, W), pixels to make up.
    """
    if min(hole.shape) < 16 or not hole.any() or hole.mean() > 0.9:
        return None
    model = _row_model(image, hole)
    remainder = image - model
    trust, shadow = _trust(model, remainder, hole)
    if trust[hole].max() <= 0:
        return None
    filled = model + _spread(remainder, hole) + _grain(remainder, hole)
    return Backdrop(model, filled.astype(np.float32), trust, shadow)


def lift_shadow(background: Image, mask: Floats) -> Image:
    """Take the shadow that a removed person threw off a plain floor; elsewhere nothing changes.

    Args:
        background: uint8 (H, W, 3), the photo with the person already filled in.
        mask: float32 (H, W) in [0, 1], where the person was.

    Returns:
        uint8 (H, W, 3).
    """
    person = mask > 0.02
    if min(mask.shape) < 16 or not person.any() or person.mean() > 0.9:
        return background.copy()
    model = _row_model(background, person)
    remainder = background - model
    trust, dark = _trust(model, remainder, person)
    if trust[person].mean() < 0.9:
        return background.copy()
    level = cv2.blur(remainder, (5, 5)).mean(-1) / np.maximum(model.mean(-1), 8)
    rows = np.flatnonzero(person.any(1))
    feet = person.copy()
    feet[: int(rows[0] + 0.75 * (rows[-1] - rows[0]))] = False
    reach = max(3, round(0.03 * max(mask.shape)))
    feet = cv2.dilate(feet.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
    area = (trust > 0.5) & ((level < -0.02) & (dark > 0.5) | feet & (level < -0.008))
    # Poles, skis and cables are thin; shadows that matter are not.
    thin = np.ones((2 * max(1, round(0.004 * max(mask.shape))) + 1,) * 2, np.uint8)
    area = cv2.morphologyEx(area.astype(np.uint8), cv2.MORPH_OPEN, thin) > 0
    count, labels = cv2.connectedComponents(area.astype(np.uint8))
    touching = np.zeros(count, bool)
    touching[np.unique(labels[feet & area])] = True
    touching[0] = False
    for label in np.flatnonzero(touching):  # poles and shoes are darker than shadows
        touching[label] = np.quantile(level[labels == label], 0.02) > _DARKEST - 1
    if not touching.any():
        return background.copy()
    soft = max(2, round(0.012 * max(mask.shape)))
    grown = cv2.dilate(touching[labels].astype(np.uint8), np.ones((2 * soft + 1,) * 2, np.uint8))
    weight = cv2.GaussianBlur(grown.astype(np.float32), (0, 0), soft / 2) * trust
    model = _row_model(background, grown > 0)
    remainder = background - model
    clean = model + _spread(remainder, grown > 0) + _grain(remainder, grown > 0)
    mixed = background + (clean - background) * weight[..., None]
    result = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    result[weight <= 1 / 512] = background[weight <= 1 / 512]
    return result


def _row_model(image: Image, hole: Mask) -> Floats:
    """float32 (H, W, 3): every row a parabola in x, its bend shared by neighbouring rows.

    Fitted robustly, so that things that stand on the backdrop or throw a shadow do not pull at it.
    """
    height, width = hole.shape
    columns = min(width, _COLUMNS)
    size = (columns, height)
    known = (cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) < 0.01) * 1.0
    values = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float64)
    x = (np.arange(columns) + 0.5) / columns * 2 - 1
    basis = np.stack([x, x * x], 1)
    sigma = max(1.0, 0.03 * height)
    # Shadows are always darker: the fit starts from each row's brighter pixels.
    light = np.where(known > 0, values.mean(-1), -1.0)
    order = np.argsort(light, axis=1)
    rank = columns - 1 - (0.3 * known.sum(1)).astype(int)
    bright = np.take_along_axis(order, np.clip(rank, 0, columns - 1)[:, None], 1)
    model = np.take_along_axis(values, bright[..., None], 1)
    for scale in (24.0, 12.0, 6.0):
        error = np.abs(values - model).max(-1)
        weight = known / (1 + (error / scale) ** 4)
        total = weight.sum(1) + 1e-6
        mean_b = weight @ basis / total[:, None]
        mean_v = np.einsum("hw,hwc->hc", weight, values) / total[:, None]
        outer = np.stack([basis[:, i] * basis[:, j] for i, j in ((0, 0), (0, 1), (1, 1))], 1)
        square = weight @ outer
        square -= total[:, None] * mean_b[:, (0, 0, 1)] * mean_b[:, (0, 1, 1)]
        cross = np.einsum("hw,hwc,wk->hkc", weight, values, basis, optimize=True)
        cross -= total[:, None, None] * mean_b[:, :, None] * mean_v[:, None, :]
        square = cv2.GaussianBlur(square, (1, 0), sigmaX=1e-3, sigmaY=sigma)
        flat = cv2.GaussianBlur(cross.reshape(height, 6), (1, 0), sigmaX=1e-3, sigmaY=sigma)
        a, b, c = square.T + 0.02 * columns * np.array([[1.0], [0.0], [1.0]])
        slope = _solved(a, b, c, flat.reshape(height, 2, 3))
        level = mean_v - np.einsum("hk,hkc->hc", mean_b, slope)
        level = _known_rows(level, known.sum(1) >= 0.04 * columns)
        model = level[:, None] + np.einsum("wk,hkc->hwc", basis, slope)
    full = cv2.resize(model.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full, np.float32)


def _solved(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], right: NDArray[Any]
) -> NDArray[np.float64]:
    """Solve [[a, b], [b, c]] x = right for many rows: (H,) thrice and (H, 2, K) -> (H, 2, K).

    By hand: LAPACK is called once a row, and where its threads have to share their cores with other
    programs, a thousand systems of two unknowns took three seconds.
    """
    first, second = right[:, 0], right[:, 1]
    above = c[:, None] * first - b[:, None] * second
    below = a[:, None] * second - b[:, None] * first
    found: NDArray[np.float64] = np.stack((above, below), 1) / (a * c - b * b)[:, None, None]
    return found


def _known_rows(level: NDArray[np.float64], known: Mask) -> NDArray[np.float64]:
    """Rows that show no backdrop take their neighbours' level."""
    rows = np.flatnonzero(known)
    if not len(rows):
        return level
    at = np.arange(len(level))
    return np.stack([np.interp(at, rows, level[rows, c]) for c in range(level.shape[1])], 1)


def _trust(model: Floats, remainder: Floats, hole: Mask) -> tuple[Floats, Floats]:
    """Two float32 (H, W): 1 where nearly all round the hole follows the model; 1 in shadows.

    A darker place of the backdrop's own hue, low beside the person, is a shadow: it has no vote.
    """
    height, width = hole.shape
    step = max(1, round(max(height, width) / 200))
    size = (max(1, width // step), max(1, height // step))
    known = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) < 0.01
    rest = cv2.resize(remainder, size, interpolation=cv2.INTER_AREA)
    base = np.maximum(cv2.resize(model, size, interpolation=cv2.INTER_AREA), 8)
    ratio = 1 + rest / base
    shadow = (ratio.max(-1) < 0.99) & (ratio.min(-1) > _DARKEST) & (np.ptp(ratio, axis=-1) < 0.08)
    rows = np.flatnonzero((~known).any(1))
    low = rows[0] + 0.6 * (rows[-1] - rows[0]) if len(rows) else len(known)
    shadow[: int(low)] = False
    good = np.abs(rest).max(-1) < _TOLERANCE
    # Only what lies near the hole says what belongs into it.
    near = cv2.distanceTransform(known.astype(np.uint8), cv2.DIST_L2, 5) < 0.12 * max(size)
    weight = (known & near & ~shadow).astype(np.float32)
    votes = float(weight.sum())
    overall = float((good * weight).sum()) / votes if votes > 0 else 0.0
    if overall < _LEAST_PLAIN or votes < 0.25 * (known & near).sum():
        return np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    sigma = 0.06 * max(size)
    heard = cv2.GaussianBlur(weight, (0, 0), sigma)
    share = cv2.GaussianBlur(good * weight, (0, 0), sigma) / np.maximum(heard, 1e-4)
    share = smooth_fill(share[..., None].astype(np.float32), heard > 0.1)[..., 0]
    share = cv2.GaussianBlur(np.clip((share - 0.86) / 0.1, 0, 1), (0, 0), 1.5)
    deep = shadow & known & (ratio.mean(-1) < 0.985)

    def full(values: Floats) -> Floats:
        large = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.clip(large, 0, 1), np.float32)

    return full(share), full(deep.astype(np.float32))


def _spread(remainder: Floats, hole: Mask) -> Floats:
    """What the model leaves at the hole's rim, (H, W, 3), spread over the hole like a membrane.

    It is held to zero weakly, so that a shadow at the feet does not climb up where the legs were.
    """
    height, width = hole.shape
    seen = np.where(hole[..., None], 0, np.clip(remainder, -120, 120)).astype(np.float32)
    field: Floats | None = None
    for side in (_WORK_SIDE // 8, _WORK_SIDE // 4, _WORK_SIDE // 2, _WORK_SIDE):
        step = max(1.0, max(height, width) / side)
        size = (max(1, round(width / step)), max(1, round(height / step)))
        known = cv2.resize((~hole).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        small = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
        small = (small / np.maximum(known, 0.05)[..., None]).astype(np.float32)
        held = (known > 0.3)[..., None]
        field = np.zeros_like(small) if field is None else cv2.resize(field, size)
        hold = 1 - 0.5 * (step * _HOLD / max(height, width)) ** 2
        for _ in range(40):
            field = np.where(held, small, cv2.blur(field, (3, 3)) * np.float32(hold))
    assert field is not None
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR))


def _grain(remainder: Floats, hole: Mask) -> Floats:
    """Noise of the backdrop, (H, W, 3): a square of it, mirrored over the picture."""
    height, width = hole.shape
    side = max(8, min(64, height // 3, width // 3))
    fine = remainder - cv2.GaussianBlur(remainder, (0, 0), 2.0)
    energy = cv2.boxFilter((fine**2).sum(-1), -1, (side, side), borderType=cv2.BORDER_REPLICATE)
    free = cv2.boxFilter(hole.astype(np.float32), -1, (side, side), borderType=cv2.BORDER_CONSTANT)
    inner = np.zeros_like(hole)
    half = side // 2
    inner[half : height - half, half : width - half] = True
    allowed = inner & (free <= 1e-6)
    if not allowed.any():
        return np.zeros_like(remainder)
    # The calmest tenth: no texture of a thing, yet the noise that all of the backdrop has.
    limit = np.quantile(energy[allowed], 0.1)
    cost = np.where(allowed, np.abs(energy - limit), np.inf)
    y, x = np.unravel_index(int(cost.argmin()), cost.shape)
    tile = fine[y - half : y + half, x - half : x + half]
    tile = tile - tile.mean((0, 1))
    double = np.concatenate([tile, tile[::-1]], 0)
    double = np.concatenate([double, double[:, ::-1]], 1)
    repeat = (height // double.shape[0] + 1, width // double.shape[1] + 1, 1)
    return np.tile(double, repeat)[:height, :width]
