"""HigherHRNet as a detector, with the weights that ``reposedm convert`` made."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.detect.detection import Detection
from reposedm.detect.grouping import Person, group
from reposedm.errors import DetectionError
from reposedm.pose.pose import JointState, Pose
from reposedm.pose.skeleton import FROM_COCO_17, N_JOINTS, NECK
from reposedm.weights import CONFIG, WEIGHTS, file_problem, weights_root

if TYPE_CHECKING:
    import torch

    from reposedm.models.higherhrnet import HigherHRNet

SHORT_SIDE: Final = 512
LONGEST_SIDE: Final = 2048
"""A very long photo is shrunk further, so that memory stays bounded."""

MULTIPLE: Final = 64

FLIPPED: Final = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""Where COCO's joint j comes from in a mirrored picture."""

LEAST_JOINTS: Final = 4
"""With fewer joints of COCO's 17, a group of peaks is no person to repose."""

_lock = threading.Lock()
_loaded: dict[tuple[Path, int], HigherHRNet] = {}


class Canvas(NamedTuple):
    """A photo as the network takes it.

    Attributes:
        pixels: uint8 (H, W, 3), sides multiples of 64; black right of and below the photo.
        scale: (x, y) canvas pixels per photo pixel.
    """

    pixels: NDArray[np.uint8]
    scale: tuple[float, float]


def unavailable() -> str:
    """Empty if the weights are there, else a sentence why not and the command that makes them."""
    folder = weights_root() / "higherhrnet"
    for name in (CONFIG, WEIGHTS):
        problem = file_problem(folder / name)
        if problem:
            return (
                f"its weights are {problem} ({folder / name}): get a checkpoint of HigherHRNet "
                f"(mmpose 0.x or original) and run python -m reposedm convert CHECKPOINT.pth "
                f"-o {shlex.quote(str(folder))}"
            )
    return ""


def detect(image: NDArray[np.uint8], max_people: int) -> list[Detection]:
    """People on ``image`` uint8 (H, W, 3) RGB, largest first, at most ``max_people``.

    Raises:
        WeightsError: the weights are not whole.
        DetectionError: the weights are not there, or are for other joints than COCO's.
    """
    why_not = unavailable()
    if why_not:
        raise DetectionError(f"The detector higherhrnet cannot be used, {why_not}.")
    with _lock:
        return detect_with(_network(), image, max_people)


def detect_with(
    network: HigherHRNet, image: NDArray[np.uint8], max_people: int, *, flip: bool = False
) -> list[Detection]:
    """``detect`` with a network in hand.

    Args:
        network: in evaluation mode, 17 joints.
        image: uint8 (H, W, 3) RGB.
        max_people: how many to return at most.
        flip: average with the mirrored picture's result: twice the time, a little more accurate.
    """
    canvas = fit(image)
    heat, tags = infer(network, canvas.pixels, flip=flip)
    found = people_in(heat, tags, canvas.scale, (image.shape[1], image.shape[0]))
    return found[:max_people]


def people_in(
    heat: NDArray[np.float32],
    tags: NDArray[np.float32],
    scale: tuple[float, float],
    size: tuple[int, int],
) -> list[Detection]:
    """Everybody in the maps of ``infer``, largest first.

    Args:
        heat: (17, H, W), the canvas's resolution.
        tags: (17, H, W, T).
        scale: (x, y) canvas pixels per photo pixel.
        size: (width, height) of the photo.
    """
    found = [detection_of(person, scale, size) for person in group(heat, tags)]
    people = [detection for detection in found if detection is not None]
    return sorted(people, key=lambda person: -person.area)


def fit(image: NDArray[np.uint8]) -> Canvas:
    """The photo with a short side of 512, filled with black up to multiples of 64."""
    height, width = image.shape[:2]
    factor = min(SHORT_SIDE / min(height, width), LONGEST_SIDE / max(height, width))
    new_width, new_height = (max(1, round(side * factor)) for side in (width, height))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, (new_width, new_height), interpolation=method)
    right, below = -new_width % MULTIPLE, -new_height % MULTIPLE
    pixels = np.pad(small, ((0, below), (0, right), (0, 0)))
    return Canvas(pixels, (new_width / width, new_height / height))


