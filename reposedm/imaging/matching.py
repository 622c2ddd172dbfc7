"""Fields of offsets between a generated picture and the photo: smooth, refined by looking, rigid.

A field is float32 (h, w, 2): the pixel with centre ``p`` shows what the photo, on the same grid,
has at ``p + field(p)``. Pictures are premultiplied RGBA, float32 (h, w, 4), colours in 0..255 and
alpha in 0..1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Array = NDArray[np.float32]

BORDER: Final = cv2.BORDER_REPLICATE
_GROUND: Final = 128.0
"""What a person stands in front of while two pictures are compared: silhouettes count a little."""
_ALPHA_WEIGHT: Final = 60.0
_LOW_PASSED: Final = 0.7
"""How much of what is smooth is taken off before: light differs between two poses."""
_DIFFERENT: Final = 150.0
"""A difference beyond this, summed over the channels, is no worse than this."""
_PRIOR: Final = 0.5
"""Price of a shift by one pixel, growing with its square."""


_NOTHING: Final = (0.04, 0.1)
"""A correction below the first is rounding, from the second on it is one, in pixels."""


_ROUNDS: Final = 4
_NEAR: Final = 1.0
"""Of a similarity that is fitted: offsets this many pixels off count half."""


class _Level(NamedTuple):
    """One round of search."""

    rows: int
    radius: int
    window: float
    smooth: float


_LEVELS: Final = (_Level(128, 4, 2.0, 2.5), _Level(256, 2, 2.0, 2.0))


def blurred(values: Array, sigma: float) -> Array:
    """Gaussian low-pass of (h, w) or (h, w, C)."""
    found: Array = cv2.GaussianBlur(values, (0, 0), sigma, borderType=BORDER)
    return found


def ramp(values: Array, start: float, end: float) -> Array:
    """Smoothly from exactly 0 at ``start`` to exactly 1 at ``end``."""
    t = np.clip((values - np.float32(start)) / np.float32(end - start), 0, 1)
    found: Array = t * t * (3 - 2 * t)
    return found


def smooth_field(mapping: Array, visible: Array, size: tuple[int, int]) -> Field:
    """A network's mapping on a finer grid: what is not visible follows what is around it.

    Args:
        mapping: float32 (2, h, w) offsets in cells.
        visible: float32 (h, w) in [0, 1].
        size: (width, height) of the grid wanted.
    """
    rows, columns = visible.shape
    weight = np.clip((visible - 0.1) / 0.6, 0.02, 1).astype(np.float32)
    offsets = np.ascontiguousarray(mapping.transpose(1, 2, 0))
    if offsets.any():  # an offset that is the same everywhere must stay so, 0 above all
        offsets = blurred(offsets * weight[..., None], 0.7) / blurred(weight, 0.7)[..., None]
    found = cv2.resize(offsets, size, interpolation=cv2.INTER_CUBIC)
    return found * np.array([size[0] / columns, size[1] / rows], np.float32)


def resized_field(field: Field, size: tuple[int, int]) -> Field:
    """The same field on another grid of the same shape, (width, height)."""
    rows, columns = field.shape[:2]
    if (columns, rows) == size:
        return field
    found = cv2.resize(field, size, interpolation=cv2.INTER_LINEAR)
    return found * np.array([size[0] / columns, size[1] / rows], np.float32)


def seen_through(picture: Array, field: Field) -> Array:
    """The photo's picture as the field shows it; transparent outside."""
    points = _points(field)
    found: Array = cv2.remap(
        picture, points[..., 0], points[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return found


def refined(field: Field, generated: Array, photo: Array) -> Field:
    """Correct a field by comparing the photo seen through it with the generated picture.

    From coarse to fine, every pixel looks for the small shift that makes its surroundings look most
    alike; shifts are averaged around it, by how sure each is. A shift that does not make the two
    clearly more alike is none: where both are equal already, nothing moves by any fraction.

    Args:
        field: of the pictures' size.
        generated: premultiplied RGBA.
        photo: premultiplied RGBA of the same size, the person alone.

    Returns:
        A field of the same size.
    """
    rows, columns = field.shape[:2]
    first = field
    for level in _LEVELS:
        height = min(level.rows, rows)
        size = (max(8, round(columns * height / rows)), height)
        field = resized_field(field, size)
        wanted, seen = _at(generated, size), seen_through(_at(photo, size), field)
        sigma = height / 32
        shift, sure = _best_shift(_features(wanted, sigma), _features(seen, sigma), level)
        weight = sure * (wanted[..., 3] > 0.3) + np.float32(1e-5)
        shift = blurred(shift * weight[..., None], level.smooth)
        shift /= (blurred(weight, level.smooth) + np.float32(2e-3))[..., None]
        points = _points(shift)
        moved = cv2.remap(
            field, points[..., 0], points[..., 1], cv2.INTER_LINEAR, borderMode=BORDER
        )
        field = moved + shift
    change = resized_field(field, (columns, rows)) - first
    far = np.sqrt(np.square(change).sum(2, keepdims=True))
    return first + change * ramp(far, *_NOTHING)


def made_rigid(field: Field, weight: Array, window: Array, tolerance: float) -> tuple[Field, bool]:
    """Replace a part of a field by the similarity that fits it best, if one does.

    Args:
        field: (h, w, 2).
        weight: (h, w) how sure each offset is.
        window: (h, w) 1 in the part, smoothly 0 outside.
        tolerance: root mean square distance in pixels up to which a similarity fits.

    Returns:
        The field, and whether it was changed.
    """
    share = weight * window
    rows, columns = np.nonzero(share > 0)
    if share.sum() < 1 or len(rows) < 8:
        return field, False
    start = np.stack((columns, rows), 1).astype(np.float64)
    end = start + field[rows, columns]
    known = share[rows, columns].astype(np.float64)
    left = np.zeros(len(rows))
    for _ in range(_ROUNDS):  # what lies far off counts less and less
        w = known / (1 + (left / _NEAR) ** 2)
        w /= w.sum()
        centre, goal = w @ start, w @ end
        (a, b), (c, d) = np.asarray(start - centre).T, np.asarray(end - goal).T
        spread = float(w @ (a * a + b * b))
        cos, sin = float(w @ (a * c + b * d)) / spread, float(w @ (a * d - b * c)) / spread
        left = np.hypot(cos * a - sin * b - c, sin * a + cos * b - d)
    if float(w @ (left * left)) > tolerance**2:
        return field, False
    grid = _points(np.zeros_like(field)) - centre.astype(np.float32)
    turn = np.array([[cos - 1, -sin], [sin, cos - 1]], np.float32)
    rigid = grid @ turn.T + (goal - centre).astype(np.float32)
    return field + (rigid - field) * window[..., None], True


def stretches(field: Field) -> tuple[Array, Array]:
    """How many photo pixels a step of one pixel goes, least and most, at each pixel.

    The least is negative where the field is folded.
    """
    dy, dx = np.gradient(field, axis=(0, 1))
    a, b, c, d = 1 + dx[..., 0], dy[..., 0], dx[..., 1], 1 + dy[..., 1]
    area, size = a * d - b * c, (a * a + b * b + c * c + d * d) / 2
    most = np.sqrt(size + np.sqrt(np.maximum(size * size - area * area, 0)))
    return area / np.maximum(most, 1e-3), most


def _points(field: Field) -> Array:
    rows, columns = field.shape[:2]
    points = field.copy()
    points[..., 0] += np.arange(columns, dtype=np.float32)
    points[..., 1] += np.arange(rows, dtype=np.float32)[:, None]
    return points


def _at(picture: Array, size: tuple[int, int]) -> Array:
    if picture.shape[1::-1] == size:
        return picture
    down = size[1] < picture.shape[0]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if down else cv2.INTER_LINEAR)


def _features(picture: Array, sigma: float) -> Array:
    """What is compared: colours less most of what is smooth, and the alpha."""
    alpha = picture[..., 3:]
    colors = picture[..., :3] + (1 - alpha) * np.float32(_GROUND)
    colors = colors - np.float32(_LOW_PASSED) * blurred(colors, sigma)
    return np.concatenate((colors, alpha * np.float32(_ALPHA_WEIGHT)), 2)


def _best_shift(wanted: Array, seen: Array, level: _Level) -> tuple[Array, Array]:
    """The shift (h, w, 2) to the most similar surroundings, and how sure it is, (h, w)."""
    rows, columns = wanted.shape[:2]
    radius, side = level.radius, 2 * level.radius + 1
    margins = (radius,) * 4
    wide = cv2.copyMakeBorder(seen, *margins, BORDER)
    add = np.ones((1, wanted.shape[2]), np.float32)
    price = np.empty((side * side, rows, columns), np.float32)
    for index in range(side * side):
        down, right = divmod(index, side)
        other = wide[down : down + rows, right : right + columns]
        cost = cv2.transform(cv2.absdiff(wanted, other), add)
        cv2.min(cost, _DIFFERENT, dst=cost)
        away = (down - radius) ** 2 + (right - radius) ** 2
        price[index] = blurred(cost, level.window) + np.float32(_PRIOR * away)
    best = price.argmin(0)
    y, x = np.divmod(best, side)
    inner_y, inner_x = y.clip(1, side - 2), x.clip(1, side - 2)
    flat, where = price.reshape(-1), np.arange(rows * columns).reshape(rows, columns)

    def at(y: NDArray[np.int64], x: NDArray[np.int64]) -> Array:
        found: Array = flat[(y * side + x) * (rows * columns) + where]
        return found

    middle = at(inner_y, inner_x)
    part_x, gain_x, bend_x = _parabola(at(inner_y, inner_x - 1), middle, at(inner_y, inner_x + 1))
    part_y, gain_y, bend_y = _parabola(at(inner_y - 1, inner_x), middle, at(inner_y + 1, inner_x))
    inside = (inner_y == y) & (inner_x == x)
    shift = np.stack((x - radius + part_x * inside, y - radius + part_y * inside), -1)
    lowest = at(y, x)
    gain = price[radius * side + radius] - lowest + (gain_x + gain_y) * inside
    better = ramp(gain / (lowest + 4), 0.02, 0.1)
    sure = np.sqrt(np.maximum(np.minimum(bend_x, bend_y), 0)) / (lowest + 15)
    return (shift * better[..., None]).astype(np.float32), sure


def _parabola(before: Array, middle: Array, after: Array) -> tuple[Array, Array, Array]:
    """Where between -0.5 and 0.5 three prices have their least, by how much less, and the bend."""
    bend = before - 2 * middle + after
    slope = np.maximum(bend, 1e-3)
    # Where the two are nearly equal as they are, they are nearly in place.
    most = np.minimum(0.5, 2 * middle / slope) * (bend > 1e-3)
    part = ((before - after) / (2 * slope)).clip(-most, most)
    return part, part * (before - after) / 4, bend
