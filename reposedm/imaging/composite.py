"""A method's layer back into a picture: over the photo, over one colour, or cut out alone."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.imaging.frame import Frame

FEATHER: Final = 16
"""Pixels around both silhouettes in which the result fades into the untouched photo."""
_SILHOUETTE: Final = 0.5

Image = NDArray[np.uint8]


def over(background: Image, layer: Image) -> Image:
    """Composite a straight-alpha layer over an opaque background.

    Args:
        background: uint8 (H, W, 3).
        layer: uint8 (H, W, 4).

    Returns:
        uint8 (H, W, 3): exactly the background where alpha is 0, the layer where it is 255.

    Raises:
        ValueError: the two differ in size.
    """
    if layer.shape != (*background.shape[:2], 4):
        raise ValueError(f"a layer of {layer.shape} does not fit over {background.shape}")
    return _blend(background, layer[..., :3], layer[..., 3].astype(np.float32) / 255)


def paste_back(
    photo: Image,
    background: Image,
    frame: Frame,
    rgba: Image,
    source_mask: NDArray[Any] | None,
    *,
    feather: int = FEATHER,
) -> Image:
    """The photo with the old person gone and the new one in: the rest is the photo's own pixels.

    Inside both silhouettes and close around them the result is the layer over the background;
    from there it fades into the photo, and pixels more than ``feather`` outside both are
    bit-equal to it.

    Args:
        photo: uint8 (H, W, 3).
        background: uint8 (H, W, 3), the photo with the old person filled in.
        frame: where ``rgba`` lies on the photo.
        rgba: uint8 (h, w, 4), the new person alone, of the frame's size.
        source_mask: (H, W) in [0, 1], the old person; None where there is none to remove.
        feather: pixels.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: pictures that do not have the photo's or the frame's size.
    """
    height, width = photo.shape[:2]
    if background.shape != photo.shape:
        raise ValueError(f"a background of {background.shape} is not of the photo {photo.shape}")
    if source_mask is not None and source_mask.shape != (height, width):
        raise ValueError(f"a mask of {source_mask.shape} is not of the photo {photo.shape}")
    layer = frame.place(rgba, (width, height))
    person = layer[..., 3] >= 255 * _SILHOUETTE
    if source_mask is not None:
        person |= source_mask >= _SILHOUETTE
    result = photo.copy()
    rows, columns = np.flatnonzero(person.any(1)), np.flatnonzero(person.any(0))
    if not len(rows):
        return result
    part = (
        slice(max(0, rows[0] - feather), rows[-1] + feather + 1),
        slice(max(0, columns[0] - feather), columns[-1] + feather + 1),
    )
    edited = over(background[part], layer[part])
    result[part] = _blend(photo[part], edited, _fade(person[part], feather))
    return result


def cut_out(frame: Frame, rgba: Image, *, on_photo: bool = False) -> Image:
    """The new person alone on transparent, in the frame, or where they stand in the photo.

    Returns:
        uint8 (h, w, 4) of the frame's size, or (H, W, 4) of the photo's; nothing is hidden under
        alpha 0.
    """
    layer = frame.place(rgba) if on_photo else rgba.copy()
    layer[layer[..., 3] == 0] = 0
    return layer


def on_plain(rgba: Image, color: tuple[int, int, int] = (255, 255, 255)) -> Image:
    """A straight-alpha picture over one colour: uint8 (H, W, 3)."""
    return over(np.full((*rgba.shape[:2], 3), color, np.uint8), rgba)


def _fade(person: NDArray[np.bool_], feather: int) -> NDArray[np.float32]:
    """1 in and close around the silhouettes, smoothly down to 0 at ``feather`` pixels.

    Close is half the feather: the soft edges of both silhouettes and the filler's seam lie there,
    and a part of the old person shining through would show.
    """
    distance = cv2.distanceTransform((~person).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    ramp = np.clip(2 - 2 * distance / max(feather, 1), 0, 1)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)


def _blend(low: Image, high: Image, weight: NDArray[np.float32]) -> Image:
    """``low`` where the weight is 0, ``high`` where it is 1; exact at both ends."""
    base = low.astype(np.float32)
    return np.rint(base + (high - base) * weight[..., None]).clip(0, 255).astype(np.uint8)
