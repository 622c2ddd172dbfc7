"""Layers of the puppet: each part's colours and alpha, hidden surfaces made up once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.imaging.fill import extend_colours, fill_holes
from reposedm.pipelines.puppet.body import Body, Points
from reposedm.pipelines.puppet.field import smoothstep
from reposedm.pipelines.puppet.parts import (
    Parts,
    beyond,
    capsule,
    fill_polygon,
    trunk_outline,
)
from reposedm.pipelines.puppet.profile import within_profile
from reposedm.pipelines.puppet.rig import (
    ARMS,
    HEAD_PART,
    LEGS,
    LIMBS,
    N_PARTS,
    TRUNK_PART,
    is_behind,
    parent_direction,
)
from reposedm.pose.skeleton import L_HIP, L_KNEE, NECK, R_HIP, R_KNEE

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]


_SOLID = 0.75
"""Alpha from which a pixel's own colour is trusted, once the background is taken out of it."""


@dataclass(frozen=True)
class Layer:
    """One part, cut out.

    Attributes:
        rgba: uint8 (h, w, 4), premultiplied, colours continued under whatever covered the part.
        origin: (x, y) of its top left pixel in the crop.
    """

    rgba: Image
    origin: tuple[int, int]


def cut_layers(
    image: Image,
    mask: Floats,
    body: Body,
    parts: Parts,
) -> dict[int, Layer]:
    """Cut a person into layers, back sides of the cuts filled from each part's own texture.

    Args:
        image: uint8 (H, W, 3), cropped to the person.
        mask: float32 (H, W), the person's alpha.
        body: the complete body, in pixels of the crop.
        parts: who owns which pixel.
    """
    shape = (parts.labels.shape[0], parts.labels.shape[1])
    ratio = np.array([shape[1] / image.shape[1], shape[0] / image.shape[0]])
    points, unit = body.points * ratio, body.unit * parts.factor
    radii = {part: radius * parts.factor for part, radius in parts.radii.items()}
    size = (shape[1], shape[0])
    inside = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 0.4
    sharp, soft = ownership(parts, inside, points, unit, radii=radii, body=body)
    solid = mask > _SOLID
    image = _unmixed(image, mask)
    layers: dict[int, Layer] = {}
    for part in range(N_PARTS):
        if not parts.present[part]:
            continue
        layer = _cut(image, mask, solid, parts, part, owned=(sharp[part], soft[part]))
        if layer is not None:
            layers[part] = layer
    return layers


def _unmixed(image: Image, mask: Floats) -> Image:
    """The person's own colours: the background's share is taken out of the soft edge's pixels."""
    soft = (mask > _SOLID) & (mask < 0.995)
    behind = mask < 0.02
    if not soft.any() or not behind.any():
        return image
    background = cv2.blur(extend_colours(image, behind), (3, 3))[soft].astype(np.float32)
    alpha = mask[soft][:, None]
    colours = (image[soft] - (1 - alpha) * background) / alpha
    clean = image.copy()
    clean[soft] = np.clip(np.rint(colours), 0, 255)
    return clean


