"""The photo's own texture in a generated picture: pixels through the flow, at the photo's size.

A network works at 256 x 176 or the like; what the photo showed at four times that comes back here.
The photo is looked at through the mapping that the network aligned it with, after a correction that
makes it match the generated picture. Where the two agree, the photo's pixels are taken; where only
their details can be trusted, these, over the light and colours of the generated picture; and where
the photo shows nothing, or something else, the generated picture stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.imaging.frame import Frame
from reposedm.imaging.matching import (
    BORDER,
    Array,
    blurred,
    made_rigid,
    ramp,
    refined,
    seen_through,
    smooth_field,
)
from reposedm.imaging.trust import FOUND, PLACED, ROWS, Trust, trusted

Image = NDArray[np.uint8]

_STRIP: Final = 192
"""Rows of the photo that are in work at a time: memory does not grow with the photo."""
_SAME: Final = 4.0
"""Levels by which pixels that nobody moved may differ: interpolation."""
_CERTAIN: Final = (0.5, 0.85)
_PREFERRED: Final = (-0.3, 0.0)
"""From how much less trust than in the mapping the warped person is taken in its place."""
_RIGID: Final = 2.0
"""A face whose offsets are this near to those of one piece is moved as one, pixels."""
_TURNED: Final = 0.25
"""Faces that differ more in where the nose is between the eyes are turned another way."""
EYES_AND_NOSE: Final = (0, 14, 15)
NECK: Final = 1


@dataclass(frozen=True)
class Warped:
    """The photo's person in the wanted pose, moved along the bones.

    Attributes:
        rgba: uint8 (H, W, 4), straight alpha, on the whole photo.
        sure: float32 (H, W) in [0, 1], how far it is right whatever was generated: a limb that only
            moves in the picture's plane is the photo's own limb.
        unknown: float32 (H, W) in [0, 1], where it has no answer: around limbs that turn towards
            the camera or that the photo does not show. Elsewhere nothing is added to it.
    """

    rgba: Image
    sure: NDArray[np.float32]
    unknown: NDArray[np.float32]


def textured(  # noqa: PLR0917  a picture of a frame, and its mapping
    photo: Image,
    source_mask: NDArray[Any],
    frame: Frame,
    rgba: Image,
    mapping: NDArray[np.float32],
    visible: NDArray[np.float32],
    *,
    faces: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    warped: Warped | None = None,
    head: NDArray[np.float32] | None = None,
) -> tuple[Image, Frame]:
    """A generated layer at the photo's resolution, with the photo's own pixels where they fit.

    With a mapping of zeros, everything visible and the photo's own frame as generated picture, it
    is the photo inside the mask; where nothing is visible, it is the generated picture.

    Args:
        photo: uint8 (H, W, 3).
        source_mask: (H, W) in [0, 1], the person on it; nothing outside is ever used.
        frame: where ``rgba`` lies on the photo.
        rgba: uint8 (h, w, 4), straight alpha, the new person alone, of the frame's size.
        mapping: float32 (2, h', w') offsets (x, y) in cells of its own grid: where each cell of the
            frame's picture looks in the frame of the photo.
        visible: float32 (h', w') in [0, 1].
        faces: joints (18, 2) in photo pixels of the photo's and of the wanted pose, if the face is
            seen in both: it moves as one piece, if its part of the mapping nearly does.
        warped: the person brought into the wanted pose by other means. Its pixels are taken by
            rules of their own, where they fit as well as the mapping's.
        head: (2, 2), nose and neck of the wanted pose in photo pixels, if both are known: the
            warped person's head is taken whole or not at all. A face is who somebody is.

    Returns:
        uint8 (h2, w2, 4) straight alpha, and its frame: the same box in whole photo pixels; or
        both as they came, if the photo has no more pixels there than ``rgba`` and nothing is
        ``warped``.

    Raises:
        ValueError: arrays that do not fit each other, or are not finite.
    """
    _check(photo, source_mask, frame, rgba, mapping, visible, warped)
    left, top, right, bottom = frame.box
    fine = Frame(frame.box, (right - left, bottom - top), frame.photo_size)
    if not rgba[..., 3].any():
        return rgba, frame
    if fine.size[0] <= frame.size[0]:
        if warped is None:
            return rgba, frame
        fine = frame
    generated = _covered(rgba)
    # Nothing of the surroundings: they would shine through at the edges.
    own = _looked_at(photo, np.clip(np.asarray(source_mask, np.float32), 0, 1), fine, frame.size)
    field = refined(smooth_field(mapping, visible, frame.size), generated, own.small)
    seen = cv2.resize(visible, frame.size, interpolation=cv2.INTER_LINEAR)
    face = None if faces is None else _face_window(faces, frame)
    if face is not None:
        solid = seen * _detailed(generated)
        field, fits = made_rigid(field, solid, face, _RIGID * rgba.shape[0] / ROWS)
        face = face if fits else None
    at = seen_through(own.small, field)
    found = [(own, trusted(generated, at, field, visible=seen, face=face, rules=FOUND))]
    other = None
    if warped is not None:
        alpha = warped.rgba[..., 3].astype(np.float32) / 255
        other = _looked_at(warped.rgba[..., :3], alpha, fine, frame.size)
        still, everywhere = np.zeros_like(field), np.ones_like(seen)
        whole = None if head is None else _head_window(head, frame)
        trust = trusted(generated, other.small, still, visible=everywhere, face=whole, rules=PLACED)
        found.append((other, trust))
    made = [(_at_full_size(view.window, view.inside, generated[..., 3], trust), trust.share)
            for view, trust in found if trust is not None]  # fmt: skip
    layer = made[0][0] if made else frame_resized(rgba, fine)
    if len(made) > 1:
        part = ramp(made[1][1] - made[0][1], *_PREFERRED)
        _mix_in(layer, made[1][0], blurred(part, 2 * rgba.shape[0] / ROWS))
    if warped is not None and other is not None:
        unit = fine.size[1] / ROWS
        kept = np.maximum(_kept(own, other, unit), _certain(warped, fine, unit))
        _mix_in(layer, np.dstack((other.window, other.inside)), kept)
    return layer, fine


def _kept(own: _View, other: _View, unit: float) -> Array:
    """(H, W) in [0, 1], where the warped person is the photo's person still: nobody moved that.

    A part and its outline count, not single pixels that happen to be alike.
    """
    same = np.ones(own.inside.shape, np.uint8)
    for top in range(0, len(same), _STRIP):
        rows = np.s_[top : top + _STRIP]
        one, two = (_covered(np.dstack((view.window[rows], view.inside[rows])))
                    for view in (own, other))  # fmt: skip
        away = np.abs(one - two)
        away[..., 3] *= 255
        same[rows] = away.max(2) <= _SAME
    core = ((same > 0) & (own.inside > 250)).astype(np.uint8)
    core = cv2.morphologyEx(core, cv2.MORPH_OPEN, _disc(3 * unit))
    near = cv2.dilate(core, _disc(8 * unit))
    found: Array = cv2.erode(near & same, _disc(unit)).astype(np.float32)
    return blurred(found, unit)


def _disc(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _certain(warped: Warped, fine: Frame, unit: float) -> Array:
    """(H, W) in [0, 1], where the warped person is the answer: certain, or nothing to add to."""
    sure, unknown = (fine.crop_mask(np.clip(one, 0, 1)).astype(np.float32)
                     for one in (warped.sure, warped.unknown))  # fmt: skip
    return blurred(np.maximum(ramp(sure, *_CERTAIN), 1 - unknown), unit)


@dataclass(frozen=True)
class _View:
    """A picture of the person: at full size, its alpha, and both small and premultiplied."""

    window: Image
    inside: Image
    small: Array


def _looked_at(
    picture: Image, mask: NDArray[np.float32], fine: Frame, size: tuple[int, int]
) -> _View:
    window, inside = fine.crop(picture), np.rint(fine.crop_mask(mask) * 255).astype(np.uint8)
    return _View(window, inside, _premultiplied(window, inside, size))


def _mix_in(layer: Image, other: Image, share: Array) -> None:
    """Write ``share`` (h, w) of another layer of the same size into one, in place."""
    height, width = layer.shape[:2]
    for top in range(0, height, _STRIP):
        rows = np.s_[top : min(height, top + _STRIP)]
        part = _part(share, (width, height), (0, top, width, rows.stop), cv2.INTER_LINEAR)
        one, two = (_covered(values[rows]) for values in (layer, other))
        one += (two - one) * part[..., None]
        one[..., :3] /= np.maximum(one[..., 3:], np.float32(1 / 255))
        one[..., 3] *= 255
        layer[rows] = np.rint(one).clip(0, 255).astype(np.uint8)


def _covered(picture: Image) -> Array:
    """Premultiplied, float32, colours in 0..255 and alpha in 0..1."""
    found = picture.astype(np.float32)
    found[..., 3] /= 255
    found[..., :3] *= found[..., 3:]
    return found


def frame_resized(rgba: Image, fine: Frame) -> Image:
    """A layer at another size, without a fringe."""
    return Frame((0, 0, *fine.size), (rgba.shape[1], rgba.shape[0]), fine.size).place(rgba)


def _at_full_size(window: Image, inside: Image, shape: Array, trust: Trust) -> Image:
    """The layer at the photo's resolution, a strip of rows at a time."""
    height, width = window.shape[:2]
    if trust.scale > 1.3:  # the person gets smaller: no aliasing
        window = cv2.GaussianBlur(window, (0, 0), 0.5 * (trust.scale**2 - 1) ** 0.5)
    zoom = height / shape.shape[0]
    sharper = np.float32(np.clip(zoom / 2, 1, 2))
    sides = np.dstack((trust.share, shape, trust.edge))
    out = np.zeros((height, width, 4), np.uint8)
    left, upper, right, lower = _around(shape > 0, (width, height))
    for top in range(upper, lower, _STRIP):
        part = (left, top, right, min(lower, top + _STRIP))
        points = _part(trust.field, (width, height), part, cv2.INTER_CUBIC)
        points *= np.array([width / shape.shape[1], zoom], np.float32)
        points[..., 0] += np.arange(left, right, dtype=np.float32)
        points[..., 1] += np.arange(part[1], part[3], dtype=np.float32)[:, None]
        maps = points[..., 0], points[..., 1]
        own = cv2.remap(window, *maps, cv2.INTER_CUBIC, borderMode=BORDER).astype(np.float32)
        own_mask = cv2.remap(inside, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        own_alpha = own_mask.astype(np.float32) / 255
        share, alpha, edge = cv2.split(_part(sides, (width, height), part, cv2.INTER_LINEAR))
        base = _part(trust.base, (width, height), part, cv2.INTER_CUBIC)
        low = _part(trust.low, (width, height), part, cv2.INTER_CUBIC)
        base += (own - low) * (share * ramp(own_alpha, 0.8, 0.99))[..., None]
        edge *= 1 - ramp(alpha, 0.99, 1) * (own_alpha < 0.5)  # no holes where there are none
        alpha = ((alpha - np.float32(0.5)) * sharper + np.float32(0.5)).clip(0, 1)
        alpha += (own_alpha - alpha) * edge
        result = np.dstack((base, alpha * 255))
        out[part[1] : part[3], left:right] = np.rint(result).clip(0, 255).astype(np.uint8)
    return out


def _around(known: NDArray[np.bool_], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box of what is known, and a little more, on a grid of another size."""
    ends = []
    for axis, whole in ((0, size[0]), (1, size[1])):
        found = np.flatnonzero(known.any(axis))
        step = whole / len(known.any(axis))
        ends.append((max(0, int((found[0] - 3) * step)), min(whole, int((found[-1] + 4) * step))))
    return ends[0][0], ends[1][0], ends[0][1], ends[1][1]


def _part(values: Array, size: tuple[int, int], part: tuple[int, int, int, int], how: int) -> Array:
    """A box (left, top, right, bottom) of an array resized to ``size``."""
    x, y = values.shape[1] / size[0], values.shape[0] / size[1]
    left, top, right, bottom = part
    move = np.array([[x, 0, (left + 0.5) * x - 0.5], [0, y, (top + 0.5) * y - 0.5]])
    found: Array = cv2.warpAffine(
        values, move, (right - left, bottom - top), flags=how | cv2.WARP_INVERSE_MAP,
        borderMode=BORDER,
    )  # fmt: skip
    return found


def _premultiplied(window: Image, inside: Image, size: tuple[int, int]) -> Array:
    alpha = inside[..., None].astype(np.float32) / 255
    layers = np.concatenate((window * alpha, alpha), 2)
    return cv2.resize(layers, size, interpolation=cv2.INTER_AREA)


def _detailed(picture: Array) -> Array:
    """(h, w) in [0, 1], where there is something to hold on to: plain skin looks alike anywhere."""
    colors, unit = picture[..., :3], picture.shape[0] / ROWS
    energy = blurred(np.square(colors - blurred(colors, 2 * unit)).sum(2), 1.5 * unit)
    found: Array = energy / (energy + np.float32(100))
    return np.where(picture[..., 3] > 0.5, found, np.float32(0))


def _face_window(
    faces: tuple[NDArray[np.float32], NDArray[np.float32]], frame: Frame
) -> Array | None:
    """(h, w) 1 on the wanted face, 0 away from it; None: too small, or turned another way."""
    sides = [_turned(points) for points in faces]
    if abs(sides[0] - sides[1]) > _TURNED:
        return None
    points = _in_frame(faces[1], frame)
    nose = points[EYES_AND_NOSE[0]]
    return _around_point(points[list(EYES_AND_NOSE)].mean(0), nose - points[NECK], 0.65, frame)


def _head_window(head: NDArray[np.float32], frame: Frame) -> Array | None:
    """(h, w) 1 on the wanted head with its hair, 0 away from it; None: too small."""
    nose, neck = _in_frame(head, frame)
    return _around_point(nose + 0.2 * (nose - neck), nose - neck, 0.85, frame)


def _in_frame(points: NDArray[np.float32], frame: Frame) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (points - np.array(frame.box[:2])) * np.array(frame.scale)
    return found


def _around_point(
    centre: NDArray[np.float64], reach: NDArray[np.float64], share: float, frame: Frame
) -> Array | None:
    """A soft disc of ``share`` of the length of ``reach``; None: too small to be looked at."""
    radius = share * float(np.hypot(*reach))
    if not np.isfinite(radius) or radius < 4:
        return None
    rows, columns = np.ogrid[: frame.size[1], : frame.size[0]]
    away = np.hypot(columns + 0.5 - centre[0], rows + 0.5 - centre[1]).astype(np.float32) / radius
    return 1 - ramp(away, 0.8, 1.25)


def _turned(points: NDArray[np.float32]) -> float:
    """How far the nose is to one side of the eyes, in distances between them."""
    nose, right, left = points[list(EYES_AND_NOSE)].astype(np.float64)
    apart = left - right
    length = float(apart @ apart)
    return float((nose - (left + right) / 2) @ apart / length) if length > 0 else np.inf


def _check(  # noqa: PLR0917
    photo: Image,
    mask: NDArray[Any],
    frame: Frame,
    rgba: Image,
    mapping: NDArray[np.float32],
    visible: NDArray[np.float32],
    warped: Warped | None,
) -> None:
    width, height = frame.photo_size
    if photo.shape != (height, width, 3) or mask.shape != (height, width):
        raise ValueError(f"a frame on {frame.photo_size} does not fit {photo.shape}, {mask.shape}")
    if warped is not None and warped.rgba.shape != (height, width, 4):
        raise ValueError(
            f"a warped person of {warped.rgba.shape} does not fit a photo {photo.shape}"
        )
    if rgba.shape != (frame.size[1], frame.size[0], 4):
        raise ValueError(f"a frame of {frame.size} cannot hold a picture of {rgba.shape}")
    if visible.ndim != 2 or mapping.shape != (2, *visible.shape) or 0 in visible.shape:
        raise ValueError(f"a mapping of {mapping.shape} has no visibility of {visible.shape}")
    if not (np.isfinite(mapping).all() and np.isfinite(visible).all() and np.isfinite(mask).all()):
        raise ValueError("a mapping, its visibility and a mask must be finite")
