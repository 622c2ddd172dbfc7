"""Picture files built byte by byte, the well-formed and the hostile."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def scene(width: int = 96, height: int = 128, seed: int = 0) -> np.ndarray:
    """A smooth, asymmetric colour picture: uint8 (H, W, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), np.uint8)
    return np.array(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


def encoded(picture: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int,
    height: int,
    depth: int,
    color: int,
    row: bytes,
    *,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG whose rows are all ``row`` (without the filter byte); chunks before and after IDAT."""
    block = min(height, 500)
    body = _zlib((b"\0" + row) * block, height // block, (b"\0" + row) * (height % block))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + before + chunk(b"IDAT", body) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _zlib(block: bytes, count: int, rest: bytes) -> bytes:
    """``block * count + rest`` packed, in the time that one block takes."""
    packer, last = (zlib.compressobj(9, zlib.DEFLATED, -15) for _ in range(2))
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before
    check = 1
    for _ in range(count):
        check = zlib.adler32(block, check)
    end = last.compress(rest) + last.flush() + struct.pack(">I", zlib.adler32(rest, check))
    return b"\x78\xda" + packed * count + end


def interlaced_png(width: int, height: int, rows: bytes) -> bytes:
    """An 8-bit grey Adam7 PNG; ``rows`` are the seven passes with their filter bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def grey_png(**chunks: bytes) -> bytes:
    """A 64 x 64 grey PNG with the chunks before or after its pixels."""
    return png(64, 64, 8, 0, b"\x80" * 64, **chunks)


def text_chunk(key: str, text: str) -> bytes:
    return chunk(b"tEXt", key.encode("latin-1") + b"\0" + text.encode("latin-1"))


def ztxt_bomb(size: int) -> bytes:
    return chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * size, 9))


def bmff(brand: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + brand + b"\0\0\0\0" + b"".join(compatible)
    return struct.pack(">I", len(body) + 4) + body + b"\0\0\0\x08mdat"


def webp_canvas(width: int, height: int) -> bytes:
    """An extended WebP that declares a canvas far larger than the picture in it."""
    picture = encoded(scene(), "WEBP")[12:]
    header = struct.pack("<I", 10) + b"\x10\0\0\0"
    header += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + header + picture
    return b"RIFF" + struct.pack("<I", len(body)) + body


def display_p3() -> bytes:
    """An ICC profile of Display P3: its primaries adapted to D50, the sRGB curve."""

    def s15(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + s15(*values)

    name = "Display P3".encode("utf-16-be")
    described = struct.pack(">4sIIIHHII", b"mluc", 0, 1, 12, 0x656E, 0x5553, len(name), 28) + name
    described += b"\0" * (-len(described) % 4)
    curve = b"para\0\0\0\0\0\x03\0\0" + s15(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {
        b"desc": described,
        b"cprt": described,
        b"wtpt": xyz(0.96420, 1.0, 0.82491),
        b"rXYZ": xyz(0.51512, 0.24120, -0.00105),
        b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.15710, 0.06657, 0.78407),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, at + len(body), len(content))
        body += content
    size = at + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    header += b"\x07\xe8\0\x01\0\x01" + b"\0" * 6 + b"acsp" + b"\0" * 28 + s15(0.9642, 1, 0.82491)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def ycck_jpeg(cmyk: tuple[int, int, int, int], size: tuple[int, int] = (64, 64)) -> bytes:
    """A JPEG as Photoshop writes it: inverted CMYK stored as YCbCr + K, Adobe transform 2."""
    inks = Image.new("RGB", (1, 1), cmyk[:3]).convert("YCbCr").getpixel((0, 0))
    # Pillow stores 255 - value of what it is given as CMYK.
    stored = tuple(255 - value for value in (*inks, 255 - cmyk[3]))
    data = bytearray(encoded(Image.new("CMYK", size, stored), "JPEG", quality=100))
    adobe = data.index(b"\xff\xee\x00\x0eAdobe")
    data[adobe + 15] = 2
    return bytes(data)
