"""Rendered pictures made unlike each other: what carries a network over to photographs.

Framing, background, things in front, colours, light, lens and file change, and the pose becomes one
that a detector could have found: joints are off, swapped or missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.garments.joints import MIRRORED
from reposedm.garments.labels import BOTTOM, OUTERWEAR, SKIRT, TOP
from reposedm.pose import Pose, hide_outside
from reposedm.pose.pose import JointState
from reposedm.pose.skeleton import MIRROR
from training.garments.camera import filed, lit, recolored, textured

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Matrix = NDArray[np.float64]
Another = Callable[[], Image]

CLOTHES: Final = (TOP, OUTERWEAR, BOTTOM, SKIRT)
_HEAD: Final = (0, 14, 15, 16, 17)


def vary_person(person: Any, other: Another, rng: np.random.Generator) -> dict[str, Any]:
    """Changed fields of a ``training.garments.data.Person``.

    Args:
        person: as rendered.
        other: gives somebody else's picture, uint8 (H, W, 3), who may stand behind.
        rng: every draw comes from it.
    """
    image, alpha, labels, pose = person.image, person.alpha, person.labels, person.pose
    if rng.random() < 0.5:
        image, alpha, labels = (np.ascontiguousarray(a[:, ::-1]) for a in (image, alpha, labels))
        pose = pose.mirrored()
    if rng.random() < 0.35:
        image = _redyed(image, labels, rng)
    matrix = _framing(alpha, rng)
    keep = rng.random() < 0.35
    image = _warped(image, matrix, cv2.BORDER_REPLICATE if keep else cv2.BORDER_CONSTANT)
    alpha = _warped(alpha, matrix, cv2.BORDER_CONSTANT)
    labels = _warped(labels, matrix, cv2.BORDER_CONSTANT, cv2.INTER_NEAREST)
    if not keep:
        image = _over(image, alpha, backdrop(image.shape[:2], other, rng), rng)
        labels = np.where(alpha > 100, labels, 0).astype(np.uint8)
    if rng.random() < 0.3:
        image, labels = _hidden_behind(image, labels, rng)
    return {
        "image": filed(lit(recolored(image, rng), rng), rng), "alpha": alpha, "labels": labels,
        "pose": detected(_moved(pose, matrix), rng),
    }  # fmt: skip


def vary_product(product: Any, other: Another, rng: np.random.Generator) -> dict[str, Any]:
    """Changed fields of a ``training.garments.data.Product``; arguments as ``vary_person``'s."""
    image, alpha, points, known = product.image, product.alpha, product.points, product.known
    height, width = alpha.shape
    if rng.random() < 0.5:
        image, alpha = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])
        points, known = points[list(MIRRORED)].copy(), known[list(MIRRORED)]
        points[:, 0] = width - points[:, 0]
    if rng.random() < 0.5:
        image = textured(image, alpha > 128, rng)
    matrix = _laid_out(alpha, rng)
    image = _warped(image, matrix, cv2.BORDER_REPLICATE)
    alpha = _warped(alpha, matrix, cv2.BORDER_CONSTANT)
    points = cv2.transform(points[None], matrix)[0]
    image, alpha, points = _crumpled(image, alpha, points, rng)
    image = _over(image, alpha, _paper((height, width), alpha, rng), rng)
    inside = ((points > 0) & (points < (width, height))).all(1)
    return {
        "image": filed(recolored(image, rng), rng), "alpha": alpha,
        "points": points.astype(np.float32), "known": known & inside,
    }  # fmt: skip


def detected(pose: Pose, rng: np.random.Generator) -> Pose:
    """A pose as a detector finds it: near the true joints, not all, left and right not certain."""
    box = pose.box()
    if box is None:
        return pose
    size = max(box[2] - box[0], box[3] - box[1])
    error = rng.uniform(0.003, 0.02) * size
    points = pose.points + rng.normal(0, error, (18, 2)).astype(np.float32)
    state = pose.state.copy()
    flipped = (rng.random(18) < 0.1) & pose.drawn
    state[flipped] = JointState.BEHIND + JointState.VISIBLE - state[flipped]
    state[rng.random(18) < rng.choice((0.0, 0.05, 0.25), p=(0.5, 0.4, 0.1))] = JointState.HIDDEN
    if rng.random() < 0.08:
        state[list(_HEAD)] = JointState.HIDDEN
    found = Pose(points, pose.score, state, pose.size)
    if rng.random() < 0.06:
        order = list(MIRROR)
        found = Pose(points[order], pose.score, state[order], pose.size)
    return hide_outside(found)


