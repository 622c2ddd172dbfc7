"""What a parser tells apart on a person, and the regions of a garment swap. Light: numpy alone."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import SettingsError

CLASSES: Final = (
    "background", "hair", "face", "torso skin", "arm skin", "leg skin",
    "top", "outerwear", "bottom", "skirt or dress", "shoes", "hat",
)  # fmt: skip
"""Name of each label; the person is everything above 0. A dress is 6 above the waist and 9 below
where it was drawn in two pieces, and 9 all over where it was seen as one."""

BACKGROUND, HAIR, FACE, TORSO_SKIN, ARM_SKIN, LEG_SKIN = 0, 1, 2, 3, 4, 5
TOP, OUTERWEAR, BOTTOM, SKIRT, SHOES, HAT = 6, 7, 8, 9, 10, 11

SKIN: Final = (TORSO_SKIN, ARM_SKIN, LEG_SKIN)
"""Bare skin below the chin: what a garment can cover or uncover."""

COLORS: Final = (
    (0, 0, 0), (122, 62, 36), (245, 196, 160), (228, 150, 120), (250, 120, 90), (200, 90, 60),
    (66, 133, 244), (24, 60, 140), (46, 160, 67), (171, 71, 188), (250, 200, 30), (0, 172, 172),
)  # fmt: skip
"""RGB of each label in pictures for people."""

REGION_LABELS: Final[dict[str, tuple[int, ...]]] = {
    "top": (TOP,),
    "bottom": (BOTTOM, SKIRT),
    "dress": (SKIRT, TOP, BOTTOM),
    "outerwear": (OUTERWEAR,),
    "shoes": (SHOES,),
    "outfit": (TOP, OUTERWEAR, BOTTOM, SKIRT, SHOES, HAT),
}
REGIONS: Final = tuple(REGION_LABELS)
"""What a swap can change. "dress" is what a dress lies on: top and bottom, or a dress itself."""


def region_mask(labels: NDArray[np.uint8], region: str) -> NDArray[np.bool_]:
    """Where a person wears a region's garments.

    Args:
        labels: uint8 (H, W) of ``CLASSES``.
        region: of ``REGIONS``.

    Returns:
        bool (H, W); all False where the person wears none.

    Raises:
        SettingsError: there is no such region.
    """
    if region not in REGION_LABELS:
        raise SettingsError(
            f"there is no region {region!r:.40}: choose one of {', '.join(REGIONS)}"
        )
    wanted = np.zeros(256, bool)
    wanted[list(REGION_LABELS[region])] = True
    found: NDArray[np.bool_] = wanted[np.asarray(labels, np.uint8)]
    return found


def painted(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels (H, W) as a picture uint8 (H, W, 3), for people to look at."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(COLORS)] = COLORS
    return table[labels]
