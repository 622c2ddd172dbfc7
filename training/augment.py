"""Augmentation of a pair: mirror, enlarge and shift, recolour. All drawn from one generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import SettingsError
from reposedm.pose import Pose, hide_outside
from training.sample import Sample

Move = tuple[float, float, float]
"""Scale and shift (x, y) in pixels: a point p goes to ``scale * p - shift``."""


@dataclass(frozen=True)
class Augmentation:
    """How far samples are changed.

    Attributes:
        mirror: probability that both pictures are mirrored, left and right exchanged.
        enlarge: each picture is enlarged by up to this part, on its own, and cropped to its size.
        color: strength of the change of light and colour, the same in both pictures; 0 is none.

    Raises:
        SettingsError: a number is outside its range.
    """

    mirror: float = 0.5
    enlarge: float = 0.05
    color: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (0 <= self.mirror <= 1 and 0 <= self.enlarge <= 0.5 and 0 <= self.color <= 3):
            raise SettingsError(
                "augmentation: mirror must be 0 to 1, enlarge 0 to 0.5, color 0 to 3, not "
                f"{self.mirror}, {self.enlarge} and {self.color}"
            )

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """The changed sample; every call takes as many numbers from the generator."""
        chance = rng.random(7)
        colors = rng.uniform(-1, 1, 7)
        if chance[0] < self.mirror:
            sample = mirrored(sample)
        if self.enlarge:
            sample = moved(sample, self._move(chance[1:4], sample), self._move(chance[4:], sample))
        if self.color:
            sample = recolored(sample, colors * self.color)
        return sample

    def _move(self, chance: NDArray[np.float64], sample: Sample) -> Move:
        height, width = sample.size
        scale = 1 + self.enlarge * chance[0]
        return scale, (scale - 1) * width * chance[1], (scale - 1) * height * chance[2]


def mirrored(sample: Sample) -> Sample:
    """Both pictures mirrored; the joints' left and right exchanged; the mapping with them."""
    changes: dict[str, Any] = {
        name: value[:, ::-1].copy()
        for name in ("source_image", "target_image", "source_alpha", "target_alpha", "seen")
        if (value := getattr(sample, name)) is not None
    }
    if sample.mapping is not None:
        changes["mapping"] = (
            sample.mapping[:, :, ::-1] * np.array((-1, 1), np.float32)[:, None, None]
        )
    return sample.replace(
        **changes,
        source_pose=sample.source_pose.mirrored(),
        target_pose=sample.target_pose.mirrored(),
        people=tuple(person.mirrored() for person in sample.people),
    )


def moved(sample: Sample, source: Move, target: Move) -> Sample:
    """Each picture enlarged and shifted on its own; joints that leave it become hidden."""
    changes: dict[str, Any] = {}
    for side, move in (("source", source), ("target", target)):
        changes[f"{side}_image"] = _warped(getattr(sample, f"{side}_image"), move)
        if (alpha := getattr(sample, f"{side}_alpha")) is not None:
            changes[f"{side}_alpha"] = _warped(alpha, move)
        changes[f"{side}_pose"] = _pose(getattr(sample, f"{side}_pose"), move)
    changes["people"] = tuple(_pose(person, target) for person in sample.people)
    if sample.mapping is not None and sample.seen is not None:
        changes["mapping"], changes["seen"] = _mapping(sample, source, target)
    return sample.replace(**changes)


def recolored(sample: Sample, change: NDArray[np.float64]) -> Sample:
    """Light and colour changed alike in both pictures: clothes stay the same clothes.

    Args:
        sample: the pair.
        change: see ``color_change``.
    """
    picture = color_change(change)
    return sample.replace(
        source_image=picture(sample.source_image), target_image=picture(sample.target_image)
    )


def color_change(
    change: NDArray[np.float64],
) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """A change of light and colour of pictures uint8 (H, W, 3).

    Args:
        change: (7,): gamma, contrast, brightness, red, green, blue, saturation; 0 is none.
    """
    levels = np.arange(256) / 255
    levels = levels ** np.exp(0.2 * change[0])
    levels = (levels - 0.5) * (1 + 0.15 * change[1]) + 0.5 + 0.06 * change[2]
    table = levels[:, None] * (1 + 0.06 * change[3:6]) * 255  # 256,3
    table = np.rint(table.clip(0, 255)).astype(np.uint8)[None]
    saturation = np.float32(1 + 0.25 * change[6])

    def picture(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pixels = cv2.LUT(np.ascontiguousarray(pixels), table).astype(np.float32)
        grey = pixels @ np.array((0.299, 0.587, 0.114), np.float32)
        pixels = grey[..., None] + saturation * (pixels - grey[..., None])
        return np.rint(pixels.clip(0, 255)).astype(np.uint8)

    return picture


def _warped(pixels: NDArray[np.uint8], move: Move) -> NDArray[np.uint8]:
    scale, x, y = move
    middle = 0.5 * scale - 0.5  # OpenCV's pixel centres are at 0
    matrix = np.array([[scale, 0, middle - x], [0, scale, middle - y]])
    size = (pixels.shape[1], pixels.shape[0])
    return cv2.warpAffine(
        pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )  # type: ignore[return-value]


def _pose(pose: Pose, move: Move) -> Pose:
    scale, x, y = move
    return hide_outside(pose.transformed(scale, (-x, -y), pose.size))


def _mapping(
    sample: Sample, source: Move, target: Move
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mapping between the moved pictures, on the same grid.

    The nearest cell of the old grid decides: between two limbs a mean would belong to neither.
    """
    assert sample.mapping is not None and sample.seen is not None  # for the type checker
    height, width = sample.seen.shape
    cell = np.array((width / sample.size[1], height / sample.size[0]))
    rows, columns = np.mgrid[:height, :width]
    here = np.stack((columns, rows), -1) + 0.5  # h,w,2
    before = (here + np.array(target[1:]) * cell) / target[0]
    column = np.clip(before[..., 0].astype(int), 0, width - 1)
    row = np.clip(before[..., 1].astype(int), 0, height - 1)
    looked = before + sample.mapping[:, row, column].transpose(1, 2, 0)
    looked = looked * source[0] - np.array(source[1:]) * cell
    inside = ((looked > 0) & (looked < (width, height))).all(-1)
    mapping = (looked - here).transpose(2, 0, 1).astype(np.float32)
    return mapping, np.where(inside, sample.seen[row, column], 0).astype(np.float32)
