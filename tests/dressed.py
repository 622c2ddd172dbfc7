"""A drawn person in plain clothes with their labels, and drawn product pictures."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.garments import labels as L
from reposedm.pose import Pose
from tests.drawn import standing

SKIN = (214, 160, 130)
HAIR = (60, 40, 30)


def dressed(
    width: int = 144,
    height: int = 192,
    *,
    top: tuple[int, int, int] = (200, 40, 40),
    bottom: tuple[int, int, int] = (40, 60, 150),
    long_sleeves: bool = False,
) -> tuple[NDArray[np.uint8], Pose, NDArray[np.uint8]]:
    """uint8 (H, W, 3) photo, the pose on it, uint8 (H, W) labels; a ground of soft waves."""
    pose = standing(width, height)
    labels = np.zeros((height, width), np.uint8)
    points = np.rint(pose.points).astype(int)
    thick = max(3, round(height * 0.055))

    def limb(label: int, *joints: int, width: int = thick) -> None:
        for a, b in itertools.pairwise(joints):
            cv2.line(labels, points[a].tolist(), points[b].tolist(), label, width)

    limb(L.ARM_SKIN, 2, 3, 4)
    limb(L.ARM_SKIN, 5, 6, 7)
    limb(L.BOTTOM, 8, 9, 10, width=thick + 2)
    limb(L.BOTTOM, 11, 12, 13, width=thick + 2)
    for ankle in (10, 13):
        x, y = points[ankle].tolist()
        cv2.ellipse(labels, (x, y + thick), (thick, thick // 2), 0, 0, 360, L.SHOES, -1)
    cv2.fillPoly(labels, [points[[2, 5, 11, 8]]], L.TOP)
    limb(L.TOP, 2, 3, *((4,) if long_sleeves else ()), width=thick + 2)
    limb(L.TOP, 5, 6, *((7,) if long_sleeves else ()), width=thick + 2)
    cv2.circle(labels, points[0].tolist(), round(height * 0.07), L.HAIR, -1)
    cv2.circle(labels, (points[0] + (0, 3)).tolist(), round(height * 0.05), L.FACE, -1)
    rows, columns = np.mgrid[:height, :width]
    image = np.stack(
        (150 + 40 * np.sin(columns / 19), 170 + 30 * np.cos(rows / 17), 140 + rows / height * 60),
        -1,
    ).astype(np.uint8)
    colours = {L.HAIR: HAIR, L.TOP: top, L.BOTTOM: bottom, L.SHOES: (20, 20, 20)}
    for label in range(1, len(L.CLASSES)):
        image[labels == label] = colours.get(label, SKIN)
    return image, pose, labels


def shirt(
    width: int = 176, height: int = 224, color: tuple[int, int, int] = (30, 120, 60)
) -> NDArray:
    """A T-shirt before white."""
    image = np.full((height, width, 3), 255, np.uint8)
    outline = np.array(
        [(0.38, 0.12), (0.62, 0.12), (0.78, 0.18), (0.95, 0.4), (0.83, 0.46), (0.72, 0.32),
         (0.72, 0.86), (0.28, 0.86), (0.28, 0.32), (0.17, 0.46), (0.05, 0.4), (0.22, 0.18)]
    )  # fmt: skip
    cv2.fillPoly(image, [np.rint(outline * (width, height)).astype(int)], color)
    return image


def trousers(width: int = 160, height: int = 256) -> NDArray:
    """Long trousers before white."""
    image = np.full((height, width, 3), 255, np.uint8)
    outline = np.array(
        [
            (0.3, 0.06),
            (0.7, 0.06),
            (0.8, 0.95),
            (0.62, 0.95),
            (0.5, 0.35),
            (0.38, 0.95),
            (0.2, 0.95),
        ]
    )
    cv2.fillPoly(image, [np.rint(outline * (width, height)).astype(int)], (90, 70, 40))
    return image
