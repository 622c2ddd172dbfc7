"""What every reader of a picture may rely on."""

import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.errors import ImageError
from reposedm.imaging import Photo, read_image

PHOTOS = Path(__file__).parents[3] / "shared" / "photos"


def jpeg(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def gradient(width: int = 200, height: int = 160) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack((rows, columns, rows + columns), 2).astype(np.uint8))


def test_bytes_paths_and_files_give_the_same_picture(tmp_path: Path) -> None:
    data = jpeg(gradient())
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    first = read_image(data)
    assert isinstance(first, Photo) and first.size == (200, 160) and first.notes == ()
    with path.open("rb") as file:
        others = [read_image(file), read_image(path), read_image(str(path)), read_image(data)]
    for other in others:
        assert np.array_equal(other.pixels, first.pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pixels_are_always_contiguous_writable_rgb(mode: str) -> None:
    file = io.BytesIO()
    Image.new(mode, (80, 64)).save(file, "PNG")
    pixels = read_image(file.getvalue()).pixels
    assert pixels.shape == (64, 80, 3) and pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous and pixels.flags.writeable


def test_reading_in_threads_is_the_same_and_leaves_no_warning_filters() -> None:
    data = jpeg(gradient())
    alone = read_image(data).pixels
    before = len(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        photos = list(pool.map(read_image, [data] * 200))
    assert all(np.array_equal(photo.pixels, alone) for photo in photos)
    assert len(warnings.filters) <= before + 2


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no local photos")
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"quality": 20}],
    ids=str,
)
def test_real_photos_are_read_whole_and_refused_cut(options: dict[str, object]) -> None:
    for path in sorted(PHOTOS.glob("*.jpg"))[:4]:
        assert read_image(path).size == Image.open(path).size
        data = jpeg(Image.open(path).convert("RGB"), **options)
        assert read_image(data).notes == ()
        for part in (0.2, 0.5, 0.9):
            with pytest.raises(ImageError, match="damaged"):
                read_image(data[: int(len(data) * part)] + b"\xff\xd9")
