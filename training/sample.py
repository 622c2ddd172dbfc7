"""One training pair: the same person in two pictures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import RePoseError
from reposedm.pose import Pose


class DataError(RePoseError):
    """A data set on disk is absent, incomplete, or not what it should be."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A source and a target picture of one person, and what is known of them.

    Attributes:
        source_image: uint8 (H, W, 3) RGB.
        target_image: uint8 (H, W, 3) RGB, of the same size.
        source_pose: in pixels of the source picture.
        target_pose: in pixels of the target picture.
        source_name: the picture's id in its data set.
        target_name: the picture's id in its data set.
        person: who it is, an id in the data set.
        caption: what the target shows in words, where the data set says it.
        people: everyone on the target, ``target_pose`` first; empty: only that one.
        mapping: float32 (2, h, w), where the target looks in the source: offsets (x, y) in cells
            of its own grid, as in ``reposedm.models.mapping``; any h, w of the pictures' shape.
        seen: float32 (h, w) in [0, 1], 1 where the mapping is exact, 0 where the source does not
            show that point, or nothing is known of it. Comes with ``mapping``.
        source_alpha: uint8 (H, W), 255 on the person.
        target_alpha: uint8 (H, W), 255 on the person.

    Raises:
        DataError: pictures, poses and maps do not fit together.
    """

    source_image: NDArray[np.uint8]
    target_image: NDArray[np.uint8]
    source_pose: Pose
    target_pose: Pose
    source_name: str
    target_name: str
    person: str
    caption: str = ""
    people: tuple[Pose, ...] = ()
    mapping: NDArray[np.float32] | None = None
    seen: NDArray[np.float32] | None = None
    source_alpha: NDArray[np.uint8] | None = None
    target_alpha: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        """Check what every later step relies on."""
        shape = self.source_image.shape
        if len(shape) != 3 or shape[2] != 3 or self.target_image.shape != shape:
            raise DataError(f"{self.pair}: the pictures are {shape} and {self.target_image.shape}")
        for pose in (self.source_pose, self.target_pose, *self.people):
            if pose.size != self.size[::-1]:
                raise DataError(f"{self.pair}: a pose is on {pose.size}, not on {self.size[::-1]}")
        for alpha in (self.source_alpha, self.target_alpha):
            if alpha is not None and alpha.shape != shape[:2]:
                raise DataError(f"{self.pair}: an alpha is {alpha.shape}, not {shape[:2]}")
        shapes = tuple(
            None if plane is None else plane.shape for plane in (self.mapping, self.seen)
        )
        if shapes != (None, None) and (None in shapes or shapes[0] != (2, *(shapes[1] or ()))):
            raise DataError(f"{self.pair}: a mapping (2, h, w) needs what it sees, (h, w)")

    @property
    def pair(self) -> str:
        """The pair's id: ``source->target``."""
        return f"{self.source_name}->{self.target_name}"

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of both pictures."""
        return self.source_image.shape[0], self.source_image.shape[1]

    def replace(self, **changes: Any) -> Sample:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)
