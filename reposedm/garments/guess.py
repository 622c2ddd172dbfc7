"""Guesses from the skeleton and the colours, for a computer without the parser's weights.

Good enough to start a mask that the user corrects; whoever uses a guess says so to the user.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.garments import zones
from reposedm.garments.labels import (
    ARM_SKIN,
    BACKGROUND,
    BOTTOM,
    FACE,
    HAIR,
    LEG_SKIN,
    SHOES,
    SKIRT,
    TOP,
    TORSO_SKIN,
)
from reposedm.garments.zones import along_trunk, body_zones, hands, skin_seen
from reposedm.pose import Pose
from reposedm.pose.skeleton import L_HIP, L_KNEE, R_HIP, R_KNEE

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

NOTE: Final = (
    "The weights of the garment parser are not installed: the garments were guessed from the "
    "skeleton and the colours. Look at the mask, and paint it right where it is wrong."
)
_WINDOW: Final = 6
"""Rows (each 0.03 of the trunk) that are compared above and below a waist."""
_SIDE: Final = 512
"""Longer side of the picture in which garments are guessed, pixels."""


def guess_labels(image: Image, pose: Pose, mask: Floats) -> NDArray[np.uint8]:
    """What each pixel of a person shows, by place and colour: uint8 (H, W) of ``labels.CLASSES``.

    Tells no jackets and no hats; a jacket is a top, a hat is hair.

    Args:
        image: uint8 (H, W, 3) RGB.
        pose: the person's, in pixels of ``image``.
        mask: float32 (H, W) in [0, 1], the person's alpha.
    """
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 0.5
    body = pose.transformed(np.array(size) / pose.size, 0, size)
    labels = _labels(small, body, inside)
    full = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
    full[mask < 0.2] = BACKGROUND
    return np.asarray(full, np.uint8)


def _labels(image: Image, pose: Pose, inside: Mask) -> NDArray[np.uint8]:
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    zone = body_zones(pose, inside.shape)
    skin = skin_seen(lab, pose, inside)
    down = along_trunk(pose, inside.shape)
    waist = _waist(lab, zone, inside & ~skin, down)
    labels = np.zeros(inside.shape, np.uint8)
    lower = _is_skirt(lab, pose, inside)
    cloth = np.where(down < waist, TOP, SKIRT if lower else BOTTOM)
    labels[zone == zones.HEAD] = HAIR
    labels[(zone == zones.HEAD) & skin] = FACE
    labels[zone == zones.TRUNK] = cloth[zone == zones.TRUNK]
    labels[(zone == zones.TRUNK) & skin & (down < 0.3)] = TORSO_SKIN
    labels[zone == zones.ARM] = TOP
    # What is not skin beyond a wrist is a glove, or something that is held.
    labels[(zone == zones.ARM) & (skin | hands(pose, inside.shape))] = ARM_SKIN
    labels[zone == zones.LEG] = cloth[zone == zones.LEG]
    labels[(zone == zones.LEG) & skin & (down > waist)] = LEG_SKIN
    labels[zone == zones.FOOT] = SHOES
    labels = np.where(inside, labels, BACKGROUND).astype(np.uint8)
    labels[_loose(labels, zone)] = LEG_SKIN  # socks are no trousers
    return np.asarray(cv2.medianBlur(labels, 5))


def _loose(labels: NDArray[np.uint8], zone: NDArray[np.int64]) -> Mask:
    """Lower cloth that does not hang together with what is worn at the hips."""
    lower = np.isin(labels, (BOTTOM, SKIRT))
    # Opened: a leg's blurred outline is not skin and would join a sock to a skirt.
    core = cv2.morphologyEx(lower.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, pieces = cv2.connectedComponents(core)
    worn = np.unique(pieces[(core > 0) & (zone == zones.TRUNK)])
    if not len(worn):
        return np.zeros_like(lower)
    held = np.isin(pieces, worn).astype(np.uint8)
    return lower & (cv2.dilate(held, np.ones((7, 7), np.uint8)) == 0)


def _waist(lab: Floats, zone: NDArray[np.int64], cloth: Mask, down: Floats) -> float:
    """Where the top ends, in trunk lengths: at the greatest change of colour near the hips."""
    steps = np.arange(0.5, 1.5, 0.03)
    here = cloth & np.isin(zone, (zones.TRUNK, zones.LEG))
    means: list[Floats] = []
    for low in steps:
        band = here & (down >= low) & (down < low + 0.03)
        means.append(np.median(lab[band], axis=0) if band.sum() > 8 else np.full(3, np.nan))
    rows = np.array(means)
    change = np.full(len(steps), np.nan)
    for at in range(_WINDOW, len(steps) - _WINDOW):
        # Means of many rows: a striped top has a change of colour at every stripe.
        above, below = rows[at - _WINDOW : at], rows[at : at + _WINDOW]
        usual = np.exp(-(((steps[at] - 0.95) / 0.35) ** 2))
        change[at] = np.linalg.norm(above.mean(0) - below.mean(0)) * usual
    if np.isnan(change).all() or np.nanmax(change) < 6:
        return 0.95
    return float(steps[int(np.nanargmax(change))])


def _is_skirt(lab: Floats, pose: Pose, inside: Mask) -> bool:
    """Whether cloth of one colour fills the place between the thighs."""
    joints = (R_HIP, R_KNEE, L_HIP, L_KNEE)
    if not all(pose.drawn[joint] for joint in joints):
        return False
    smooth = cv2.GaussianBlur(lab, (0, 0), 2.0)
    height, width = inside.shape
    filled = []
    for t in (0.45, 0.55, 0.65):
        ends = [pose.points[hip] * (1 - t) + pose.points[knee] * t
                for hip, knee in ((R_HIP, R_KNEE), (L_HIP, L_KNEE))]  # fmt: skip
        line = np.linspace(ends[0], ends[1], 15).astype(int)
        if ((line < 0) | (line >= (width, height))).any():
            return False
        colours = smooth[line[:, 1], line[:, 0]]
        whole = inside[line[:, 1], line[:, 0]].all()
        filled.append(whole and np.linalg.norm(colours - colours.mean(0), axis=1).max() < 20)
    return sum(filled) >= 2
