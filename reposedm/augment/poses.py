"""Where the people of a set are: joints beside the pictures, else a detector's.

Re-identification pictures are tiny and show one person from edge to edge, which detectors made for
photographs do not expect: they are enlarged, and framed with their own border colours, before
anybody is looked for. ``benchmarks/augment.py --detection`` counts what that is worth.
"""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.detect import detect_people
from reposedm.errors import PoseError
from reposedm.jobs.detect import mask_of
from reposedm.pose import Pose, parse_pose, read_pose_file, to_editor
from reposedm.pose.skeleton import L_HIP, L_SHOULDER, R_HIP, R_SHOULDER

Image = NDArray[np.uint8]

LONG_SIDE: Final = 512
"""Smaller pictures are enlarged by a whole number until their long side has this many pixels."""
FRAMED: Final = 1.5
"""Small pictures stand in the middle of a square of this many times their long side."""
NEEDED: Final = (R_SHOULDER, L_SHOULDER, R_HIP, L_HIP)
"""Joints without which a body cannot be put anywhere: the rule of Market-1501's pairs, too."""

NOBODY: Final = "nobody was found on it"
INCOMPLETE: Final = "shoulders or hips are not seen"


def scale_for(size: tuple[int, int]) -> int:
    """By which whole number a picture of (width, height) is enlarged before it is looked at."""
    return max(1, math.ceil(LONG_SIDE / max(size))) if max(size) < LONG_SIDE else 1


def enlarged(image: Image) -> tuple[Image, int, tuple[int, int]]:
    """A small picture as detectors like it, the factor, and the (x, y) its corner moved to."""
    height, width = image.shape[:2]
    scale = scale_for((width, height))
    if scale == 1:
        return image, 1, (0, 0)
    big = cv2.resize(image, (width * scale, height * scale), interpolation=cv2.INTER_CUBIC)
    side = math.ceil(FRAMED * max(big.shape[:2]))
    x, y = (side - big.shape[1]) // 2, (side - big.shape[0]) // 2
    framed = cv2.copyMakeBorder(
        big, y, side - big.shape[0] - y, x, side - big.shape[1] - x, cv2.BORDER_REPLICATE
    )
    return np.asarray(framed, np.uint8), scale, (x, y)


def find_pose(image: Image, detector: str = "mediapipe") -> Pose | None:
    """The largest person on a picture of any size, in its pixels; None if there is nobody.

    Raises:
        DetectionError: the detector cannot run.
    """
    big, scale, (x, y) = enlarged(image)
    found = detect_people(big, detector, 1)
    if not found:
        return None
    size = (image.shape[1], image.shape[0])
    return found[0].pose.transformed(1 / scale, (-x / scale, -y / scale), size).replace(extras={})


def mask_on(image: Image, pose: Pose) -> NDArray[np.float32]:
    """The alpha of the person of ``pose``, float32 (H, W) in [0, 1]; of pictures of any size.

    Where the segmenter sees nobody it is the skeleton's own outline.

    Raises:
        DetectionError: the segmenter cannot run.
    """
    big, scale, (x, y) = enlarged(image)
    height, width = image.shape[:2]
    moved = pose.transformed(scale, (x, y), (big.shape[1], big.shape[0]))
    mask = mask_of(big, moved)[y : y + height * scale, x : x + width * scale]
    if scale > 1:
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    return np.clip(mask, 0, 1).astype(np.float32)


def beside(data: bytes, size: tuple[int, int]) -> Pose:
    """The pose of a JSON file that lies beside a picture of (width, height).

    Raises:
        PoseError: it holds no pose, or one for a picture of another shape.
    """
    people = read_pose_file(data, size)
    if not people:
        raise PoseError("its file of joints holds nobody")
    pose = people[0].replace(extras={})
    if pose.size == size:
        return pose
    ratio = np.array(size) / pose.size
    if abs(ratio[0] / ratio[1] - 1) > 0.1:
        raise PoseError("its file of joints is for a picture of another shape")
    return pose.transformed(ratio, 0, size)


def is_complete(pose: Pose) -> bool:
    """Whether the pose can be a source or a target."""
    return bool(pose.drawn[list(NEEDED)].all())


def to_record(pose: Pose) -> dict[str, Any]:
    """A pose as JSON that reads back bit for bit."""
    return to_editor([pose])


def from_record(record: Any) -> Pose:
    """``to_record``, read back.

    Raises:
        PoseError: it is not one.
    """
    return parse_pose(record)
