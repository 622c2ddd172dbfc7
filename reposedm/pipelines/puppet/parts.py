"""Which pixel of the photo belongs to which part of the person.

Each part has a cost by shape (capsules round bones) and by colour (learnt from the pixels that are
surely its own); the costs are smoothed along the picture's edges, and the cheapest part wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.pipelines.puppet.body import FACE, Body, Points
from reposedm.pipelines.puppet.presence import find_present, sample
from reposedm.pipelines.puppet.profile import beyond_profile
from reposedm.pipelines.puppet.rig import (
    ARMS,
    HEAD_PART,
    LEGS,
    LIMBS,
    N_PARTS,
    TRUNK_PART,
    is_behind,
)
from reposedm.pipelines.puppet.skirt import LEGS as SKIRT_LEGS
from reposedm.pipelines.puppet.skirt import along_leg, find_hem
from reposedm.pose.skeleton import (
    L_ANKLE,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    NECK,
    R_ANKLE,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
)

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

LEG_PAIRS = ((R_HIP, L_HIP), (R_KNEE, L_KNEE), (R_ANKLE, L_ANKLE))

_WORK_SIDE = 420
"""Longer side of the picture in which parts are told apart."""


@dataclass(frozen=True)
class Parts:
    """Parts of a person in a picture.

    Attributes:
        labels: int32 (h, w) at working size; every pixel has the nearest part's index.
        factor: working pixels per picture pixel.
        radii: half widths of the limbs in picture pixels, by part.
        present: bool (N_PARTS,), False where a part is not in the picture at all.
        hem: where a skirt or coat ends on the legs: hip 0, knee 1, ankle 2; 0 without one.
    """

    labels: Labels
    factor: float
    radii: dict[int, float]
    present: NDArray[np.bool_]
    hem: float


def find_parts(image: Image, mask: NDArray[np.float32], body: Body) -> Parts:
    """Tell the parts of a person apart.

    Args:
        image: uint8 (H, W, 3), cropped to the person.
        mask: float32 (H, W), the person's alpha.
        body: the complete body, in pixels of the crop.
    """
    factor = min(1.0, _WORK_SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 0.4
    ratio = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
    points, unit = body.points * ratio, body.unit * factor
    radii = limb_radii(points, unit, inside)
    present = find_present(points, inside, body.known)
    hem = 0.0
    if present[LEGS[0]] and present[LEGS[2]]:
        hem = find_hem(small, inside, points, unit)
    cost = np.minimum(_unaries(points, unit, inside, radii, present=present, body=body), 3)
    if hem > 0:
        _claim_skirt(cost, points, unit, hem)
    colour = np.minimum(_colour_cost(small, inside, cost), 3)
    weight = 0.3 + 0.5 * _near_hands(points, unit, inside, radii)
    cost = _filter_costs(small, cost + weight * colour, inside, max(2, round(0.05 * unit)))
    cost[~present] = 99
    labels = _one_piece(cost.argmin(0).astype(np.int32), inside, present)
    labels = _nearest_label(labels, inside)
    labels = _smooth(labels, max(1.5, 0.02 * unit))
    for part in (ARMS[0], ARMS[2]):
        ends = points[LIMBS[part].start], points[LIMBS[part].end]
        shards = beyond_profile((labels == part) & inside, inside, *ends, radii[part])
        shards &= colour[part] > colour[TRUNK_PART] - 0.3  # bare skin stays the arm's
        if shards.any():
            labels = _nearest_label(labels, inside & (labels != part), shards)
    girths = _girths(labels, inside, points, radii)
    full = {part: radius / factor for part, radius in girths.items()}
    return Parts(labels, factor, full, present, hem)


def limb_radii(points: Points, unit: float, inside: Mask) -> dict[int, float]:
    """Half the width of each limb in pixels: measured where the mask shows it, else usual."""
    depth = cv2.distanceTransform(np.pad(inside.astype(np.uint8), 1, mode="edge"), cv2.DIST_L2, 5)[
        1:-1, 1:-1
    ]
    radii: dict[int, float] = {}
    for part, limb in LIMBS.items():
        usual = limb.radius * unit
        t = np.linspace(0.3, 0.85, 12)[:, None]
        along = points[limb.start] * (1 - t) + points[limb.end] * t
        values = sample(depth, along)
        values = values[values > 0.3 * usual]
        measured = float(np.median(values)) if len(values) >= 4 else usual
        radii[part] = usual if measured > 1.5 * usual else max(measured, 0.7 * usual)
    for right, left in ((2, 4), (3, 5), (6, 8), (7, 9)):
        low = min(radii[right], radii[left])
        radii[right], radii[left] = min(radii[right], 1.3 * low), min(radii[left], 1.3 * low)
    return radii


def _girths(
    labels: Labels, inside: Mask, points: Points, radii: dict[int, float]
) -> dict[int, float]:
    """Half widths again, now from the pixels that limbs really have: loose sleeves are wide."""
    girths: dict[int, float] = {}
    for part, limb in LIMBS.items():
        rows, columns = np.nonzero((labels == part) & inside)
        a, along = points[limb.start], points[limb.end] - points[limb.start]
        length = max(float(np.linalg.norm(along)), 1e-6)
        x, y = columns + 0.5 - a[0], rows + 0.5 - a[1]
        t = (x * along[0] + y * along[1]) / length**2
        across = np.abs(x * along[1] - y * along[0])[(t > 0.1) & (t < 0.95)] / length
        wide = float(np.quantile(across, 0.95)) if len(across) > 20 else radii[part]
        girths[part] = float(np.clip(wide, 0.9 * radii[part], 1.7 * radii[part]))
    return girths


def capsule(shape: tuple[int, int], a: Points, b: Points, radius: float) -> NDArray[np.uint8]:
    """A filled capsule round a segment, as uint8 0/1."""
    canvas = np.zeros(shape, np.uint8)
    limit = 4 * max(shape) + 100
    first = np.clip(np.rint((np.asarray(a) - 0.5) * 8), -limit * 8, limit * 8).astype(int)
    second = np.clip(np.rint((np.asarray(b) - 0.5) * 8), -limit * 8, limit * 8).astype(int)
    cv2.line(
        canvas,
        (int(first[0]), int(first[1])),
        (int(second[0]), int(second[1])),
        1,
        max(1, round(2 * radius)),
        cv2.LINE_8,
        3,
    )
    return canvas


def segment_distance(shape: tuple[int, int], a: Points, b: Points) -> NDArray[np.float32]:
    """Distance of every pixel centre to a segment, float32 (H, W)."""
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + 0.5
    along = np.asarray(b - a, np.float32)
    square = max(float(along @ along), 1e-6)
    t = np.clip(((xs - a[0]) * along[0] + (ys - a[1]) * along[1]) / square, 0, 1)
    return np.asarray(np.hypot(xs - a[0] - t * along[0], ys - a[1] - t * along[1]), np.float32)


def trunk_outline(points: Points, grow: float) -> Points:
    """Polygon (6, 2) shoulders - hips, its hips moved outwards by ``grow`` of their distance."""
    middle = points[[R_HIP, L_HIP]].mean(0)
    shoulders = points[[R_SHOULDER, L_SHOULDER]].mean(0)
    hips = points[[R_HIP, L_HIP]] + (points[[R_HIP, L_HIP]] - middle) * grow
    tops = points[[R_SHOULDER, L_SHOULDER]] + (points[[R_SHOULDER, L_SHOULDER]] - shoulders) * min(
        grow, 0.0
    )
    return np.array([points[NECK], tops[0], hips[0], middle, hips[1], tops[1]])


def fill_polygon(shape: tuple[int, int], outline: Points) -> NDArray[np.uint8]:
    """A filled polygon, as uint8 0/1."""
    canvas = np.zeros(shape, np.uint8)
    limit = 8 * (4 * max(shape) + 100)
    corners = np.clip(np.rint((outline - 0.5) * 8), -limit, limit).astype(np.int32)
    cv2.fillPoly(canvas, [corners], 1, cv2.LINE_8, 3)
    return canvas


def beyond(points: Points, part: int, unit: float, share: float = 1.0) -> Points:
    """The end of a limb's hand or foot: its last joint moved on along the bone."""
    limb = LIMBS[part]
    along = points[limb.end] - points[limb.start]
    length = max(float(np.linalg.norm(along)), 1e-6)
    return np.asarray(points[limb.end] + along / length * limb.beyond * share * unit)


