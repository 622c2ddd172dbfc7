"""From whatever Pillow decoded to 8-bit sRGB: 16-bit, transparency, CMYK, ICC profiles, EXIF."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from PIL import Image, ImageCms

_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PROFILE_MODE: Final = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}


def eight_bit(image: Image.Image) -> Image.Image:
    """A loaded image as L, LA, RGB, RGBA or CMYK, with transparency only ever in the alpha.

    16-bit grey is divided by 257 and rounded, so that 65535 is 255. (16-bit colour arrives from
    Pillow with 8 bits already, at most one level from that.)
    """
    transparent = image.info.get("transparency")
    if image.mode.startswith(("I", "F")):
        return _from_16_bit(image, transparent)
    if image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 255:
        # The transparent colour of a 16-bit PNG keeps 16 bits; the pixels lost the lower 8.
        image.info["transparency"] = tuple(value >> 8 for value in transparent)
    if image.mode in ("P", "PA", "La", "RGBa") or transparent is not None:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK") else image.convert("RGB")


def _from_16_bit(image: Image.Image, transparent: Any) -> Image.Image:
    values = np.asarray(image)
    wide = np.clip(values, 0, 65535).astype(np.uint32)
    grey = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    if isinstance(transparent, int):
        alpha = np.where(wide == transparent, 0, 255).astype(np.uint8)
        return Image.merge("LA", (grey, Image.fromarray(alpha)))
    return grey


def over_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """Composite LA or RGBA over white; the colours hidden under alpha 0 never show (C-11).

    Returns:
        The image in L, RGB or CMYK, and whether anything was transparent.
    """
    if image.mode not in ("LA", "RGBA"):
        return image, False
    opaque = image.getchannel("A").getextrema()[0] == 255
    plain = image.mode.removesuffix("A")
    if opaque:
        return image.convert(plain), False
    white = Image.new(plain, image.size, "white")
    white.paste(image.convert(plain), mask=image.getchannel("A"))
    return white, True


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """Convert L, RGB or CMYK to sRGB through the embedded ICC profile, if there is one.

    Returns:
        The image in RGB, and a note for the user ("" when all is well).
    """
    if not profile:
        return image.convert("RGB"), ""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _PROFILE_MODE[image.mode]:
            return image.convert("RGB"), "Its colour profile is for another kind of image: ignored."
        converted = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image.convert("RGB"), "Its colour profile is damaged: ignored, taken as sRGB."
    return converted or image.convert("RGB"), ""


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8 of a loaded image; 1 where it is absent, damaged or impossible."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # EXIF is a stranger's binary structure, and Pillow raises many types for it
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(image: Image.Image, orient: int) -> Image.Image:
    """Turn and mirror an image as its EXIF orientation asks."""
    return image.transpose(_UPRIGHT[orient]) if orient in _UPRIGHT else image