def infer(
    network: HigherHRNet, pixels: NDArray[np.uint8], *, flip: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heat maps (17, H, W) and tags (17, H, W, 1, or 2 with ``flip``) of a canvas (H, W, 3)."""
    import torch

    from reposedm.models.higherhrnet import imagenet_normalised

    with torch.inference_mode():
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(network.device, network.dtype)
        x = imagenet_normalised(x / 127.5 - 1)  # (1, 3, H, W)
        heat, tags = _maps(network, x)
        if flip:
            order = list(FLIPPED)
            other_heat, other_tags = (
                maps.flip(-1)[:, order] for maps in _maps(network, x.flip(-1))
            )
            heat, tags = (heat + other_heat) / 2, torch.cat((tags, other_tags))
        else:
            tags = tags[:1]
    return (
        heat[0].float().cpu().numpy(),
        tags.permute(1, 2, 3, 0).float().cpu().numpy(),
    )


def _maps(network: HigherHRNet, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Heat maps and tags, (1, 17, H, W) each, at the canvas's resolution."""
    from torch.nn.functional import interpolate

    from reposedm.models.higherhrnet import mean_heat

    coarse, fine = network(x)
    joints, size = fine.shape[1], x.shape[-2:]
    heat = interpolate(mean_heat(coarse, fine), size, mode="bilinear", align_corners=False)
    tags = interpolate(coarse[:, joints:], size, mode="bilinear", align_corners=False)
    return heat, tags


def detection_of(
    person: Person, scale: tuple[float, float], size: tuple[int, int]
) -> Detection | None:
    """A group of COCO's 17 joints on the canvas -> our 18 on the photo; None: too few joints.

    Args:
        person: canvas coordinates.
        scale: (x, y) canvas pixels per photo pixel.
        size: (width, height) of the photo.
    """
    if (person.score > 0).sum() < LEAST_JOINTS:
        return None
    coco = np.clip(person.points / np.array(scale, np.float32), 0, np.array(size, np.float32))
    joints = [5 if index is None else index for index in FROM_COCO_17]
    points, score = coco[joints], person.score[joints].copy()
    points[NECK] = coco[[5, 6]].mean(0)
    score[NECK] = person.score[[5, 6]].min()  # a neck needs both shoulders
    seen = score > 0
    points[~seen] = points[seen].mean(0)  # somewhere sensible to pick them up from
    state = np.where(seen, JointState.VISIBLE, JointState.HIDDEN).astype(np.uint8)
    pose = Pose(points, np.clip(score, 0, 1), state, size)
    missing = int(N_JOINTS - seen.sum())
    notes = (f"{missing} of {N_JOINTS} joints were not found",) if missing else ()
    return Detection(pose, _box(pose), float(np.clip(score[seen].mean(), 0, 1)), notes)


def _box(pose: Pose) -> tuple[float, float, float, float]:
    """The box of the joints that were found, with room for the head, hands and feet."""
    left, top, right, bottom = pose.box() or (0.0, 0.0, 1.0, 1.0)
    pad = 0.06 * max(right - left, bottom - top)
    width, height = pose.size
    return (
        max(left - pad, 0.0),
        max(top - 2 * pad, 0.0),  # the top of the head has no joint
        min(right + pad, float(width)),
        min(bottom + pad, float(height)),
    )


def _network() -> Any:
    """The network, loaded once per weights file."""
    from reposedm.models.higherhrnet import HigherHRNet
    from reposedm.models.safe import load_safetensors_strict

    folder = weights_root() / "higherhrnet"
    key = (folder, (folder / WEIGHTS).stat().st_mtime_ns)
    if key not in _loaded:
        network = load_safetensors_strict(HigherHRNet, folder)
        if network.config.joints != len(FLIPPED):
            raise DetectionError(
                f"The HigherHRNet in {folder} finds {network.config.joints} joints: one for COCO's "
                f"{len(FLIPPED)} is needed."
            )
        _loaded.clear()
        _loaded[key] = network
    return _loaded[key]
