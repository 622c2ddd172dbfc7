"""The one door for bytes: every picture from outside comes in here, or not at all.

Pillow decodes, with six formats enabled. What comes out is always uint8 sRGB, upright, opaque.
Size limits are decided from the header, before any pixel is decoded.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reposedm.errors import ImageError
from reposedm.imaging.color import eight_bit, orientation, over_white, to_srgb, upright
from reposedm.imaging.sniff import READABLE, refusal, supported_format, webp_size
from reposedm.imaging.whole import jpeg_with_more, may_be_cut, png_is_whole

FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "AVIF", "GIF")
MAX_BYTES: Final = 25_000_000
MAX_PIXELS: Final = 64_000_000
MAX_ASPECT: Final = 8
MIN_SIDE: Final = 64
MIN_SIDE_IN_ARCHIVE: Final = 16
WORKING_SIDE: Final = 4096
"""Longer pictures are reduced to this long side: more is memory without a better result."""
MAX_TEXT: Final = 65_536
"""Characters of one text chunk that are kept, plus one, so that a reader sees it was longer."""
_MAX_TEXT_CHUNKS: Final = 64
_MAX_SCANS: Final = 512
"""A progressive JPEG has about ten; thousands of empty ones cost hours of decoding."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as the program uses it.

    Attributes:
        pixels: uint8 (H, W, 3) sRGB, upright, opaque, at most ``WORKING_SIDE`` on the long side.
        notes: sentences for the user: what was done to the picture on the way in.
        text: the PNG text chunks, each at most ``MAX_TEXT`` + 1 characters. Untrusted.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    text: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


def read_image(source: bytes | str | Path | BinaryIO, *, min_side: int = MIN_SIDE) -> Photo:
    """Read a picture from bytes, a path, or an open binary file.

    Args:
        source: the bytes, or where they are. At most ``MAX_BYTES``.
        min_side: shortest side accepted, in pixels (``MIN_SIDE_IN_ARCHIVE`` for re-ID crops).

    Raises:
        ImageError: not a picture, damaged, too large, too small, or too narrow.
    """
    data = _read_bytes(source)
    kind = supported_format(data)
    if kind is None:
        raise ImageError(refusal(data))
    try:
        return _decode(data, kind, min_side)
    except (ImageError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_large("more than we can hold")) from error
    except Exception as error:  # hostile bytes make decoders raise nearly every type there is
        raise ImageError(
            f"The file is damaged: it begins like a {kind} picture but cannot be read to its end. "
            "Choose another copy of it."
        ) from error


def _read_bytes(source: bytes | str | Path | BinaryIO) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source[: MAX_BYTES + 1])
    elif isinstance(source, str | os.PathLike):
        try:
            path = Path(source)
            if not path.is_file():  # a folder, a pipe that never ends, or nothing
                raise ImageError("There is no such picture file: choose the photo again.")
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            raise ImageError("The picture file cannot be opened: choose it again.") from error
    elif hasattr(source, "read"):
        data = source.read(MAX_BYTES + 1)
        if not isinstance(data, bytes):
            raise ImageError("The picture must be opened in binary mode.")
    else:
        raise ImageError(f"No picture was given: expected a file, got {type(source).__name__}.")
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"The file is larger than {MAX_BYTES // 1_000_000} MB: save it as JPEG, or smaller."
        )
    return data


