"""The one door to the detectors: which there are, and the people on a photograph."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reposedm.detect import higherhrnet_backend
from reposedm.detect.detection import Detection
from reposedm.errors import DetectionError

_NEEDS = {"mediapipe": "mediapipe", "openpose": "controlnet_aux", "higherhrnet": "torch"}
"""Back end -> the package that it needs; the first is the default."""


def backends() -> dict[str, str]:
    """Every back end -> "" if it can be used, or a sentence why not and what to do.

    Nothing heavy is imported, and nothing is fetched: openpose may still need its weights.
    """
    return {name: _problem(name, package) for name, package in _NEEDS.items()}


def detect_people(
    image: NDArray[np.uint8], backend: str = "mediapipe", max_people: int = 20
) -> list[Detection]:
    """People on a photograph, largest first; an empty list if there is nobody.

    Args:
        image: uint8 (H, W, 3) RGB, upright.
        backend: a key of ``backends()``.
        max_people: how many to return at most, 1 to 100.

    Raises:
        DetectionError: no such back end, or it cannot run here; says which other one can.
    """
    _check(image)
    if not 1 <= max_people <= 100:
        raise DetectionError(f"max_people must be 1 to 100, not {max_people}")
    if backend not in _NEEDS:
        raise DetectionError(f"there is no detector {backend!r}: choose {' or '.join(_NEEDS)}")
    problem = backends()[backend]
    if problem:
        raise DetectionError(f"The detector {backend} cannot be used, {problem}.{_offer(backend)}")
    return _load(backend)(image, max_people)


def _load(backend: str) -> Callable[[NDArray[np.uint8], int], list[Detection]]:
    if backend == "openpose":
        from reposedm.detect.openpose_backend import detect as openpose

        return openpose
    if backend == "higherhrnet":
        return higherhrnet_backend.detect
    from reposedm.detect.mediapipe_backend import detect as mediapipe

    return mediapipe


def _problem(backend: str, package: str) -> str:
    if not _installed(package):
        return f"the package {package} is not installed: run pip install -r requirements.txt"
    return higherhrnet_backend.unavailable() if backend == "higherhrnet" else ""


def _offer(backend: str) -> str:
    others = [name for name, problem in backends().items() if not problem and name != backend]
    return f" You can use {others[0]} instead." if others else ""


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _check(image: NDArray[np.uint8]) -> None:
    shape = getattr(image, "shape", None)
    if getattr(image, "dtype", None) != np.uint8 or shape is None or len(shape) != 3:
        raise DetectionError("a photo for detection must be uint8 of shape (height, width, 3)")
    if shape[2] != 3 or min(shape[:2]) < 8:
        raise DetectionError(f"a photo of shape {shape} cannot be searched for people")
