"""Who is on a photo, and which pixels are theirs; remembered for the photos used last.

The editor, the live preview, the final picture and the command line all ask about the same photo,
and a detector takes a second: answers are kept by the photo's content, for a few photos.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.detect import Detection, detect_people, person_mask
from reposedm.detect.limbs import draw_body, unit
from reposedm.errors import DetectionError
from reposedm.pose import Pose

Value = TypeVar("Value")
REMEMBERED: Final = 4
SEEN: Final = 128
"""A mask that nowhere reaches this value shows nobody."""
GUESSED_GROWTH: Final = 1.3
"""How much wider than bare limbs a guessed outline is: clothes and hair."""

NOBODY: Final = "Nobody was found on this photo: choose another one, or place the skeleton yourself"


class Recent(Generic[Value]):
    """A small thread-safe memory of the values used last.

    A value is made once even when several threads ask for it together; different keys are made at
    the same time.
    """

    def __init__(self, size: int) -> None:
        """Remember ``size`` values."""
        self._size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of ``key``, made if it is not remembered; what ``make`` raises is raised."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            try:
                value = make()
                with self._lock:
                    self._values[key] = value
                    while len(self._values) > self._size:
                        self._values.popitem(last=False)
            finally:
                with self._lock:
                    self._making.pop(key, None)
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    def __len__(self) -> int:
        """How many values are remembered."""
        return len(self._values)


_people: Recent[list[Detection]] = Recent(REMEMBERED)
_masks: Recent[tuple[NDArray[np.uint8], bool]] = Recent(REMEMBERED)


def photo_key(image: NDArray[np.uint8]) -> str:
    """A name for a picture by its content; about 2 ms a megapixel."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def pose_key(pose: Pose) -> bytes:
    """A name for a pose by everything that is drawn of it."""
    return pose.points.tobytes() + pose.state.tobytes() + repr(pose.size).encode()


def people_on(image: NDArray[np.uint8], backend: str = "mediapipe") -> list[Detection]:
    """Everybody on a photo, largest first; at least one.

    Args:
        image: uint8 (H, W, 3) RGB, upright.
        backend: a name from ``reposedm.detect.backends()``.

    Raises:
        DetectionError: nobody is there, or the detector cannot run.
    """
    found = _people.get((photo_key(image), backend), lambda: detect_people(image, backend))
    if not found:
        raise DetectionError(f"{NOBODY}.")
    return list(found)


def mask_of(image: NDArray[np.uint8], pose: Pose) -> NDArray[np.float32]:
    """The alpha of the person of ``pose``, float32 (H, W) in [0, 1], in steps of 1/255.

    Where the segmenter sees nobody (a drawing, a statue with a skeleton placed by hand) it is the
    skeleton's own outline: see ``is_guessed``.

    Raises:
        DetectionError: the segmenter cannot run.
    """
    return _kept_mask(image, pose)[0].astype(np.float32) / np.float32(255)


def is_guessed(image: NDArray[np.uint8], pose: Pose) -> bool:
    """Whether the outline of ``mask_of`` was guessed from the skeleton; errors as there."""
    return _kept_mask(image, pose)[1]


def _kept_mask(image: NDArray[np.uint8], pose: Pose) -> tuple[NDArray[np.uint8], bool]:
    key = (photo_key(image), pose_key(pose))
    return _masks.get(key, lambda: _seen_or_guessed(image, pose))


def _seen_or_guessed(image: NDArray[np.uint8], pose: Pose) -> tuple[NDArray[np.uint8], bool]:
    mask = np.rint(np.clip(person_mask(image, pose), 0, 1) * 255).astype(np.uint8)
    if mask.max() >= SEEN:
        return mask, False
    height, width = image.shape[:2]
    outline = draw_body(pose, (height, width), GUESSED_GROWTH)
    blur = 2 * max(1, round(0.02 * unit(pose))) + 1
    return np.asarray(cv2.blur(outline, (blur, blur)), np.uint8), True


def forget_photos() -> None:
    """Forget every photo: for "delete my data", and for tests."""
    _people.clear()
    _masks.clear()