def ownership(
    parts: Parts,
    inside: Mask,
    points: Points,
    unit: float,
    *,
    radii: dict[int, float],
    body: Body,
) -> tuple[list[Floats], list[Floats]]:
    """Alpha of every part by shape alone, float32 (h, w) each, at working size: with sharp and
    with soft edges.

    A part owns its labelled pixels, a rounded cap of its neighbours' at each joint (there both
    show the same), a thin margin under its neighbours, and the surface hidden by parts before it.
    """
    labels = parts.labels
    shape = (labels.shape[0], labels.shape[1])
    ys, xs = np.mgrid[: shape[0], : shape[1]] + 0.5
    rank = source_rank(body, parts.hem > 0)
    sharp: list[Floats] = []
    for part in range(N_PARTS):
        own = (labels == part).astype(np.float32)
        hidden = _hidden_shape(part, own > 0, points=points, unit=unit, radii=radii)
        if part == TRUNK_PART:
            hips = points[[R_HIP, L_HIP]].mean(0)
            hidden *= within_profile((own > 0) & inside, inside, points[NECK], hips)
        front = _covers(part, rank)[labels]
        margin = cv2.dilate(own, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
        near = np.isin(labels, neighbours(part))
        if part in ARMS:  # along the trunk's side a margin would carry the trunk's print away
            joint = points[LIMBS[part].start]
            far = np.hypot(xs - joint[0], ys - joint[1]) > 1.3 * radii[part]
            near &= ~(far & (labels == TRUNK_PART))
        sharp.append(np.maximum(own, np.maximum(margin * (front | near), hidden * front)))
    soft = [np.zeros(shape, np.float32) for _ in range(N_PARTS)]

    def add(part: int, area: NDArray[np.float64]) -> None:
        soft[part] = np.maximum(soft[part], area).astype(np.float32)

    for part, limb in LIMBS.items():
        if not parts.present[part]:
            continue
        joint, radius = points[limb.start], 1.2 * radii[part]
        offset_x, offset_y = xs - joint[0], ys - joint[1]
        cap = 1 - smoothstep(np.hypot(offset_x, offset_y), 0.75 * radius, 1.15 * radius)
        along = points[limb.end] - points[limb.start]
        axis = parent_direction(points, part) + along / max(float(np.linalg.norm(along)), 1e-6)
        axis /= max(float(np.linalg.norm(axis)), 1e-6)
        side = offset_x * axis[0] + offset_y * axis[1]
        add(part, cap * smoothstep(side, -0.9 * radius, -0.1 * radius) * (labels == limb.parent))
        mine = (side < 0.1 * radius) & (cap > 0) & (labels == part)
        sharp[limb.parent] = np.maximum(sharp[limb.parent], mine.astype(np.float32))
    neck, reach = points[NECK], 0.2 * unit
    distance = np.hypot(xs - neck[0], ys - neck[1])
    add(HEAD_PART, (1 - smoothstep(distance, 0.6 * reach, reach)) * (labels == TRUNK_PART))
    add(TRUNK_PART, (1 - smoothstep(distance, reach, 1.4 * reach)) * (labels == HEAD_PART))
    return sharp, soft


def _covers(part: int, rank: NDArray[np.int32]) -> Mask:
    """(N_PARTS,) which parts may hide this one in the source; not its direct neighbours."""
    covers = rank >= rank[part]
    covers[part] = False
    limb = LIMBS.get(part)
    if limb is not None and limb.child >= 0:
        covers[limb.child] = rank[limb.child] > rank[part]
    if limb is not None and limb.parent != TRUNK_PART:
        covers[limb.parent] = rank[limb.parent] > rank[part]
    return covers


def source_rank(body: Body, skirt: bool) -> NDArray[np.int32]:
    """How far in front each part is in the source; larger is nearer."""
    rank = np.zeros(N_PARTS, np.int32)
    rank[TRUNK_PART] = 3 if skirt else 1
    rank[HEAD_PART] = 4
    for part in LEGS:
        rank[part] = 2
    lower = (LEGS[0], LEGS[1]) if body.points[10, 1] >= body.points[13, 1] else (LEGS[2], LEGS[3])
    for part in lower:
        rank[part] = 2
    for part in ARMS:
        rank[part] = 5 if LIMBS[part].child != -1 else 6
    for part in (*ARMS, *LEGS):
        if is_behind(body.state, part):
            rank[part] = 0
    return rank


def _hidden_shape(
    part: int,
    own: Mask,
    *,
    points: Points,
    unit: float,
    radii: dict[int, float],
) -> Floats:
    """Where a part certainly continues under others: trunk outline, capsules, its own closing."""
    shape = (own.shape[0], own.shape[1])
    if part == TRUNK_PART:
        area = fill_polygon(shape, trunk_outline(points, 0.35))
        right, left = points[R_HIP] - points[L_HIP], points[L_HIP] - points[R_HIP]
        thighs = 0.7 * points[[R_HIP, L_HIP]] + 0.3 * points[[R_KNEE, L_KNEE]]
        crotch = [points[R_HIP] + 0.2 * right, points[L_HIP] + 0.2 * left, thighs[1], thighs[0]]
        area |= fill_polygon(shape, np.array(crotch))
    elif part == HEAD_PART:
        area = np.zeros(shape, np.uint8)
    else:
        limb = LIMBS[part]
        radius = 0.9 * radii[part]
        area = capsule(shape, points[limb.start], points[limb.end], radius)
        if limb.beyond:
            tip = beyond(points, part, unit, 0.4)
            area |= capsule(shape, points[limb.end], tip, 0.8 * radius)
    # The trunk's side is closed across an arm's width; limbs only across small things.
    side = 2 * int(max(2, (0.2 if part == TRUNK_PART else 0.06) * unit)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    pad = side
    padded = np.pad(own.astype(np.uint8), pad)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)[pad:-pad, pad:-pad]
    return np.maximum(area, closed).astype(np.float32)


def _cut(
    image: Image,
    mask: Floats,
    solid: Mask,
    parts: Parts,
    part: int,
    *,
    owned: tuple[Floats, Floats],
) -> Layer | None:
    """One layer at the photo's resolution, in its own bounding box."""
    height, width = mask.shape
    sharp, soft = owned
    either = np.maximum(sharp, soft)
    rows, columns = np.flatnonzero(either.any(1)), np.flatnonzero(either.any(0))
    if not len(rows):
        return None
    fx, fy = width / either.shape[1], height / either.shape[0]
    top, bottom = int(max(0, rows[0] * fy - 4)), int(min(height, (rows[-1] + 1) * fy + 4))
    left, right = int(max(0, columns[0] * fx - 4)), int(min(width, (columns[-1] + 1) * fx + 4))
    box = np.s_[top:bottom, left:right]
    edge = _enlarge(cv2.GaussianBlur(sharp, (0, 0), 1.2), width, height)[box]
    # A blurred step rises by about 1 / (2.5 sigma) a pixel; make it rise within two full pixels.
    edge = np.clip((edge - 0.5) * max(1.0, 1.5 * fx) + 0.5, 0, 1)
    cap = _enlarge(cv2.GaussianBlur(soft, (0, 0), 0.8), width, height)[box]
    alpha = mask[box] * np.maximum(edge, cap)
    if alpha.max() < 0.5:
        return None
    alpha *= _without_specks(alpha)
    own = _enlarge((parts.labels == part).astype(np.float32), width, height)[box] > 0.5
    known = own & solid[box]
    if not known.any():
        known = own & (mask[box] > 0.5)
        if not known.any():
            return None
    colours = extend_colours(image[box], known)
    need = (alpha > 0.004) & ~known
    depth = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 3)
    deep = need & (depth > 5)
    if part in (TRUNK_PART, *LEGS) and deep.sum() > 0.02 * known.sum():
        colours = fill_holes(colours, need, known, detail=5000)
    elif deep.any():
        smooth = cv2.blur(colours, (7, 7))
        colours[deep] = smooth[deep]
    shown = need & solid[box] & _caps(parts, part, width, height)[box]
    if part in ARMS:  # beyond its cap an arm shows none of the shirt it hangs before
        trunk = _enlarge((parts.labels == TRUNK_PART).astype(np.float32), width, height)[box]
        shown &= (cap > 0.02) | (trunk < 0.5) | (depth <= 2)
    colours[shown] = image[box][shown]
    rgba = np.empty((*alpha.shape, 4), np.uint8)
    rgba[..., :3] = np.rint(colours * alpha[..., None])
    rgba[..., 3] = np.rint(alpha * 255)
    return Layer(rgba, (left, top))