def backdrop(shape: tuple[int, int], other: Another, rng: np.random.Generator) -> Image:
    """Something to stand before: a wall, a gradient, clutter, or other people's pictures."""
    height, width = shape
    kind = rng.random()
    base = rng.uniform(0, 255, 3) if kind < 0.7 else rng.uniform(150, 255) + rng.normal(0, 6, 3)
    canvas = np.empty((height, width, 3), np.float32)
    canvas[:] = base
    if kind < 0.35:
        return _elsewhere(other(), shape, rng)
    slope = rng.normal(0, 40, (2, 3))
    canvas += np.linspace(-0.5, 0.5, height)[:, None, None] * slope[0]
    canvas += np.linspace(-0.5, 0.5, width)[None, :, None] * slope[1]
    if kind < 0.6:
        for _ in range(int(rng.integers(2, 14))):
            _scribble(canvas, rng)
    if rng.random() < 0.6:
        rows = int(rng.choice((4, 10, 32, 90)))
        cells = rng.normal(0, rng.uniform(3, 35), (rows, max(2, rows * width // height), 3))
        cells = cv2.resize(cells.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        canvas += cells if rng.random() < 0.5 else cells.mean(2, keepdims=True)
    if rng.random() < 0.4:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.5, 5))  # type: ignore[assignment]
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _scribble(canvas: Plane, rng: np.random.Generator) -> None:
    """A thing in the background: box, disc, stroke or polygon."""
    height, width = canvas.shape[:2]
    color = tuple(float(v) for v in rng.uniform(0, 255, 3))
    spots = (rng.uniform(-0.1, 1.1, (4, 2)) * (width, height)).astype(int)
    first, second = (tuple(int(v) for v in spot) for spot in spots[:2])
    kind = int(rng.integers(4))
    if kind == 0:
        cv2.rectangle(canvas, first, second, color, -1)
    elif kind == 1:
        cv2.circle(canvas, first, int(rng.uniform(0.02, 0.3) * width), color, -1)
    elif kind == 2:
        cv2.line(canvas, first, second, color, int(rng.integers(1, 12)), cv2.LINE_AA)
    else:
        cv2.fillPoly(canvas, [spots.astype(np.int32)], color)


def _elsewhere(other: Image, shape: tuple[int, int], rng: np.random.Generator) -> Image:
    """Somebody else's picture, beside or behind: who is not meant counts as background."""
    height, width = shape
    scale = rng.uniform(0.7, 2.0)
    shift = rng.uniform(-0.55, 0.55, 2) * (width, height)
    centre = np.array((width, height)) / 2
    matrix = np.hstack([np.eye(2) * scale, (centre - scale * centre + shift)[:, None]])
    out = _warped(other, matrix, cv2.BORDER_REFLECT)
    return cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 4)) if rng.random() < 0.5 else out  # type: ignore[return-value]


def _framing(alpha: Image, rng: np.random.Generator) -> Matrix:
    """(2, 3) map to a frame as the app cuts it, mostly; sometimes nearer than that."""
    height, width = alpha.shape
    rows, columns = np.flatnonzero(alpha.max(1) > 128), np.flatnonzero(alpha.max(0) > 128)
    if not len(rows) or not len(columns):
        return np.eye(2, 3)
    size = np.array((columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1), float)
    middle = np.array((columns[0], rows[0])) + size / 2
    margin = rng.uniform(0.0, 0.3)
    scale = min(width / size[0], height / size[1]) / (1 + 2 * margin)
    if rng.random() < 0.25:
        scale *= rng.uniform(1.1, 2.2)
    stretch = np.exp(rng.normal(0, 0.05, 2))
    angle = np.clip(rng.normal(0, 0.07), -0.3, 0.3)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn * scale * stretch
    room = np.maximum(np.array((width, height)) - size * scale, 0.25 * size * scale)
    goal = np.array((width, height)) / 2 + rng.uniform(-0.45, 0.45, 2) * room
    return np.hstack([linear, (goal - linear @ middle)[:, None]])


def _laid_out(alpha: Image, rng: np.random.Generator) -> Matrix:
    """(2, 3) map that lays a garment on the table: another size, place and turn, all of it seen."""
    height, width = alpha.shape
    rows, columns = np.flatnonzero(alpha.max(1) > 128), np.flatnonzero(alpha.max(0) > 128)
    if not len(rows) or not len(columns):
        return np.eye(2, 3)
    size = np.array((columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1), float)
    middle = np.array((columns[0], rows[0])) + size / 2
    angle = np.clip(rng.normal(0, 0.1), -0.35, 0.35)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, rng.normal(0, 0.05)], [0, 1]])
    linear = turn @ shear * np.exp(rng.normal(0, 0.08, 2))
    reach = np.abs(linear) @ size
    scale = min(width / reach[0], height / reach[1]) * rng.uniform(0.65, 0.98)
    linear, reach = linear * scale, reach * scale
    room = np.maximum(np.array((width, height)) - reach, 0)
    goal = np.array((width, height)) / 2 + rng.uniform(-0.5, 0.5, 2) * room
    return np.hstack([linear, (goal - linear @ middle)[:, None]])


