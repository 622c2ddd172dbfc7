"""The landmarks of a garment alone on a plain ground, and the pose that they make of it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import DetectionError, ImageError
from reposedm.garments.ground import product_alpha
from reposedm.garments.joints import LANDMARKS, OF_REGION, pose_of_landmarks
from reposedm.imaging.frame import Frame, mask_box
from reposedm.pose import Pose
from reposedm.weights import CONFIG, WEIGHTS, file_problem, weights_root

if TYPE_CHECKING:
    from reposedm.models.landmarks import GarmentLandmarks

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

SIZE: Final = (88, 128)
"""(width, height) of a garment that the network looks at."""
_MARGIN: Final = 0.08
_KNOWN: Final = 0.5
"""From this probability on the garment has a landmark."""

_lock = threading.Lock()
_loaded: dict[tuple[Path, int], GarmentLandmarks] = {}


def landmarks_unavailable() -> str:
    """Empty if the landmark network can be used, else a sentence why not and what to do."""
    for name in (CONFIG, WEIGHTS):
        file = weights_root() / "landmarks" / name
        problem = file_problem(file)
        if problem:
            return (
                f"its weights are {problem} ({file}): train them with python -m training.train "
                "--config landmarks, or set REPOSEDM_WEIGHTS to a folder that has them"
            )
    return ""


def garment_pose(image: Image, region: str) -> Pose:
    """The joints that a garment alone shows, all others hidden; scores are the network's.

    Args:
        image: uint8 (H, W, 3) RGB, one garment on a plain ground.
        region: "top", "outerwear", "dress" or "bottom".

    Returns:
        In pixels of the picture.

    Raises:
        DetectionError: the network cannot run here, the region has no landmarks, or those that it
            needs were not found.
        ImageError: no garment on a plain ground.
    """
    if region not in OF_REGION:
        return pose_of_landmarks(
            np.zeros((len(LANDMARKS), 2), np.float32), np.zeros(len(LANDMARKS), bool), region,
            (image.shape[1], image.shape[0]),
        )  # fmt: skip
    points, chance = find_landmarks(image)
    size = (image.shape[1], image.shape[0])
    return pose_of_landmarks(points, chance >= _KNOWN, region, size)


def find_landmarks(image: Image, alpha: Plane | None = None) -> tuple[Plane, Plane]:
    """Where the landmarks are.

    Args:
        image: uint8 (H, W, 3) RGB, one garment on a plain ground.
        alpha: float32 (H, W) in [0, 1], the garment; None: found here.

    Returns:
        float32 (16, 2), pixels, in the order of ``joints.LANDMARKS``, and float32 (16,) in [0, 1],
        how likely the garment has each.

    Raises:
        DetectionError: the network cannot run here.
        ImageError: no garment on a plain ground.
    """
    problem = landmarks_unavailable()
    if problem:
        raise DetectionError(f"The landmarks of a garment cannot be found, {problem}.")
    import torch

    from reposedm.models.landmarks import places

    box = mask_box(garment_alpha(image) if alpha is None else alpha)
    if box is None:
        raise ImageError("No garment is to be seen on the garment photo: choose another one.")
    frame = _frame(box, (image.shape[1], image.shape[0]))
    crop = frame.crop(image).transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
    with _lock, torch.inference_mode():
        maps, known = _network()(torch.from_numpy(crop))
        spots, _ = places(maps)
    scale = np.array(frame.scale, np.float32)
    points = spots[0].numpy() / scale + np.array(frame.box[:2], np.float32)
    return points.astype(np.float32), known[0].sigmoid().numpy()


def garment_alpha(image: Image) -> Plane:
    """The alpha of a garment before a plain ground, float32 (H, W) in [0, 1].

    Raises:
        ImageError: the picture is empty, or its ground is not plain.
    """
    return product_alpha(image)


def _frame(box: tuple[int, int, int, int], photo: tuple[int, int]) -> Frame:
    """The network's frame round a garment's box."""
    left, top, right, bottom = box
    across = max((right - left) / SIZE[0], (bottom - top) / SIZE[1]) * (1 + 2 * _MARGIN)
    width, height = max(1, round(SIZE[0] * across)), max(1, round(SIZE[1] * across))
    x, y = round((left + right - width) / 2), round((top + bottom - height) / 2)
    return Frame((x, y, x + width, y + height), SIZE, photo)


def _network() -> GarmentLandmarks:
    """The network, read again when its file has changed."""
    from reposedm.models.landmarks import GarmentLandmarks
    from reposedm.models.safe import load_safetensors_strict

    folder = weights_root() / "landmarks"
    key = (folder, (folder / WEIGHTS).stat().st_mtime_ns)
    if key not in _loaded:
        _loaded.clear()
        network = load_safetensors_strict(GarmentLandmarks, folder)
        if network.config.landmarks != len(LANDMARKS):
            raise DetectionError(
                f"the network in {folder} finds {network.config.landmarks} landmarks, not "
                f"{len(LANDMARKS)}"
            )
        _loaded[key] = network
    return _loaded[key]