def _unaries(
    points: Points,
    unit: float,
    inside: Mask,
    radii: dict[int, float],
    *,
    present: NDArray[np.bool_],
    body: Body,
) -> NDArray[np.float32]:
    """(N_PARTS, h, w) cost of each part by shape: below 0 inside its capsule, rising outside."""
    shape = (inside.shape[0], inside.shape[1])
    cost = np.full((N_PARTS, *shape), 9.0, np.float32)
    outline = trunk_outline(points, 0.45)
    area = fill_polygon(shape, outline)
    outside = cv2.distanceTransform(1 - area, cv2.DIST_L2, 5)
    cost[TRUNK_PART] = np.where(area > 0, -0.12, outside / (0.16 * unit) - 0.12)
    centre = points[FACE].mean(0)
    reach = float(np.linalg.norm(centre - points[NECK]))
    up = (centre - points[NECK]) / max(reach, 1e-6)
    radius = 0.55 * reach
    distance = segment_distance(shape, centre, centre + up * 0.45 * reach)
    cost[HEAD_PART] = distance / radius - 1.15
    for part, limb in LIMBS.items():
        if not present[part]:
            continue
        a, b = points[limb.start], points[limb.end]
        first = a + (b - a) * (0.16 if limb.parent == TRUNK_PART else 0.0)
        own = segment_distance(shape, first, b) / radii[part] - 1
        if limb.beyond:
            tip = beyond(points, part, unit, 0.75)
            own = np.minimum(own, segment_distance(shape, b, tip) / (1.35 * radii[part]) - 0.8)
            # A hand or foot may turn any way; within its reach the colours shall decide.
            own = np.minimum(own, segment_distance(shape, b, b) / (0.8 * unit) + 0.05)
        own = np.where(own > 0, 2 * own, own)
        if is_behind(body.state, part):
            own = own + 0.7 * (area > 0)
        elif part in ARMS:
            own -= 0.12
        cost[part] = own
    _leave_near_leg(cost, points, body)
    return cost


