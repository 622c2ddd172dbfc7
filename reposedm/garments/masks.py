"""Which pixels a swap may change: the automatic mask, the painted one, and what is refused."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError
from reposedm.garments.labels import (
    BOTTOM,
    FACE,
    HAIR,
    HAT,
    OUTERWEAR,
    SHOES,
    SKIRT,
    TOP,
    region_mask,
)

GROWTH: Final = 1.3
"""An automatic mask covers at most this many times the union of the old and the new garment."""
MARGIN: Final = 0.006
"""How far an automatic mask reaches beyond that union, in parts of the photo's diagonal: the old
garment's soft edge must go as well."""
LEAST: Final = 0.0004
"""The smallest part of a photo that is worth a swap: about 18 x 18 pixels of 768 x 1024."""
MOST: Final = 0.97
SOLID: Final = 0.5
_HEAD: Final = (HAIR, FACE, HAT)
IN_FRONT: Final[dict[str, tuple[int, ...]]] = {
    "top": (*_HEAD, OUTERWEAR),
    "bottom": (*_HEAD, TOP, OUTERWEAR, SHOES),
    "dress": (*_HEAD, OUTERWEAR, SHOES),
    "outerwear": _HEAD,
    "shoes": (*_HEAD, BOTTOM, SKIRT),
    "outfit": _HEAD,
}
"""Classes that lie in front of each region's garments: an automatic mask leaves them alone."""

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]


def swap_mask(
    person_labels: NDArray[np.uint8],
    warped_garment_alpha: Floats | None,
    region: str,
    painted: Floats | None = None,
) -> Floats:
    """Where a swap may change the photo: float32 (H, W) in [0, 1]; all else stays bit-equal.

    The automatic mask is the union of the old garment and of the new one where it will lie, with
    the skin it covers, and a thin margin; hair, face and what is worn over it stay out. A painted
    mask is taken as it is: it never grows.

    Args:
        person_labels: uint8 (H, W), classes of ``garments.labels``.
        warped_garment_alpha: float32 (H, W) in [0, 1], the new garment on the person; None: not
            known, the mask is the old garment's.
        region: one of ``REGIONS``.
        painted: float32 (H, W) in [0, 1], painted by the user; None: automatic.

    Raises:
        ImageError: the region is not on the photo; the painted mask has another size, is no mask,
            or covers everything or nothing.
        SettingsError: there is no such region.
    """
    if painted is not None:
        return checked_mask(painted, (person_labels.shape[0], person_labels.shape[1]))
    union = garment_union(person_labels, warped_garment_alpha, region)
    if union.mean() < LEAST:
        raise ImageError(
            f"{ABSENT[region]} on this photo: choose another region, a photo that shows it, or "
            "paint the mask yourself."
        )
    return _with_margin(union, np.isin(person_labels, IN_FRONT[region])).astype(np.float32)


ABSENT: Final = {
    "top": "No top and no place for one are to be seen",
    "bottom": "No trousers or skirt and no place for them are to be seen",
    "dress": "No dress and no place for one are to be seen",
    "outerwear": "No jacket or coat and no place for one are to be seen",
    "shoes": "No shoes and no feet are to be seen",
    "outfit": "No clothes are to be seen",
}


def garment_union(
    person_labels: NDArray[np.uint8], warped_garment_alpha: Floats | None, region: str
) -> Mask:
    """Where the old or the new garment is seen: bool (H, W); not behind what lies in front."""
    union = region_mask(person_labels, region)
    if warped_garment_alpha is not None:
        new = warped_garment_alpha > SOLID
        union = union | (new & ~np.isin(person_labels, IN_FRONT[region]))
    return union


def checked_mask(mask: Any, size: tuple[int, int]) -> Floats:
    """A mask of somebody else's, as float32 in [0, 1]: the same pixels, none more.

    Args:
        mask: numbers of shape (H, W).
        size: (H, W) of the photo.

    Raises:
        ImageError: it has another size, is no mask, or covers everything or nothing.
    """
    values = np.asarray(mask)
    if values.ndim != 2 or values.dtype.kind not in "bufi":
        raise ImageError("a mask must be one plane of numbers, (height, width)")
    if values.shape != size:
        raise ImageError(
            f"the mask has {values.shape[1]} x {values.shape[0]} pixels and the photo has "
            f"{size[1]} x {size[0]}: paint it on this photo."
        )
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ImageError("the mask holds values that are no numbers")
    values = np.clip(values, 0, 1)
    covered = float((values > 0).mean())
    if covered == 0:
        raise ImageError(
            "The mask is empty, so nothing could change: paint where the garment goes, or take "
            "the automatic mask."
        )
    if covered > MOST:
        raise ImageError(
            "The mask covers the whole photo, so nothing of the person would be kept: erase what "
            "must stay, or take the automatic mask."
        )
    return values


def _with_margin(union: Mask, kept: Mask) -> Mask:
    """The union grown by the margin, or by less where that would be too much."""
    limit = GROWTH * float(union.sum())
    closed = cv2.morphologyEx(union.astype(np.uint8), cv2.MORPH_CLOSE, _disc(3)) > 0
    away = cv2.distanceTransform((~union).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    radius = max(2.0, MARGIN * float(np.hypot(union.shape[0], union.shape[1])))
    while radius >= 1:
        grown = (away <= radius) | closed
        grown &= ~kept | union
        if grown.sum() <= limit:
            return np.asarray(grown)
        radius *= 0.7
    return union


def _disc(radius: int) -> NDArray[np.uint8]:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
