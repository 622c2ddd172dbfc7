"""The library of poses: ``presets.json``, and each of them on a person's own body.

The file holds, for a square canvas of side 1 with the floor at 0.95: ``trunk`` and ``lengths`` (the
18 unforeshortened bone lengths that all presets share, see ``retarget``) and ``presets``, each with
``id``, ``title``, ``tags``, ``lift`` (height above the floor in trunks) and ``keypoints``, 18 times
``[x, y, state]``. Hidden joints have coordinates too: that is where they would be.
"""

from __future__ import annotations

import copy
import functools
import json
from importlib import resources
from typing import Any, Final

import numpy as np

from reposedm.errors import PoseError
from reposedm.pose.facing import with_side_of
from reposedm.pose.pose import Pose
from reposedm.pose.retarget import retarget

DEFAULT: Final = "standing"
_UNIT: Final = 1000
"""Side in pixels of the canvas on which presets become a ``Pose``."""


def presets_json() -> dict[str, Any]:
    """The whole library as it is in the file, for the page; a copy that the caller may change."""
    return copy.deepcopy(_library())


def preset_names() -> list[str]:
    """The ids of all presets, in the order in which they are shown."""
    return [entry["id"] for entry in _library()["presets"]]


def preset(
    name: str,
    body: Pose | None = None,
    size: tuple[int, int] | None = None,
    *,
    proportions: float = 0.0,
    keep_side: bool = True,
) -> Pose:
    """A preset on a person's own body, or in the middle of an empty frame.

    Args:
        name: one of ``preset_names()``.
        body: the person whose bone lengths and place to take; None: the library's own figure.
        size: (width, height) of the frame without a body; 512 x 512 if None.
        proportions: 0 = the body's bone lengths .. 1 = the library's, scaled to the trunk.
        keep_side: a person who is seen from behind strikes a frontal preset seen from behind.

    Raises:
        PoseError: no such preset, or the body is not usable.
    """
    entry = next((entry for entry in _library()["presets"] if entry["id"] == name), None)
    if entry is None:
        raise PoseError(f"there is no preset {name[:40]!r}; there are: {', '.join(preset_names())}")
    rows = np.array(entry["keypoints"], np.float64)
    points = (rows[:, :2] * _UNIT).astype(np.float32)
    state = rows[:, 2].astype(np.uint8)
    pose = Pose(points, (state > 0).astype(np.float32), state, (_UNIT, _UNIT))
    if body is None:
        return _framed(pose, size or (512, 512))
    if keep_side:
        pose = with_side_of(pose, body)
    lengths = [length * _UNIT for length in _library()["lengths"]]
    return retarget(pose, body, proportions=proportions, lengths=lengths, lift=entry["lift"])


def default_pose(size: tuple[int, int]) -> Pose:
    """A standing person in the middle of a frame of (width, height), for when nobody was found."""
    return preset(DEFAULT, size=size)


def _framed(pose: Pose, size: tuple[int, int]) -> Pose:
    """The library's canvas in the middle of a frame, as large as fits."""
    width, height = size
    left, _, right, _ = pose.box() or (0.0, 0.0, _UNIT, _UNIT)
    scale = min(height / _UNIT, 0.9 * width / (right - left))
    offset = (width / 2 - scale * (left + right) / 2, (height - scale * _UNIT) / 2)
    return pose.transformed(scale, offset, size)


@functools.cache
def _library() -> dict[str, Any]:
    file = resources.files("reposedm.pose").joinpath("presets.json")
    library: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return library