def _leave_near_leg(cost: NDArray[np.float32], points: Points, body: Body) -> None:
    """Where legs cross, the near one's bones own what lies on them; in place."""
    hips, knees, ankles = (points[right] - points[left] for right, left in LEG_PAIRS)
    behind = [is_behind(body.state, part) for part in (LEGS[1], LEGS[3])]
    crossed = min(float(hips @ knees), float(hips @ ankles)) < 0
    if behind[0] == behind[1] and not crossed:
        return
    right_far = behind[0] if behind[0] != behind[1] else points[R_ANKLE, 1] < points[L_ANKLE, 1]
    far, near = (LEGS[:2], LEGS[2:]) if right_far else (LEGS[2:], LEGS[:2])
    on_near = cost[list(near)].min(0) < -0.05
    cost[list(far)] += np.where(on_near, np.float32(0.9), np.float32(0))


def _near_hands(
    points: Points, unit: float, inside: Mask, radii: dict[int, float]
) -> NDArray[np.float32]:
    """(h, w) 1 round the hands: their fingers may lie anyhow, only colours tell them from cloth."""
    near = np.zeros(inside.shape, np.float32)
    for part in (ARMS[1], ARMS[3]):
        tip = beyond(points, part, unit, 0.5)
        distance = segment_distance(near.shape, points[LIMBS[part].end], tip)  # type: ignore[arg-type]
        near = np.maximum(near, np.clip(2.5 - distance / radii[part], 0, 1))
    return near


