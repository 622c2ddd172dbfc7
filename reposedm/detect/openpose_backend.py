"""OpenPose's own network through controlnet-aux, for who has its weights.

The weights (209 MB, CMU's licence: not for commercial use) are fetched once from the Hugging Face
Hub into its cache. Only tensors are read from the file, and only the body network is built.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reposedm.detect.detection import Detection
from reposedm.errors import DetectionError, WeightsError
from reposedm.pose.pose import JointState, Pose
from reposedm.pose.skeleton import N_JOINTS

REPOSITORY = "lllyasviel/Annotators"
FILE = "body_pose_model.pth"

_TIMEOUT = 10.0
"""Seconds until an unreachable Hub counts as unreachable."""

_lock = threading.Lock()
_loaded: dict[Path, Any] = {}


def detect(image: NDArray[np.uint8], max_people: int) -> list[Detection]:
    """People on ``image`` uint8 (H, W, 3) RGB, largest first, at most ``max_people``.

    Raises:
        DetectionError: controlnet-aux or the weights are missing.
        WeightsError: the weights file is not what its name says.
    """
    with _lock:
        network = _network(weights_file())
        # OpenPose takes BGR; it works at 184 pixels of height whatever it gets.
        candidates, people = network(np.ascontiguousarray(image[:, :, ::-1]))
    height, width = image.shape[:2]
    found = [
        detection
        for person in people
        if (detection := _detection(np.asarray(candidates), person, (width, height))) is not None
    ]
    return sorted(found, key=lambda person: -person.area)[:max_people]


def weights_file() -> Path:
    """The weights in the Hub's cache, fetched if they are not there yet.

    Raises:
        DetectionError: they are not there and cannot be fetched.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(REPOSITORY, FILE, local_files_only=True))
    except LocalEntryNotFoundError:
        pass  # not fetched yet
    if _offline():
        raise DetectionError(_how_to_fetch("downloads are switched off (HF_HUB_OFFLINE)"))
    try:
        return Path(hf_hub_download(REPOSITORY, FILE, etag_timeout=_TIMEOUT))
    except Exception as error:  # whatever the network, a proxy or the disk says
        raise DetectionError(_how_to_fetch(f"they could not be fetched now ({error})")) from error


def _offline() -> bool:
    """Whether the user forbade downloads, now and not only when the Hub's library was loaded."""
    from huggingface_hub import constants

    wish = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return wish or bool(constants.HF_HUB_OFFLINE)


def _how_to_fetch(why: str) -> str:
    return (
        f"The detector openpose needs {FILE} from {REPOSITORY} on the Hugging Face Hub: {why}. "
        f"Run `hf download {REPOSITORY} {FILE}` once with a connection, "
        "or choose the detector mediapipe"
    )


def _network(file: Path) -> Any:
    if file not in _loaded:
        _loaded.clear()
        _loaded[file] = _build(file)
    return _loaded[file]


def _build(file: Path) -> Any:
    """controlnet-aux's ``Body`` with the tensors of ``file``; nothing in it is executed."""
    import torch

    try:
        from controlnet_aux.open_pose.body import Body
        from controlnet_aux.open_pose.model import bodypose_model
        from controlnet_aux.open_pose.util import transfer
    except ImportError as error:
        raise DetectionError(
            f"The detector openpose needs the package controlnet-aux ({error}): "
            "install the requirements again, or choose the detector mediapipe"
        ) from error
    model = bodypose_model()
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
        model.load_state_dict(transfer(model, tensors))
    except Exception as error:  # a pickle with code, a cut file, other shapes: all the same to us
        raise WeightsError(
            f"{file.name} does not hold OpenPose's body network "
            f"({type(error).__name__}): delete it and fetch it again"
        ) from error
    body = Body.__new__(Body)  # its constructor would read the file once more, unrestricted
    body.model = model.eval()
    return body


def _detection(
    candidates: NDArray[np.floating], person: NDArray[np.floating], size: tuple[int, int]
) -> Detection | None:
    """One row of OpenPose's table (18 indices into the candidates, score, parts)."""
    points = np.zeros((N_JOINTS, 2), np.float32)
    score = np.zeros(N_JOINTS, np.float32)
    state = np.full(N_JOINTS, JointState.HIDDEN, np.uint8)
    for joint, index in enumerate(np.asarray(person[:N_JOINTS]).astype(int)):
        if index >= 0:
            points[joint] = candidates[index, :2] + 0.5
            score[joint] = candidates[index, 2]
            state[joint] = JointState.VISIBLE
    seen = state == JointState.VISIBLE
    if seen.sum() < 2:
        return None
    points[~seen] = points[seen].mean(0)  # somewhere sensible to pick them up from
    pose = Pose(points, np.clip(score, 0, 1), state, size)
    (left, top), (right, bottom) = points[seen].min(0), points[seen].max(0)
    pad = 0.06 * max(right - left, bottom - top)
    box = (
        max(float(left - pad), 0.0),
        max(float(top - 2 * pad), 0.0),  # the top of the head has no joint
        min(float(right + pad), float(size[0])),
        min(float(bottom + pad), float(size[1])),
    )
    missing = int(N_JOINTS - seen.sum())
    notes = (f"{missing} of {N_JOINTS} joints were not found",) if missing else ()
    confidence = float(np.clip(score[seen].mean(), 0, 1))
    return Detection(pose, box, confidence, notes)
