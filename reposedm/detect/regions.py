"""Square, rotated regions of a photograph: how a person is handed to a network and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Image = NDArray[np.uint8]

GROW = 1.25
"""How much larger than the circle around a person the landmark network wants its region."""


@dataclass(frozen=True)
class Region:
    """A square of ``side`` pixels around ``(x, y)``, turned clockwise by ``angle`` radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def of_circle(cls, centre: NDArray[np.floating], rim: NDArray[np.floating]) -> Region:
        """The region for a circle around a person, ``rim`` being where the head points to."""
        dx, dy = (float(value) for value in rim - centre)
        side = 2 * GROW * max(math.hypot(dx, dy), 1.0)
        return cls(float(centre[0]), float(centre[1]), side, math.atan2(dx, -dy))

    @classmethod
    def of_box(cls, box: tuple[float, float, float, float], grow: float = 1.0) -> Region:
        """The upright square around a box (left, top, right, bottom)."""
        left, top, right, bottom = box
        side = max(right - left, bottom - top, 1.0) * grow
        return cls((left + right) / 2, (top + bottom) / 2, side)

    def matrix(self, size: int) -> NDArray[np.float64]:
        """2 x 3 map of the photo's pixels (centres at +0.5) to those of a crop of ``size``."""
        scale = size / self.side
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        # A region turned clockwise is set upright by turning the photo back.
        turn = np.array([[cos, sin], [-sin, cos]])
        shift = size / 2 - turn @ np.array([self.x, self.y])
        return np.hstack([turn, shift[:, None]])

    def crop(self, photo: Photo, size: int) -> Image:
        """The region as a uint8 (size, size, 3) picture; black outside the photo."""
        level, image = photo.level(self.side / size)
        matrix = shifted(self.matrix(size), level)
        return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]

    def to_photo(self, points: Points) -> Points:
        """(N, 2) points in [0, 1] of the crop's side -> pixels of the photo."""
        return cv2.transform(points[None, :, :2], _inverse(self.matrix(1)))[0].astype(np.float32)

    def uncrop(
        self, plane: NDArray[np.float32], origin: tuple[int, int], size: tuple[int, int]
    ) -> NDArray[np.float32]:
        """A crop's float32 (s, s) plane on the photo's window ``size`` (w, h) at ``origin``."""
        matrix = _inverse(self.matrix(plane.shape[0]))
        matrix[:, 2] -= origin
        return cv2.warpAffine(plane, shifted(matrix, 1.0), size, flags=cv2.INTER_CUBIC)  # type: ignore[return-value]

    def lay(self, plane: NDArray[np.float32], other: Region, size: int) -> NDArray[np.float32]:
        """A float32 (s, s) plane of this region as ``other`` sees it, (size, size)."""
        here = np.vstack([self.matrix(plane.shape[0]), [0, 0, 1]])
        there = np.vstack([other.matrix(size), [0, 0, 1]])
        matrix = np.asarray((there @ np.linalg.inv(here))[:2], np.float64)
        return cv2.warpAffine(plane, shifted(matrix, 1.0), (size, size))  # type: ignore[return-value]


class Photo:
    """A photograph with halved copies, so that a far-shrunk crop does not alias."""

    def __init__(self, image: Image) -> None:
        """``image``: uint8 (H, W, 3) RGB."""
        self._levels = [image]
        self.height, self.width = image.shape[:2]

    def level(self, shrink: float) -> tuple[float, Image]:
        """(pixels of the photo per pixel, picture) fit for shrinking the photo ``shrink`` times."""
        wanted = max(0, math.floor(math.log2(max(shrink, 1.0)) + 0.25))
        while len(self._levels) <= wanted:
            last = self._levels[-1]
            even = last[: max(last.shape[0] // 2 * 2, 1), : max(last.shape[1] // 2 * 2, 1)]
            size = (max(even.shape[1] // 2, 1), max(even.shape[0] // 2, 1))
            self._levels.append(cv2.resize(even, size, interpolation=cv2.INTER_AREA))  # type: ignore[arg-type]
        return float(2**wanted), self._levels[wanted]


def shifted(matrix: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """A map between pixel centres at +0.5, for OpenCV (centres at integers) and a halved photo."""
    linear = matrix[:, :2] * level
    shift = matrix[:, 2] + linear @ np.array([0.5, 0.5]) - 0.5
    return np.hstack([linear, shift[:, None]])


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)