def _colour_cost(image: Image, inside: Mask, cost: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N_PARTS, h, w) how badly each pixel's colour fits a part, from the parts' sure pixels."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    bins = (lab[..., 0] // 20).astype(np.int32) * 400
    bins += (lab[..., 1] // 13).astype(np.int32) * 20 + lab[..., 2] // 13
    sure = cost.argmin(0)
    ordered = np.partition(cost, 1, axis=0)
    clear = inside & (ordered[0] < -0.1) & (ordered[1] - ordered[0] > 0.35)
    likely = np.zeros_like(cost)
    for part in range(N_PARTS):
        pixels = bins[clear & (sure == part)]
        table = np.bincount(pixels, minlength=14 * 400).astype(np.float32).reshape(14, 20, 20)
        table = cv2.GaussianBlur(table.reshape(14, 400), (1, 3), 0.8).reshape(14, 20, 20)
        table = np.stack([cv2.GaussianBlur(plane, (3, 3), 0.8) for plane in table])
        if len(pixels) < 30:
            likely[part] = 1e-3
            continue
        likely[part] = table.reshape(-1)[bins] / len(pixels) + 1e-3
    share = likely / likely.max(0, keepdims=True)
    return np.asarray(-np.log(share), np.float32)


def _filter_costs(
    image: Image, cost: NDArray[np.float32], inside: Mask, radius: int
) -> NDArray[np.float32]:
    """Smooth the costs inside the person along the picture's edges (guided filter)."""
    guide = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32) / 255
    guide = guide @ np.array([0.6, 0.9, 0.9], np.float32)
    weight = inside.astype(np.float32) + 1e-4
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.boxFilter(values * weight, -1, window) / total

    total = cv2.boxFilter(weight, -1, window)
    mean_g = mean(guide)
    variance = mean(guide * guide) - mean_g**2
    result = np.empty_like(cost)
    for part in range(len(cost)):
        mean_c = mean(cost[part])
        slope = (mean(guide * cost[part]) - mean_g * mean_c) / (variance + 4e-4)
        result[part] = mean(slope) * guide + mean(mean_c - slope * mean_g)
    return result


def _one_piece(labels: Labels, inside: Mask, present: NDArray[np.bool_]) -> Labels:
    """Give pieces of a part that lie apart from its largest one to their neighbours."""
    loose = np.zeros(labels.shape, bool)
    for part in np.flatnonzero(present):
        area = ((labels == part) & inside).astype(np.uint8)
        count, regions, stats, _ = cv2.connectedComponentsWithStats(area, connectivity=8)
        if count > 2:
            largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
            big = stats[:, cv2.CC_STAT_AREA] > 0.35 * stats[largest, cv2.CC_STAT_AREA]
            loose |= (area > 0) & ~big[regions]
    return _nearest_label(labels, inside & ~loose, loose)


def _nearest_label(labels: Labels, known: Mask, where: Mask | None = None) -> Labels:
    """Give pixels (all unknown ones, or those in ``where``) the label of the nearest known one."""
    if not known.any():
        return np.where(labels < 0, TRUNK_PART, labels).astype(np.int32)
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(nearest.max()) + 1, np.int32)
    table[nearest[known]] = labels[known]
    found = table[nearest]
    if where is None:
        where = ~known
    return np.where(where, found, labels).astype(np.int32)


def _smooth(labels: Labels, sigma: float) -> Labels:
    """Smooth the borders between parts and drop specks."""
    votes = np.stack(
        [
            cv2.GaussianBlur((labels == part).astype(np.float32), (0, 0), sigma)
            for part in range(N_PARTS)
        ]
    )
    return votes.argmax(0).astype(np.int32)


def _claim_skirt(cost: NDArray[np.float32], points: Points, unit: float, hem: float) -> None:
    """Make everything between the hips and the hem the trunk's, in place; arms stay before it."""
    hips = points[[R_HIP, L_HIP]].mean(0)
    end = np.mean([along_leg(points, leg, hem) for leg in SKIRT_LEGS], axis=0)
    along = end - hips
    length = max(float(np.linalg.norm(along)), 1e-6)
    ys, xs = np.mgrid[: cost.shape[1], : cost.shape[2]] + 0.5
    down = ((xs - hips[0]) * along[0] + (ys - hips[1]) * along[1]) / length
    zone = (down > -0.1 * unit) & (down < length)
    below = zone & (down > 0)
    cost[TRUNK_PART] = np.where(below, -0.5, cost[TRUNK_PART])
    for part in LEGS:
        cost[part] = np.where(zone, cost[part] + 3, cost[part])