def _decode(data: bytes, kind: str, min_side: int) -> Photo:
    notes: list[str] = []
    if kind == "WEBP":  # its canvas is allocated while Pillow opens it: look before
        _check_size(webp_size(data), min_side)
    if kind == "JPEG" and data.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError("The file is damaged: it is a JPEG with far too many scans.")
    with _open(data) as image:
        _check_size(image.size, min_side)
        if kind == "PNG":
            with _open(data) as checked:
                checked.verify()  # the CRC of every chunk; Pillow's load skips those of some
        first, frames = image.size, getattr(image, "is_animated", False)
        if frames and image.format != "MPO":  # MPO: a phone photo with its preview or depth map
            notes.append("This is an animation: only its first picture is used.")
        if max(first) > WORKING_SIDE:
            _draft(image)
        image.load()
        if min(image.size) < 1 or math.prod(image.size) > MAX_PIXELS:
            raise ImageError(_too_large(f"{image.width} x {image.height} pixels"))
        _check_whole(image, data, kind)
        pixels, more = _to_pixels(image)
        orient, text = orientation(image), _text(image)
    pixels = upright(pixels, orient)
    if max(first) > WORKING_SIDE:
        width, height = first if orient < 5 else first[::-1]  # 5 to 8 exchange the sides
        notes.append(
            f"The photo was reduced from {width} x {height} to {pixels.width} x {pixels.height} "
            "pixels."
        )
    return Photo(np.array(pixels), (*notes, *more), text)


def _open(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        return Image.open(io.BytesIO(data), formats=FORMATS)


def _check_size(size: tuple[int, int], min_side: int) -> None:
    """Refuse sizes we cannot use; called with what the header says, before any decoding."""
    width, height = size
    short, long = min(size), max(size)
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(f"{width} x {height} pixels"))
    small, narrow = short < min_side, long > MAX_ASPECT * short
    if not (small or narrow):
        return
    what = " and ".join(["too small"] * small + ["too narrow"] * narrow)
    raise ImageError(
        f"The picture is {what}: {width} x {height} pixels. We need at least {min_side} pixels on "
        f"the short side, and a long side of at most {MAX_ASPECT} times the short one."
    )


def _too_large(size: str) -> str:
    return (
        f"The picture is too large: {size}. At most {MAX_PIXELS // 1_000_000} megapixels are "
        "possible: save it smaller."
    )


def _draft(image: Image.Image) -> None:
    """Let the JPEG decoder halve the picture, down to about the working size: a phone's 8000
    pixels become 4000 at a quarter of the memory. Other formats ignore it.
    """
    scale = 0.9 * WORKING_SIDE / max(image.size)
    image.draft(image.mode, (math.ceil(image.width * scale), math.ceil(image.height * scale)))


def _check_whole(image: Image.Image, data: bytes, kind: str) -> None:
    """Refuse a loaded picture whose missing part the decoder filled in silently.

    Raises:
        ValueError: it is cut.
    """
    if kind not in ("JPEG", "PNG") or not may_be_cut(image):
        return
    if kind == "PNG":
        whole = png_is_whole(data)
    else:
        with _open(jpeg_with_more(data) or b"") as fed:
            if max(fed.size) > WORKING_SIDE:
                _draft(fed)
            whole = np.array_equal(np.asarray(image), np.asarray(fed))
    if not whole:
        raise ValueError("a part of the picture is missing")


def _to_pixels(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """A loaded image as an sRGB one of working size, and notes; not yet upright."""
    profile = image.info.get("icc_profile")
    plain = eight_bit(image)
    if max(plain.size) > WORKING_SIDE:
        scale = WORKING_SIDE / max(plain.size)
        size = tuple(max(1, round(side * scale)) for side in plain.size)
        plain = plain.resize((size[0], size[1]), Image.Resampling.LANCZOS, reducing_gap=3.0)
    plain, transparent = over_white(plain)
    plain, note = to_srgb(plain, profile if isinstance(profile, bytes) else None)
    notes = ["Its transparent parts were filled with white."] if transparent else []
    return plain, [*notes, note] if note else notes


def _text(image: Image.Image) -> dict[str, str]:
    """The PNG text chunks, bounded in number and length."""
    chunks = getattr(image, "text", None) if image.format == "PNG" else None
    if not isinstance(chunks, dict):
        return {}
    items = list(chunks.items())[:_MAX_TEXT_CHUNKS]
    return {str(key): str(value)[: MAX_TEXT + 1] for key, value in items}


__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_TEXT",
    "MIN_SIDE",
    "MIN_SIDE_IN_ARCHIVE",
    "READABLE",
    "WORKING_SIDE",
    "Photo",
    "read_image",
]
