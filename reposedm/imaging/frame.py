"""The crop around a person: where a method works, and how its picture gets back into the photo.

All geometry is in whole photo pixels, so that without a native size ``crop`` and ``place`` are
copies: bit-exact. With one, both resize by the same factor in x and y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import PoseError
from reposedm.pose import Pose

Box = tuple[float, float, float, float]

ASPECT: Final = (16, 11)
"""Height : width of a crop, that of the method's 512 x 352 pictures."""
MARGIN: Final = 0.12
# What of a person lies beyond the joints, as parts of the joints' box: crown, soles, arms.
_BEYOND: Final = (0.10, 0.08, 0.06)


@dataclass(frozen=True)
class Frame:
    """A window on a photo.

    Attributes:
        box: (left, top, right, bottom) in whole photo pixels; may reach outside the photo.
        size: (width, height) in pixels of the picture that ``crop`` gives.
        photo_size: (width, height) of the photo.
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    photo_size: tuple[int, int]

    def __post_init__(self) -> None:
        """Check that the window holds a part of the photo.

        Raises:
            PoseError: it does not.
        """
        left, top, right, bottom = self.box
        inside = left < self.photo_size[0] and top < self.photo_size[1] and right > 0 and bottom > 0
        if not (inside and left < right and top < bottom and min(self.size) > 0):
            raise PoseError(f"the frame {self.box} holds no part of the photo {self.photo_size}")

    @classmethod
    def around(
        cls,
        source: Pose,
        target: Pose,
        photo_size: tuple[int, int],
        *,
        mask_box: Sequence[float] | None = None,
        native_size: tuple[int, int] | None = None,
        aspect: tuple[int, int] | None = ASPECT,
        margin: float = MARGIN,
    ) -> Frame:
        """The smallest frame that holds the person and the wanted pose with a margin.

        Args:
            source: the person's pose, in photo pixels.
            target: the wanted pose, in photo pixels; joints outside the photo extend nothing.
            photo_size: (width, height) of the photo.
            mask_box: (left, top, right, bottom) of the person's mask, if there is one; without it
                the joints' box is padded by what a body has beyond its joints.
            native_size: (width, height) to resize to, whose shape then is the frame's; None: the
                photo's own resolution.
            aspect: (height, width) the box grows to without a native size; None: it does not.
            margin: added on each side, as a part of the box's own width or height.

        Raises:
            PoseError: no mask box, and no drawn joint of either pose inside the photo.
        """
        person = mask_box if mask_box is not None else _padded(_box_inside(source, photo_size))
        boxes = [box for box in (person, _box_inside(target, photo_size)) if box is not None]
        if not boxes:
            raise PoseError(
                "No joint lies inside the photo: place the skeleton on the person, or mark more "
                "joints as visible."
            )
        left, top = (min(box[axis] for box in boxes) for axis in (0, 1))
        right, bottom = (max(box[axis] for box in boxes) for axis in (2, 3))
        width = max(1.0, (right - left) * (1 + 2 * margin))
        height = max(1.0, (bottom - top) * (1 + 2 * margin))
        shape = (native_size[1], native_size[0]) if native_size else aspect
        columns, rows = _grown(width, height, shape)
        x, y = round((left + right - columns) / 2), round((top + bottom - rows) / 2)
        box = (x, y, x + columns, y + rows)
        return cls(box, native_size or (columns, rows), photo_size)

    @property
    def scale(self) -> tuple[float, float]:
        """Frame pixels per photo pixel, in x and y."""
        left, top, right, bottom = self.box
        return self.size[0] / (right - left), self.size[1] / (bottom - top)

    @property
    def is_native(self) -> bool:
        """Whether the frame has the photo's resolution: nothing is resampled."""
        return self.scale == (1.0, 1.0)

    def crop(
        self, image: NDArray[Any], fill: Sequence[int] | int | str = "edge"
    ) -> NDArray[np.uint8]:
        """The window's part of an image.

        Args:
            image: uint8 (H, W), (H, W, 3) or straight-alpha (H, W, 4), of the photo's size.
            fill: for what lies outside the photo: "edge" repeats its border, or a colour.

        Returns:
            uint8 of ``size``, with the image's channels; its own memory.
        """
        window = self._window(image, fill)
        if self.is_native:
            return window
        has_alpha = window.ndim == 3 and window.shape[2] == 4
        return (_resized_rgba if has_alpha else _resized)(window, self.size)

    def crop_mask(self, mask: NDArray[Any]) -> NDArray[np.float32]:
        """The window's part of a (H, W) mask in [0, 1]; outside the photo it is 0."""
        window = self._window(np.asarray(mask, np.float32), 0)
        return window if self.is_native else np.clip(_resized(window, self.size), 0, 1)

    def place(
        self, rgba: NDArray[np.uint8], photo_size: tuple[int, int] | None = None
    ) -> NDArray[np.uint8]:
        """A frame's RGBA picture on a transparent canvas of the photo's size.

        Args:
            rgba: uint8 (h, w, 4), straight alpha, of ``size``.
            photo_size: (width, height) of the canvas; None: the photo's.

        Returns:
            uint8 (H, W, 4), straight alpha; 0 outside the window.
        """
        left, top, right, bottom = self.box
        width, height = photo_size or self.photo_size
        if rgba.shape != (self.size[1], self.size[0], 4):
            raise ValueError(f"a frame of {self.size} cannot place a picture of {rgba.shape}")
        window = rgba if self.is_native else _resized_rgba(rgba, (right - left, bottom - top))
        canvas = np.zeros((height, width, 4), np.uint8)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        canvas[y0:y1, x0:x1] = window[y0 - top : y1 - top, x0 - left : x1 - left]
        return canvas

    def to_frame(self, pose: Pose) -> Pose:
        """A pose on the photo as one on the frame's picture."""
        scale = np.array(self.scale)
        return pose.transformed(scale, -scale * self.box[:2], self.size)

    def to_photo(self, pose: Pose) -> Pose:
        """A pose on the frame's picture as one on the photo."""
        return pose.transformed(1 / np.array(self.scale), self.box[:2], self.photo_size)

    def _window(self, image: NDArray[Any], fill: Sequence[int] | int | str) -> NDArray[Any]:
        """The box's pixels at the photo's resolution, as a copy."""
        if image.shape[1::-1] != self.photo_size:
            raise ValueError(f"a frame on {self.photo_size} cannot crop {image.shape[1::-1]}")
        left, top, right, bottom = self.box
        rows, columns = np.arange(top, bottom), np.arange(left, right)
        height, width = image.shape[:2]
        window = image[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
        if fill != "edge":
            window[(rows < 0) | (rows >= height)] = fill
            window[:, (columns < 0) | (columns >= width)] = fill
        return np.ascontiguousarray(window)


def mask_box(mask: NDArray[Any], threshold: float = 0.5) -> tuple[int, int, int, int] | None:
    """(left, top, right, bottom) of a (H, W) mask in [0, 1] where it is at least ``threshold``."""
    inside = np.asarray(mask) >= threshold
    columns, rows = np.flatnonzero(inside.any(0)), np.flatnonzero(inside.any(1))
    if not len(columns):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _box_inside(pose: Pose, photo_size: tuple[int, int]) -> Box | None:
    """Box of the drawn joints that lie inside the photo."""
    inside = pose.drawn & ((pose.points >= 0) & (pose.points <= photo_size)).all(1)
    if not inside.any():
        return None
    points = pose.points[inside].astype(float)
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return left, top, right, bottom


def _padded(box: Box | None) -> Box | None:
    if box is None:
        return None
    left, top, right, bottom = box
    tall = max(bottom - top, right - left)  # of a lying person, the length
    crown, soles, arms = (part * tall for part in _BEYOND)
    return left - arms, top - crown, right + arms, bottom + soles


def _grown(width: float, height: float, shape: tuple[int, int] | None) -> tuple[int, int]:
    """The smallest whole (width, height) of the (height, width) ratio that holds both."""
    if shape is None:
        return math.ceil(width), math.ceil(height)
    divisor = math.gcd(*shape)
    rows, columns = shape[0] // divisor, shape[1] // divisor
    unit = math.ceil(max(width / columns, height / rows))
    return unit * columns, unit * rows


def _resized(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Resize to (width, height): area averages down, cubic up. Same dtype."""
    down = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if down else cv2.INTER_CUBIC)


def _resized_rgba(rgba: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize straight-alpha RGBA by way of premultiplied: no fringe of hidden colours."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    layers = np.concatenate((rgba[..., :3] * alpha, alpha), axis=2)
    layers = _resized(layers, size)
    alpha = layers[..., 3:]  # cubic overshoots; colour and alpha alike, so divide before clipping
    color = layers[..., :3] / np.maximum(alpha, 1 / 512)
    out = np.concatenate((color, alpha * 255), axis=2)
    return np.rint(out).clip(0, 255).astype(np.uint8)