def _crumpled(
    image: Image, alpha: Image, points: Plane, rng: np.random.Generator
) -> tuple[Image, Image, Plane]:
    """A smooth bending of the cloth, of sleeves above all; landmarks go with it."""
    height, width = alpha.shape
    cells = (rng.normal(0, rng.uniform(0, 0.03), (2, 5, 4)) * height).astype(np.float32)
    shift = [cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC) for c in cells]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    look = x + shift[0], y + shift[1]  # where each pixel looks
    image = cv2.remap(image, *look, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    alpha = cv2.remap(alpha, *look, cv2.INTER_LINEAR)  # type: ignore[assignment]
    moved = points.copy()
    for _ in range(3):  # the inverse, by its fixed point
        column = np.clip(moved[:, 0].astype(int), 0, width - 1)
        row = np.clip(moved[:, 1].astype(int), 0, height - 1)
        moved = points - np.stack([shift[0][row, column], shift[1][row, column]], 1)
    return image, alpha, moved


def _paper(shape: tuple[int, int], alpha: Image, rng: np.random.Generator) -> Image:
    """A shop's plain ground, with the garment's soft shadow on it."""
    height, width = shape
    kind = rng.random()
    tone = 255.0 if kind < 0.35 else rng.uniform(200, 255) if kind < 0.75 else rng.uniform(20, 255)
    color = tone + rng.normal(0, 5 if kind < 0.75 else 30, 3) * (kind >= 0.35)
    canvas = np.empty((height, width, 3), np.float32)
    canvas[:] = color
    canvas += np.linspace(-0.5, 0.5, height)[:, None, None] * rng.normal(0, 12) * (kind >= 0.35)
    if rng.random() < 0.5:
        shadow = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(2, 9)).astype(np.float32) / 255
        shift = np.hstack([np.eye(2), rng.normal(0, 5, (2, 1))])
        canvas *= 1 - _warped(shadow, shift, cv2.BORDER_CONSTANT)[..., None] * rng.uniform(
            0.05, 0.4
        )
    canvas += rng.normal(0, rng.uniform(0, 3), (height, width, 1))
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _redyed(image: Image, labels: Image, rng: np.random.Generator) -> Image:
    """One garment in another colour or pattern."""
    worn = [label for label in CLOTHES if (labels == label).any()]
    if not worn:
        return image
    return textured(image, labels == int(rng.choice(worn)), rng)


def _hidden_behind(image: Image, labels: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Things in front: bags, tables, hands of others. They belong to the background."""
    canvas = image.astype(np.float32)
    for _ in range(int(rng.integers(1, 4))):
        before = canvas.copy()
        height, width = labels.shape
        centre = rng.uniform(0, 1, 2) * (width, height)
        spread = rng.uniform(0.03, 0.22) * height
        spots = (centre + rng.normal(0, 1, (5, 2)) * spread).astype(np.int32)
        mask = np.zeros(labels.shape, np.uint8)
        cv2.fillConvexPoly(mask, cv2.convexHull(spots), 1)
        canvas[mask > 0] = rng.uniform(0, 255, 3) + rng.normal(0, rng.uniform(0, 30), 3)
        if rng.random() < 0.5:
            noise = rng.normal(0, 25, (16, 12, 1)).astype(np.float32)
            canvas += cv2.resize(noise, (width, height))[..., None] * mask[..., None]
        if mask.mean() > 0.15 and (labels[mask > 0] > 0).mean() > 0.6:
            canvas = before
            continue
        labels = np.where(mask > 0, 0, labels).astype(np.uint8)
    return np.clip(canvas, 0, 255).astype(np.uint8), labels


def _over(image: Image, alpha: Image, behind: Image, rng: np.random.Generator) -> Image:
    """Laid over another background; the rim, which has the old one's colour, may be cut away."""
    share = alpha.astype(np.float32)[..., None] / 255
    if rng.random() < 0.6:
        share = np.clip((share - 0.45) / 0.5, 0, 1)
    out = image * share + behind * (1 - share)
    return (out + 0.5).astype(np.uint8)


def _moved(pose: Pose, matrix: Matrix) -> Pose:
    points = cv2.transform(pose.points[None], matrix)[0]
    return hide_outside(Pose(points, pose.score, pose.state, pose.size))


def _warped(pixels: Any, matrix: Matrix, border: int, how: int = cv2.INTER_LINEAR) -> Any:
    """The matrix maps pixels with centres at +0.5; OpenCV has them at whole numbers."""
    linear = matrix[:, :2]
    shift = matrix[:, 2] + linear @ np.array([0.5, 0.5]) - 0.5
    size = (pixels.shape[1], pixels.shape[0])
    return cv2.warpAffine(
        pixels, np.hstack([linear, shift[:, None]]), size, flags=how, borderMode=border
    )