def _without_specks(alpha: Floats) -> Mask:
    """Where a layer is not a loose speck: those would float beside the limb that moves away."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((alpha > 0.25).astype(np.uint8))
    if count <= 2:
        return np.ones(alpha.shape, bool)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    specks = areas < 0.02 * areas[1:].max()
    specks[0] = False
    loose = specks[labels].astype(np.uint8)
    return np.asarray(cv2.dilate(loose, np.ones((5, 5), np.uint8)) == 0)


def neighbours(part: int) -> list[int]:
    """Parts that a part is joined to; at the joint both show the same pixels."""
    if part == TRUNK_PART:
        return [other for other, limb in LIMBS.items() if limb.parent == TRUNK_PART] + [HEAD_PART]
    if part == HEAD_PART:
        return [TRUNK_PART]
    limb = LIMBS[part]
    return [limb.parent] + ([limb.child] if limb.child >= 0 else [])


def _caps(parts: Parts, part: int, width: int, height: int) -> Mask:
    """Pixels of a part's neighbours at the photo's size."""
    near = np.isin(parts.labels, neighbours(part)).astype(np.float32)
    return _enlarge(near, width, height) > 0.5


def _enlarge(values: Floats, width: int, height: int) -> Floats:
    if values.shape == (height, width):
        return values
    return np.clip(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
