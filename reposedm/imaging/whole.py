"""Files that decode without an error though a part of the picture is missing (C-03).

Decoders fill what is missing with black or grey and say nothing, when a cut file was closed
properly afterwards: by a rescue program, or by a program that ran out of data.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

import numpy as np
from PIL import Image

_JPEG_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither stuffing nor restart
_START, _END, _BARE = 0xD8, 0xD9, 0x01
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
                 (0, 1, 1, 2))  # fmt: skip
_BLOCK: Final = 1 << 20


def may_be_cut(image: Image.Image) -> bool:
    """Whether the end of a loaded picture looks like what a decoder fills in.

    Of a JPEG: its last pixels are equal, or it is progressive, and cut would be blurred instead;
    of a PNG: its last row is 0, or it is interlaced, and cut would miss pixels everywhere.
    """
    if image.info.get("progressive") or image.info.get("interlace"):
        return True
    row = np.asarray(image.crop((0, image.height - 1, image.width, image.height)))[0]
    return bool((row[-1] == row[-2]).all()) if image.format != "PNG" else not row.any()


def jpeg_with_more(data: bytes) -> bytes | None:
    """The JPEG with made-up picture data before its end; None if it has no end.

    A decoder that has all of its picture skips what was added. One that was still hungry eats it,
    and gives another picture: then the file was cut.
    """
    at = 0
    while found := _JPEG_MARKER.search(data, at):
        marker, at = data[found.start() + 1], found.end()
        if marker == _END:
            return data[: found.start()] + b"\x35\xa6\x5c\xd1" * 64 + data[found.start() :]
        if marker not in (_START, _BARE):
            at += int.from_bytes(data[at : at + 2], "big")
    return None


def png_is_whole(data: bytes) -> bool:
    """Whether a PNG's pixel data unpacks to as many bytes as its header needs; in flat memory."""
    needed = _png_bytes(data[16:29])
    unpacker, at = zlib.decompressobj(), 8
    while needed > 0 and at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        packed = data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        while packed and needed > 0 and not unpacker.eof:
            needed -= len(unpacker.decompress(packed, _BLOCK))
            packed = unpacker.unconsumed_tail
        at += 12 + length
    return needed - len(unpacker.flush()) <= 0 if needed > 0 else True


def _png_bytes(header: bytes) -> int:
    """Bytes of filtered rows that an IHDR asks for."""
    width, height = (int.from_bytes(header[at : at + 4], "big") for at in (0, 4))
    bits = header[8] * _CHANNELS[header[9]]
    passes = _ADAM7 if header[12] else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total
