"""The live preview while a joint is dragged: one prepared puppet per photo and person.

Does not take the accelerator: it answers while a picture is being made.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError, PoseError
from reposedm.imaging import over
from reposedm.imaging.backdrop import lift_shadow
from reposedm.imaging.fill import fill_background
from reposedm.jobs.detect import Recent, mask_of, photo_key, pose_key
from reposedm.jobs.puppets import forget_puppets, puppet_of, resized
from reposedm.pose import Pose

if TYPE_CHECKING:
    from reposedm.pipelines.preview import Puppet

Image = NDArray[np.uint8]
Value = TypeVar("Value")
BySession = OrderedDict[str, tuple[int, Value]]
"""Per session the number of a call, and what it asked for or got."""

PUPPETS: Final = 4
SESSIONS: Final = 16
MAX_SIDE: Final = 640
"""Long side of a live picture, in pixels: what a 2-core computer warps ten times a second."""


@dataclass
class _Prepared:
    """A photo at preview size, taken apart; and per session the newest pose asked for."""

    puppet: Puppet
    background: Image
    bare: Image
    """The background without the shadow either: for poses whose feet leave their place."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    newest: BySession[Pose] = field(default_factory=OrderedDict)
    shown: BySession[Image] = field(default_factory=OrderedDict)


class LivePreview:
    """Renders the preview engine's picture in a small size, in about a tenth of a second.

    One object serves all sessions and threads. Within a session the newest pose wins: a call that
    had to wait while newer ones arrived renders the newest pose, once, and all of them return it.
    """

    def __init__(self, puppets: int = PUPPETS) -> None:
        """Keep that many photos prepared."""
        self._prepared: Recent[_Prepared] = Recent(puppets)
        self._lock = threading.Lock()
        self._calls = 0

    def render(
        self,
        image: Image,
        source_pose: Pose,
        target_pose: Pose,
        max_side: int = MAX_SIDE,
        *,
        source_mask: NDArray[np.float32] | None = None,
        session: str = "",
    ) -> Image:
        """The photo with its person in the wanted pose.

        The first call for a photo prepares it, which takes about a second.

        Args:
            image: uint8 (H, W, 3) RGB, the photo.
            source_pose: the person's pose on it, in its pixels.
            target_pose: the wanted pose, in its pixels.
            max_side: long side of the result in pixels, 64 .. 2048; never more than the photo's.
            source_mask: float32 (H, W), the person's alpha; None: segmented here. Looked at once
                per photo and pose.
            session: who asks; "newest wins" only within one.

        Returns:
            uint8 (h, w, 3) RGB.

        Raises:
            PoseError: a pose that cannot be used, or of another photo.
            ImageError: not a picture, or an impossible size.
            DetectionError: the segmenter cannot run.
        """
        _check(image, source_pose, target_pose, max_side)
        prepared = self.prepare(image, source_pose, max_side, source_mask=source_mask)
        height, width = prepared.background.shape[:2]
        wanted = resized(target_pose, (width, height))
        with self._lock:
            self._calls += 1
            call = self._calls
            _put(prepared.newest, session, (call, wanted))
        with prepared.lock:
            done = prepared.shown.get(session)
            if done is not None and done[0] >= call:
                return done[1].copy()
            with self._lock:
                newest, wanted = prepared.newest.get(session, (call, wanted))
            picture = over(_behind(prepared, wanted), prepared.puppet.warp(wanted))
            _put(prepared.shown, session, (newest, picture))
        return picture.copy()

    def prepare(
        self,
        image: Image,
        source_pose: Pose,
        max_side: int = MAX_SIDE,
        *,
        source_mask: NDArray[np.float32] | None = None,
    ) -> _Prepared:
        """Take a photo apart before the first drag; arguments and errors as of ``render``."""
        key = (photo_key(image), pose_key(source_pose), max_side)
        return self._prepared.get(key, lambda: _prepared(image, source_pose, max_side, source_mask))

    def clear(self) -> None:
        """Forget every photo: for "delete my data"."""
        self._prepared.clear()
        forget_puppets()

    def __len__(self) -> int:
        """How many photos are prepared."""
        return len(self._prepared)


def _prepared(
    image: Image, source_pose: Pose, max_side: int, mask: NDArray[np.float32] | None
) -> _Prepared:
    if mask is None:
        mask = mask_of(image, source_pose)
    scale = min(1.0, max_side / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    if scale < 1:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    pose = resized(source_pose, size)
    puppet = puppet_of(image, pose, mask)
    background = fill_background(image, mask)
    return _Prepared(puppet, background, lift_shadow(background, mask))


def _behind(prepared: _Prepared, wanted: Pose) -> Image:
    """The background with as much of the person's shadow as their feet stay in it."""
    moved = prepared.puppet.feet_moved(wanted)
    if moved <= 0:
        return prepared.background
    return cv2.addWeighted(prepared.background, 1 - moved, prepared.bare, moved, 0)  # type: ignore[return-value]


def _put(
    recent: OrderedDict[str, tuple[int, Value]], session: str, value: tuple[int, Value]
) -> None:
    """Remember the newest of each session, and few sessions."""
    recent[session] = value
    recent.move_to_end(session)
    while len(recent) > SESSIONS:
        recent.popitem(last=False)


def _check(image: Image, source: Pose, target: Pose, max_side: int) -> None:
    if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError("a photo must be uint8 of shape (height, width, 3)")
    if not 64 <= max_side <= 2048:
        raise ImageError(f"the preview's side must be 64 to 2048 pixels, not {max_side}")
    for pose in (source, target):
        pose.check_usable()
        if pose.size != (image.shape[1], image.shape[0]):
            raise PoseError(
                f"a pose is for a photo of {pose.size[0]} x {pose.size[1]} pixels, and this one "
                f"has {image.shape[1]} x {image.shape[0]}"
            )
