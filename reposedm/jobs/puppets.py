"""The person of a photo taken apart: once, for the live preview and for finished pictures."""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError
from reposedm.imaging.fill import fill_background
from reposedm.imaging.texture import Warped
from reposedm.jobs.detect import Recent, photo_key, pose_key

if TYPE_CHECKING:
    from reposedm.pipelines.preview import Puppet
    from reposedm.pose import Pose

Image = NDArray[np.uint8]

KEPT: Final = 6
KEPT_PHOTOS: Final = 2
"""Whole photos, 36 MB each at 12 megapixels."""
MAX_SIDE: Final = 2048
"""Long side in pixels up to which a person is taken apart at the photo's size."""
COARSE: Final = 512
"""Long side of the map of what is certain, which is smooth."""

_LOOSE: Final = (0.25, 0.5)
"""Certainty below which pixels are left out where nothing is added to the warped person."""

_puppets: Recent[Puppet] = Recent(KEPT)
_empty: Recent[Image] = Recent(KEPT_PHOTOS)


def puppet_of(image: Image, pose: Pose, mask: NDArray[np.float32]) -> Puppet:
    """The puppet of a photo's person, kept for the next call; arguments as of ``prepare``.

    Raises:
        ImageError: the mask shows nobody.
        PoseError: a pose with nothing to hold on to.
    """
    from reposedm.pipelines.preview import PreviewEngine

    key = (photo_key(image), pose_key(pose), zlib.crc32(np.ascontiguousarray(mask).data))
    return _puppets.get(key, lambda: PreviewEngine().prepare(image, pose, mask))


def empty_photo(image: Image, mask: NDArray[np.float32]) -> Image:
    """The photo without its person, kept for the next call: read-only, (H, W, 3).

    Args:
        image: uint8 (H, W, 3).
        mask: float32 (H, W) in [0, 1], the person's alpha.
    """

    def make() -> Image:
        empty = fill_background(image, mask)
        empty.flags.writeable = False
        return empty

    key = (photo_key(image), zlib.crc32(np.ascontiguousarray(mask).data))
    return _empty.get(key, make)


def prepare_person(image: Image, source: Pose, mask: NDArray[np.float32]) -> None:
    """Make what ``warped_person`` and ``empty_photo`` remember, before a picture needs it.

    Arguments as of ``warped_person``, and errors of ``puppet_of`` but for a mask that shows nobody.
    """
    small, small_mask, size = _working(image, mask)
    with contextlib.suppress(ImageError):
        puppet_of(small, source if size == source.size else resized(source, size), small_mask)
    empty_photo(image, mask)


def _working(
    image: Image, mask: NDArray[np.float32]
) -> tuple[Image, NDArray[np.float32], tuple[int, int]]:
    """Photo and mask in the size in which people are taken apart, and that (width, height)."""
    height, width = image.shape[:2]
    scale = min(1.0, MAX_SIDE / max(height, width))
    if scale == 1:
        return image, mask, (width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small, cv2.resize(mask, size, interpolation=cv2.INTER_AREA), size


def warped_person(
    image: Image, source: Pose, target: Pose, mask: NDArray[np.float32]
) -> Warped | None:
    """The person as the preview poses them, and how far it is right there; None: it cannot.

    It cannot where the pose shows another side of the person, or the mask nobody.

    Args:
        image: uint8 (H, W, 3) RGB.
        source: the person's pose, in its pixels.
        target: the wanted one, in the same.
        mask: float32 (H, W) in [0, 1], the person's alpha.
    """
    height, width = image.shape[:2]
    image, mask, size = _working(image, mask)
    smaller = size != (width, height)
    if smaller:
        source, target = resized(source, size), resized(target, size)
    try:
        puppet = puppet_of(image, source, mask)
    except ImageError:
        return None
    if puppet.turns(target):
        return None
    warped = puppet.warp(target)
    small = min(1.0, COARSE / max(size))
    maps = puppet.certainty(target, scale=small)
    sure, unknown = (cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR)
                     for one in maps)  # fmt: skip
    if smaller:
        warped = cv2.resize(warped, (width, height), interpolation=cv2.INTER_CUBIC)
    # A trunk that turns is stretched, and flings about what was painted beside it.
    stays = np.maximum(unknown, np.clip((sure - _LOOSE[0]) / (_LOOSE[1] - _LOOSE[0]), 0, 1))
    warped[..., 3] = np.rint(warped[..., 3] * stays)
    return Warped(warped, sure, unknown)


def resized(pose: Pose, size: tuple[int, int]) -> Pose:
    """The pose on a photo of another size (width, height)."""
    scale = np.array(size, np.float64) / pose.size
    return pose.transformed(scale, 0, size)


def forget_puppets() -> None:
    """Forget every person: for "delete my data"."""
    _puppets.clear()
    _empty.clear()
