"""A person's mask from the pose alone, for callers that have no segmentation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.pipelines.puppet.body import FACE, complete
from reposedm.pipelines.puppet.parts import (
    beyond,
    capsule,
    fill_polygon,
    segment_distance,
    trunk_outline,
)
from reposedm.pipelines.puppet.rig import LIMBS
from reposedm.pose import Pose
from reposedm.pose.skeleton import NECK

_WORK_SIDE = 320


def guess_mask(image: NDArray[np.uint8], pose: Pose) -> NDArray[np.float32]:
    """The alpha of the person that a pose lies on: capsules round the bones, refined by colour.

    Args:
        image: uint8 (H, W, 3) RGB.
        pose: the person's pose in its pixels.

    Returns:
        float32 (H, W) in [0, 1]. Rough: a segmentation is better.
    """
    height, width = image.shape[:2]
    factor = min(1.0, _WORK_SIDE / max(height, width))
    shape = (max(2, round(height * factor)), max(2, round(width * factor)))
    body = complete(pose)
    points, unit = body.points * (shape[1] / width, shape[0] / height), body.unit * factor
    core = fill_polygon(shape, trunk_outline(points, 0.2))
    wide = fill_polygon(shape, trunk_outline(points, 0.8))
    centre = points[FACE].mean(0)
    reach = max(float(np.linalg.norm(centre - points[NECK])), 0.2 * unit)
    head = segment_distance(shape, centre, points[NECK] * 0.3 + centre * 0.7)
    core |= (head < 0.5 * reach).astype(np.uint8)
    wide |= (head < 0.85 * reach).astype(np.uint8)
    for part, limb in LIMBS.items():
        if not (body.known[limb.start] and body.known[limb.end]):
            continue
        tip = beyond(points, part, unit, 0.8) if limb.beyond else points[limb.end]
        ends = (points[limb.start], tip)
        core |= capsule(shape, points[limb.start], points[limb.end], 0.55 * limb.radius * unit)
        wide |= capsule(shape, *ends, 1.5 * limb.radius * unit)
    labels = np.where(core > 0, cv2.GC_FGD, np.where(wide > 0, cv2.GC_PR_FGD, cv2.GC_BGD))
    labels = labels.astype(np.uint8)
    if (labels == cv2.GC_BGD).any() and core.any():
        small = cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
        model = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(small, labels, None, *model, 3, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    found = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.float32)
    soft = cv2.GaussianBlur(found, (0, 0), 1.0)
    full = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip((full - 0.25) * 2, 0, 1).astype(np.float32)
