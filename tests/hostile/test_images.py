"""Hostile and unusual pictures: one test a row of the table, named after its id.

Long, because the table is: its rows share the pictures made here and are read side by side.
"""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from images_by_hand import (
    bmff,
    chunk,
    display_p3,
    encoded,
    grey_png,
    interlaced_png,
    png,
    scene,
    text_chunk,
    webp_canvas,
    ycck_jpeg,
    ztxt_bomb,
)
from PIL import Image

from reposedm.errors import ImageError, SettingsError
from reposedm.imaging import (
    MAX_BYTES,
    MIN_SIDE_IN_ARCHIVE,
    WORKING_SIDE,
    is_marked,
    png_bytes,
    read_image,
    read_settings,
    result_name,
    save_png,
)

ROOT = Path(__file__).parents[2]
READABLE = "not an image we can read (PNG, JPEG, WebP, BMP, AVIF, GIF)"


def refusal(data: object, **options: int) -> str:
    """The refusal of ``data``, checked to be one that a person can read."""
    with pytest.raises(ImageError) as caught:
        read_image(data, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", message) if part]
    assert len(sentences) <= 2, message
    assert message.endswith(".") and "Traceback" not in message and "<" not in message
    return message


def peak_growth_mb(*paths: Path) -> list[tuple[float, str]]:
    """Memory that reading each of ``paths`` adds to the peak of one process, and what it said.

    VmHWM, not ru_maxrss: a child inherits the latter from the process that started it.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc")
    program = (
        "import sys\n"
        "from reposedm.errors import ImageError\n"
        "from reposedm.imaging import png_bytes, read_image\n"
        "import io, json, numpy\n"
        "def peak():\n"
        "    return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024\n"
        "read_image(png_bytes(numpy.zeros((64, 64, 3), numpy.uint8)))\n"
        "answers = []\n"
        "for path in sys.argv[1:]:\n"
        "    before = peak()\n"
        "    try: said = str(read_image(path).size)\n"
        "    except ImageError as error: said = str(error)\n"
        "    answers.append((peak() - before, said))\n"
        "print(json.dumps(answers))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, paths)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return [(growth, said) for growth, said in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, str]]:
    """What small files that unpack to a lot add to the memory, and what is said about them.

    One process reads them all; as none may add 30 MB, none can hide what a later one adds.
    """
    folder = tmp_path_factory.mktemp("bombs")
    made = {
        "60000 pixels": png(60_000, 60_000, 1, 0, b"\0" * 7500),
        "13000 pixels": png(13_000, 13_000, 1, 0, b"\0" * 1625),
        "text before": grey_png(before=ztxt_bomb(80_000_000)),
        "text after": grey_png(after=ztxt_bomb(80_000_000)),
    }
    assert all(len(data) < 1_000_000 for data in made.values())
    paths = [folder / f"{name}.png" for name in made]
    for path, data in zip(paths, made.values(), strict=True):
        path.write_bytes(data)
    return dict(zip(made, peak_growth_mb(*paths), strict=True))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty file"),
        (b"hello, I am a photo\n", "text file"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF"),
        (b"PK\x03\x04" + b"\0" * 50, "zip"),
        (bytes(range(1, 100)), "something else"),
    ],
)
def test_c01_what_is_no_picture_is_named(data: bytes, what: str) -> None:
    message = refusal(data)
    assert READABLE in message and what in message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "AVIF", "GIF"])
def test_c03_a_cut_file_is_damaged_never_half_a_picture(kind: str) -> None:
    data = encoded(scene(), kind)
    for part in (0.05, 0.25, 0.5, 0.75, 0.9, 0.99):
        assert "damaged" in refusal(data[: int(len(data) * part)])


def test_c03_a_cut_progressive_jpeg_is_damaged() -> None:
    data = encoded(scene(), "JPEG", progressive=True)
    assert "damaged" in refusal(data[: len(data) // 2])


@pytest.mark.parametrize("progressive", [False, True])
def test_c03_a_cut_jpeg_with_an_end_put_on_is_damaged(progressive: bool) -> None:
    data = encoded(scene(256, 320), "JPEG", progressive=progressive)
    for part in (0.3, 0.5, 0.8):
        assert "damaged" in refusal(data[: int(len(data) * part)] + b"\xff\xd9")


def test_c03_a_whole_jpeg_with_a_plain_floor_is_not_damaged() -> None:
    picture = scene(256, 320)
    picture[200:] = 255
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"optimize": True}):
        data = encoded(picture, "JPEG", quality=95, **options)
        assert read_image(data).pixels[-1].min() > 250
        assert read_image(data + b"trailing bytes of some phone").size == (256, 320)


def test_c03_every_flipped_byte_of_a_png_is_found() -> None:
    data = bytearray(encoded(scene(64, 64), "PNG", compress_level=9))
    for at in range(8, len(data) - 12, 7):  # behind the signature, before the empty last chunk
        data[at] ^= 0x10
        refusal(bytes(data))
        data[at] ^= 0x10
    assert read_image(bytes(data)).size == (64, 64)


def test_c03_a_png_with_too_few_rows_is_damaged() -> None:
    few = bytearray(png(64, 64, 8, 0, b"\x80" * 64))
    tall = png(64, 100, 8, 0, b"\x80" * 64)
    few[:33] = tall[:33]  # the signature and header of a taller picture, with its right CRC
    assert "damaged" in refusal(bytes(few))


@pytest.mark.parametrize(
    ("depth", "color"),
    [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (8, 4), (16, 4), (8, 6), (16, 6)],
)
def test_c03_a_whole_black_png_is_not_damaged(depth: int, color: int) -> None:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    for width in (64, 65, 71):
        row = b"\0" * ((width * depth * channels + 7) // 8)
        assert read_image(png(width, 64, depth, color, row)).size == (width, 64)


def test_c03_an_interlaced_png_is_read_whole_and_refused_cut() -> None:
    passes = [(12, 9), (11, 9), (23, 8), (22, 17), (45, 17), (45, 34), (90, 33)]
    rows = b"".join((b"\0" + b"\x40" * columns) * count for columns, count in passes)
    picture = interlaced_png(90, 67, rows)
    assert (read_image(picture).pixels == 0x40).all()
    assert "damaged" in refusal(interlaced_png(90, 67, rows[:-91]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "AVIF", "GIF"])
def test_c03_random_damage_gives_a_picture_or_a_refusal(kind: str) -> None:
    whole = encoded(scene(), kind)
    rng = np.random.default_rng(1)
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(0, 256)
        try:
            photo = read_image(bytes(data))
        except ImageError:
            continue
        assert photo.pixels.dtype == np.uint8 and photo.pixels.shape[2] == 3


def test_c04_a_60000_pixel_bomb_is_refused_from_its_header(
    bombs: dict[str, tuple[float, str]],
) -> None:
    growth, said = bombs["60000 pixels"]
    assert "too large" in said
    assert growth < 30


def test_c05_a_13000_pixel_bomb_is_refused_from_its_header(
    bombs: dict[str, tuple[float, str]],
) -> None:
    growth, said = bombs["13000 pixels"]
    assert "13000 x 13000" in said or "too large" in said
    assert growth < 30


def test_c05_the_limit_is_64_megapixels() -> None:
    assert "too large" in refusal(png(8001, 8000, 1, 0, b"\0" * 1001))
    bomb = encoded(Image.new("P", (9000, 8000)), "GIF")
    assert "9000 x 8000" in refusal(bomb)


def test_c05_other_formats_declare_bombs_too(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.webp"
    bomb.write_bytes(webp_canvas(16_383, 16_383))
    ((growth, said),) = peak_growth_mb(bomb)
    assert "16383 x 16383" in said
    assert growth < 30
    assert read_image(webp_canvas(96, 128)).size == (96, 128)


def test_c05_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = encoded(scene(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert "damaged" in refusal(data[:-2] + scan * 5000 + b"\xff\xd9")


@pytest.mark.parametrize("place", ["before", "after"])
def test_c06_a_text_that_unpacks_to_80_mb_is_refused(
    bombs: dict[str, tuple[float, str]], place: str
) -> None:
    growth, said = bombs[f"text {place}"]
    assert "damaged" in said
    assert growth < 30


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (31, 400), (63, 64), (64, 63)])
def test_c07_too_small(size: tuple[int, int]) -> None:
    message = refusal(encoded(Image.new("RGB", size), "PNG"))
    assert "too small" in message and "at least 64 pixels" in message


def test_c07_inside_archives_16_pixels_are_enough() -> None:
    small = encoded(Image.new("RGB", (16, 32)), "PNG")
    assert read_image(small, min_side=MIN_SIDE_IN_ARCHIVE).size == (16, 32)
    message = refusal(encoded(Image.new("RGB", (15, 32)), "PNG"), min_side=MIN_SIDE_IN_ARCHIVE)
    assert "at least 16 pixels" in message
    assert read_image(encoded(Image.new("RGB", (64, 64)), "PNG")).size == (64, 64)


@pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000), (64, 513), (1000, 100)])
def test_c08_too_narrow(size: tuple[int, int]) -> None:
    assert "too narrow" in refusal(encoded(Image.new("RGB", size), "PNG"))


def test_c08_one_to_eight_is_still_possible() -> None:
    assert read_image(encoded(Image.new("RGB", (64, 512)), "PNG")).size == (64, 512)


@pytest.mark.heavy  # making the photo takes longer than reading it
def test_c09_a_48_megapixel_photo_is_reduced_without_loss(tmp_path: Path) -> None:
    picture = Image.fromarray(scene(750, 1000)).resize((6000, 8000), Image.Resampling.BICUBIC)
    path = tmp_path / "phone.jpg"
    path.write_bytes(encoded(picture, "JPEG", quality=92))
    photo = read_image(path)
    width, height = photo.size
    assert 0.9 * WORKING_SIDE <= height <= WORKING_SIDE and width * 8 == height * 6
    assert any("6000 x 8000" in note and f"{width} x {height}" in note for note in photo.notes)
    best = np.array(picture.resize(photo.size, Image.Resampling.LANCZOS), np.float32)
    error = np.mean((best - photo.pixels) ** 2)
    assert 10 * np.log10(255**2 / error) > 45
    ((growth, said),) = peak_growth_mb(path)
    assert said == str(photo.size)
    assert growth < 250


@pytest.mark.parametrize(("width", "height"), [(4096, 600), (4097, 600), (5000, 700)])
def test_c09_only_what_is_longer_than_the_limit_is_reduced(width: int, height: int) -> None:
    photo = read_image(encoded(Image.new("RGB", (width, height)), "PNG"))
    assert photo.size[0] == 4096
    assert bool(photo.notes) == (width > 4096)


AS_STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),  # the camera lay on its side: shown turned clockwise
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_c10_every_orientation_comes_out_upright(orientation: int) -> None:
    picture = scene(96, 128)
    stored = np.ascontiguousarray(AS_STORED[orientation](picture))
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(read_image(encoded(stored, "PNG", exif=exif)).pixels, picture)
    for kind in ("JPEG", "WEBP", "AVIF"):
        photo = read_image(encoded(stored, kind, exif=exif, quality=95))
        assert photo.size == (96, 128)
        assert np.abs(photo.pixels.astype(int) - picture).mean() < 6
    assert not Image.open(io.BytesIO(png_bytes(picture))).getexif()


def test_c10_a_large_photo_is_reduced_and_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = read_image(encoded(Image.new("RGB", (8000, 2000)), "JPEG", exif=exif))
    assert photo.size[1] > photo.size[0] * 3.9
    assert f"{photo.size[0]} x {photo.size[1]}" in photo.notes[0]
    assert "2000 x 8000" in photo.notes[0]


def test_c10_damaged_exif_and_impossible_orientations_are_as_stored() -> None:
    picture = scene()
    for value in (0, 9, 65535):
        exif = Image.Exif()
        exif[0x0112] = value
        assert np.array_equal(read_image(encoded(picture, "PNG", exif=exif)).pixels, picture)
    wild = encoded(picture, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert read_image(wild).size == (96, 128)


def test_c11_colour_hidden_under_alpha_never_shows() -> None:
    hidden = np.zeros((64, 64, 4), np.uint8)
    hidden[..., 0] = 255
    hidden[:32, :, 3] = 255
    hidden[32:48, :, 3] = 128
    photo = read_image(encoded(hidden, "PNG"))
    assert (photo.pixels[:32] == (255, 0, 0)).all()
    assert (np.abs(photo.pixels[32:48].astype(int) - (255, 127, 127)) <= 1).all()
    assert (photo.pixels[48:] == 255).all()
    assert any("white" in note for note in photo.notes)
    assert (read_image(encoded(hidden, "WEBP", lossless=True, exact=True)).pixels[48:] == 255).all()


def test_c11_grey_palette_and_single_colour_transparency() -> None:
    grey = np.zeros((64, 64, 2), np.uint8)
    grey[:32, :, 1] = 255
    pixels = read_image(encoded(Image.fromarray(grey, "LA"), "PNG")).pixels
    assert (pixels[:32] == 0).all() and (pixels[32:] == 255).all()

    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([0, 0, 255, 255, 0, 0])
    palette.paste(0, (0, 0, 64, 32))
    for kind in ("PNG", "GIF"):
        pixels = read_image(encoded(palette, kind, transparency=1)).pixels
        assert (pixels[:32] == (0, 0, 255)).all() and (pixels[32:] == 255).all()

    two = Image.new("RGB", (64, 64), (255, 0, 0))
    two.paste((0, 255, 0), (0, 0, 64, 32))
    pixels = read_image(encoded(two, "PNG", transparency=(255, 0, 0))).pixels
    assert (pixels[:32] == (0, 255, 0)).all() and (pixels[32:] == 255).all()


def test_c11_reducing_does_not_pull_hidden_colour_in() -> None:
    hidden = np.zeros((600, 4200, 4), np.uint8)
    hidden[..., 0] = 255  # red under alpha 0, black where it is opaque
    hidden[:, :2100] = (0, 0, 0, 255)
    pixels = read_image(encoded(hidden, "PNG")).pixels.astype(int)
    assert pixels.shape[1] == WORKING_SIDE
    assert np.abs(pixels[..., 0] - pixels[..., 1]).max() <= 1  # grey everywhere, red nowhere


def test_c12_sixteen_bits_are_scaled_by_257() -> None:
    values = np.repeat(np.array([0, 256, 257, 32768, 65278, 65535], np.uint16), 16)
    grey = np.tile(values, (64, 1))
    column = np.repeat([0, 1, 1, 128, 254, 255], 16)
    assert np.array_equal(read_image(encoded(grey, "PNG")).pixels[5, :, 1], column)

    color = png(96, 64, 16, 2, b"".join(int(value).to_bytes(2, "big") * 3 for value in values))
    assert np.abs(read_image(color).pixels[5, :, 1].astype(int) - column).max() <= 1


def test_c12_sixteen_bit_grey_with_a_transparent_value() -> None:
    row = b"\x12\x34" * 32 + b"\x80\x00" * 32
    pixels = read_image(png(64, 64, 16, 0, row, before=chunk(b"tRNS", b"\x12\x34"))).pixels
    assert (pixels[:, :32] == 255).all() and (pixels[:, 32:] == 128).all()


@pytest.mark.parametrize(
    ("cmyk", "rgb"),
    [
        ((0, 255, 255, 0), (255, 0, 0)),
        ((255, 0, 255, 0), (0, 255, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 0, 0), (255, 255, 255)),
    ],
)
def test_c13_cmyk_and_ycck_jpegs_have_their_colours(
    cmyk: tuple[int, int, int, int], rgb: tuple[int, int, int]
) -> None:
    inverted = encoded(Image.new("CMYK", (64, 64), cmyk), "JPEG", quality=100)
    for data in (inverted, ycck_jpeg(cmyk)):
        assert np.abs(read_image(data).pixels.astype(int) - rgb).max() <= 3


def test_c13_a_lab_tiff_is_refused() -> None:
    assert "TIFF" in refusal(encoded(Image.new("LAB", (64, 64)), "TIFF"))


def test_c14_display_p3_becomes_srgb() -> None:
    # (234, 51, 35) is how Display P3 writes the red that sRGB writes (255, 0, 0).
    for rgb, expected in [((234, 51, 35), (255, 0, 0)), ((128, 128, 128), (128, 128, 128))]:
        data = encoded(Image.new("RGB", (64, 64), rgb), "PNG", icc_profile=display_p3())
        assert np.abs(read_image(data).pixels.astype(int) - expected).max() <= 3
    jpeg = encoded(
        Image.new("RGB", (64, 64), (100, 180, 90)), "JPEG", quality=100, icc_profile=display_p3()
    )
    assert read_image(jpeg).pixels[0, 0, 0] < 85  # P3's green reaches further: less red in sRGB
    assert read_image(jpeg).notes == ()


def test_c14_a_damaged_profile_is_ignored_with_a_note() -> None:
    picture = scene()
    for profile in (b"no profile at all", display_p3()[:200]):
        photo = read_image(encoded(picture, "PNG", icc_profile=profile))
        assert np.array_equal(photo.pixels, picture)
        assert any("profile" in note for note in photo.notes)
    grey = encoded(Image.new("L", (64, 64), 77), "PNG", icc_profile=display_p3())
    photo = read_image(grey)
    assert (photo.pixels == 77).all() and any("profile" in note for note in photo.notes)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_c15_of_an_animation_the_first_frame_is_used(kind: str) -> None:
    red, blue = (Image.new("RGB", (64, 64), color) for color in ("red", "blue"))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(red, kind, save_all=True, append_images=[blue], duration=100, **options)
    photo = read_image(data)
    assert np.abs(photo.pixels.astype(int) - (255, 0, 0)).max() <= 8
    assert photo.pixels.shape == (64, 64, 3)
    assert any("animation" in note for note in photo.notes)


def test_c15_a_still_gif_and_a_phones_two_picture_jpeg_are_no_animations() -> None:
    assert read_image(encoded(Image.new("RGB", (64, 64), "red"), "GIF")).notes == ()
    pair = encoded(scene(), "MPO", save_all=True, append_images=[Image.fromarray(scene(seed=1))])
    assert read_image(pair).notes == ()


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"></svg>',
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- x --><svg width="1"/>',
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x"><svg/>',
    ],
)
def test_c16_svg_is_refused_and_never_rendered(data: bytes) -> None:
    message = refusal(data)
    assert "SVG" in message and "PNG" in message and "alert" not in message


@pytest.mark.parametrize(
    "data", [bmff(b"heic", b"mif1"), bmff(b"mif1", b"heic"), bmff(b"msf1"), bmff(b"hevc")]
)
def test_c17_heic_says_save_as_jpeg(data: bytes) -> None:
    message = refusal(data)
    assert "HEIC" in message and "Save it as JPEG" in message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "AVIF", "GIF"])
def test_c18_six_formats_are_accepted(kind: str) -> None:
    picture = np.full((64, 80, 3), (200, 40, 90), np.uint8)
    photo = read_image(encoded(picture, kind))
    assert photo.size == (80, 64)
    assert np.abs(photo.pixels.astype(int) - picture).max() <= 6


@pytest.mark.parametrize(
    ("kind", "name"),
    [("TIFF", "TIFF"), ("JPEG2000", "JPEG 2000"), ("ICO", "icon"), ("PDF", "PDF"),
     ("PPM", "something else"), ("TGA", "something else"), ("PCX", "something else")],
)  # fmt: skip
def test_c18_every_other_format_is_refused(kind: str, name: str) -> None:
    message = refusal(encoded(scene(), kind))
    assert name in message and READABLE in message


def test_c18_an_avif_under_the_general_brand_is_not_taken_for_heic() -> None:
    data = bytearray(encoded(scene(), "AVIF"))
    data[8:12] = b"mif1"
    assert read_image(bytes(data)).size == (96, 128)


@pytest.mark.parametrize(
    "name",
    ["Übung mit Leerzeichen.png", "..%2f..%2fetc.png", "a'b\"c.png", "x" * 251 + ".png",
     "<img src=x onerror=alert(1)>.png", "写真.png", "photo.jpg.exe"],
)  # fmt: skip
def test_c19_names_are_never_used(tmp_path: Path, name: str) -> None:
    path = tmp_path / name.replace("/", "_")
    path.write_bytes(encoded(scene(), "PNG"))
    assert read_image(path).size == read_image(str(path)).size == (96, 128)
    path.write_bytes(b"nothing")
    assert path.name not in refusal(path)
    with pytest.raises(SettingsError) as caught:
        result_name(name, 1, 1)
    assert name not in str(caught.value)


def test_c19_results_have_names_of_our_own() -> None:
    assert result_name("preview", 42, 3) == "reposedm-preview-42-03.png"
    for method in ("", "../x", "a/b", "a\\b", "A", "x" * 40, "nul\0", "a\n", "con.png"):
        with pytest.raises(SettingsError):
            result_name(method, 1, 1)


@pytest.mark.parametrize("path", ["", "/nowhere/at/all.png", "a\0b", "x" * 5000, "/", "/dev/zero"])
def test_c19_paths_that_are_no_files_are_refused(path: str) -> None:
    assert "photo" in refusal(path) or "picture" in refusal(path)


def test_c20_more_than_25_mb_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= MAX_BYTES + 1
            self.given += size
            return b"\0" * size

    endless = Endless()
    assert "25 MB" in refusal(endless)
    assert endless.given <= MAX_BYTES + 1
    assert "25 MB" in refusal(encoded(scene(), "PNG") + b"\0" * MAX_BYTES)


@pytest.mark.parametrize("nothing", [None, 5, [1, 2], {"path": "x"}, io.StringIO("text")])
def test_c23_no_picture_is_refused(nothing: object) -> None:
    assert "picture" in refusal(nothing)


SETTINGS = {
    "method": "preview",
    "seed": 2**32 - 1,
    "guidance_scale": 2.1,
    "pose": {"format": "reposedm-pose", "keypoints": [[0.1, 1 / 3, 0.987654321, 2]] * 18},
    "prompt": "ein Mädchen mit 🎈",
}


@pytest.mark.parametrize("channels", [3, 4])
def test_c83_settings_come_back_from_the_png_as_they_were(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, channels), np.uint8)
    path = tmp_path / result_name("preview", SETTINGS["seed"], 1)
    save_png(pixels, path, SETTINGS)
    assert np.array_equal(np.array(Image.open(path)), pixels)
    for source in (path, path.read_bytes(), read_image(path, min_side=1)):
        assert read_settings(source) == (SETTINGS, "")
    assert path.read_bytes() == png_bytes(pixels, SETTINGS)


def test_c83_numpy_numbers_are_stored_as_numbers() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    settings = {"seed": np.int64(7), "scale": np.float32(0.5), "box": np.arange(4)}
    stored, _ = read_settings(png_bytes(pixels, settings))
    assert stored == {"seed": 7, "scale": 0.5, "box": [0, 1, 2, 3]}


@pytest.mark.parametrize("bad", [{"a": float("nan")}, {"a": object()}, {"a": "x" * 70_000}])
def test_c83_settings_that_cannot_be_stored_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        png_bytes(np.zeros((64, 64, 3), np.uint8), bad)


def test_c93_nothing_of_the_uploads_metadata_gets_into_a_result() -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 30.0)
    picture = Image.fromarray(scene())
    upload = encoded(picture, "JPEG", exif=exif, comment=b"SecretPlace")
    assert b"SecretCamera" in upload and b"SecretPlace" in upload
    result = png_bytes(read_image(upload).pixels, {"seed": 1})
    with Image.open(io.BytesIO(result)) as image:
        assert not image.getexif() and "exif" not in image.info and "comment" not in image.info
    assert b"Secret" not in result and b"eXIf" not in result


def settings_png(text: str, key: str = "reposedm") -> bytes:
    return grey_png(before=text_chunk(key, text))


HEAD = '{"schema":"reposedm-settings","version":1'


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("__import__('os').system('touch /tmp/pwned')", "damaged"),
        ('{"__class__": "eval", "seed": 1}', "not RePoseDM's"),
        ("[1, 2, 3]", "not RePoseDM's"),
        ('"text"', "not RePoseDM's"),
        ("", "damaged"),
        (HEAD, "damaged"),
        (HEAD + ',"seed":NaN}', "damaged"),
        (HEAD + ',"scale":1e400}', "damaged"),
        (HEAD + ',"seed":' + "9" * 5000 + "}", "damaged"),
        (HEAD + ',"a":' + "[" * 30_000 + "]" * 30_000 + "}", "damaged"),
        (HEAD + ',"a":"' + "x" * 66_000 + '"}', "64 KB"),
        (HEAD.replace("1", "true") + "}", "damaged"),
        (HEAD.replace("1", "-3") + "}", "damaged"),
        (HEAD.replace("1", '"1"') + "}", "damaged"),
        (HEAD.replace("1", "7") + ',"new":1}', "newer"),
    ],
)
def test_c95_hostile_settings_are_ignored_with_a_note(text: str, note: str) -> None:
    settings, said = read_settings(settings_png(text))
    assert settings is None and note in said


@pytest.mark.parametrize("place", ["before", "after"])
def test_c95_ten_megabytes_of_text_are_not_kept(place: str) -> None:
    data = grey_png(**{place: text_chunk("reposedm", "x" * 10_000_000)})
    photo = read_image(data)
    assert sum(len(value) for value in photo.text.values()) <= 65_537
    settings, note = read_settings(photo)
    assert settings is None and "64 KB" in note
    many = b"".join(text_chunk(f"key {number}", "y") for number in range(5000))
    assert len(read_image(grey_png(before=many)).text) <= 64


@pytest.mark.parametrize(
    ("key", "tool"),
    [("parameters", "Stable Diffusion web UI"), ("workflow", "ComfyUI"), ("prompt", "ComfyUI"),
     ("invokeai_metadata", "InvokeAI"), ("fooocus_scheme", "Fooocus")],
)  # fmt: skip
def test_c95_another_tools_settings_are_ignored_with_a_note(key: str, tool: str) -> None:
    settings, note = read_settings(settings_png("Steps: 20, Seed: 1", key))
    assert settings is None and tool in note


def test_c95_a_picture_without_settings_says_so() -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        settings, note = read_settings(encoded(scene(), kind))
        assert settings is None and "no settings" in note


def test_c98_the_mark_is_always_there_and_the_opt_out_removes_settings_only(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    assert not is_marked(read_image(encoded(pixels, "PNG")))
    for keep in (True, False):
        file = io.BytesIO()
        save_png(pixels, file, SETTINGS, keep_settings=keep)
        photo = read_image(file.getvalue())
        assert is_marked(photo)
        assert photo.text["Software"].startswith("RePoseDM")
        assert "compositeWithTrainedAlgorithmicMedia" in photo.text["XML:com.adobe.xmp"]
        settings, note = read_settings(photo)
        assert (settings == SETTINGS) if keep else (settings is None and "no settings" in note)
        assert (b"4294967295" in file.getvalue()) == keep
    assert is_marked(read_image(png_bytes(pixels)))


def test_c98_the_stored_json_names_its_schema() -> None:
    text = read_image(png_bytes(np.zeros((64, 64, 3), np.uint8), {"seed": 3})).text["reposedm"]
    assert json.loads(text) == {"schema": "reposedm-settings", "version": 1, "seed": 3}
