"""What a file seems to be, from its first bytes: only to word a refusal, never to decode."""

from typing import Final

READABLE: Final = "PNG, JPEG, WebP, BMP, AVIF, GIF"
"""The formats that are read, as every refusal lists them."""

_SAVE_AS_JPEG = "Open it in your photo viewer and save or export it as JPEG or PNG."

# (first bytes, what the file is, what to do). The first match counts.
_MAGIC: Final = (
    (b"%PDF-", "a PDF document", "Export the page as PNG or JPEG."),
    (b"II*\x00", "a TIFF or camera raw picture", _SAVE_AS_JPEG),
    (b"MM\x00*", "a TIFF or camera raw picture", _SAVE_AS_JPEG),
    (b"II+\x00", "a TIFF picture", _SAVE_AS_JPEG),
    (b"MM\x00+", "a TIFF picture", _SAVE_AS_JPEG),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture", _SAVE_AS_JPEG),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _SAVE_AS_JPEG),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture", _SAVE_AS_JPEG),
    (b"\xff\x0a", "a JPEG XL picture", _SAVE_AS_JPEG),
    (b"8BPS", "a Photoshop file", "Export it as PNG or JPEG."),
    (b"\x00\x00\x01\x00", "an icon", "Save it as PNG."),
    (b"PK\x03\x04", "a zip archive", "Unpack it and choose one picture."),
    (b"Rar!", "a RAR archive", "Unpack it and choose one picture."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it and choose one picture."),
    (b"\x1a\x45\xdf\xa3", "a video", "Take a still picture from it."),
)

_SUPPORTED_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
)

_HEIC_BRANDS: Final = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)


def supported_format(data: bytes) -> str | None:
    """Name of the readable format whose signature ``data`` begins with, or None."""
    for magic, name in _SUPPORTED_MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return "AVIF" if _brands(data) & {b"avif", b"avis"} else None


def webp_size(data: bytes) -> tuple[int, int]:
    """(width, height) that a WebP's header declares, for its three kinds.

    Raises:
        ValueError: the header is none of them, or too short.
    """
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise ValueError("a WebP header of less than 30 bytes")
    if kind == b"VP8X":
        width, height = body[4:7], body[7:10]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = body[6:8], body[8:10]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    raise ValueError("not a WebP header")


def refusal(data: bytes) -> str:
    """One or two sentences for a file that is none of the readable formats."""
    what, advice = _foreign(data)
    return f"This is {what}, not an image we can read ({READABLE}). {advice}"


def _foreign(data: bytes) -> tuple[str, str]:
    if not data:
        return "an empty file", "Choose the photo again."
    for magic, what, advice in _MAGIC:
        if data.startswith(magic):
            return what, advice
    brands = _brands(data)
    if brands & _HEIC_BRANDS:
        return "a HEIC picture", "Save it as JPEG (iPhone: share it with 'Most Compatible')."
    if brands:
        return "a video", "Take a still picture from it."
    text = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page", "Open it and save the picture in it."
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!")) and b"<svg" in text):
        return "an SVG drawing", "Export it as PNG."
    if text and all(byte >= 32 or byte in b"\t\r\n" for byte in text):
        return "a text file", "Choose a photo."
    return "something else", "Choose a photo."


def _brands(data: bytes) -> set[bytes]:
    """The brands of an ISO media file (AVIF, HEIC, MP4...), empty for any other file."""
    if data[4:8] != b"ftyp":
        return set()
    length = min(int.from_bytes(data[:4], "big"), 256, len(data))
    return {data[8:12]} | {data[at : at + 4] for at in range(16, length - 3, 4)}
