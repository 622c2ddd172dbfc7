"""Paste back: what must change changes, and the rest of the photo is the photo's, bit by bit."""

import cv2
import numpy as np
import pytest

from reposedm.imaging import FEATHER, Frame, cut_out, on_plain, over, paste_back

HEIGHT, WIDTH = 300, 240


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def disc(center: tuple[int, int], radius: int, soft: float = 0) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(columns - center[0], rows - center[1]) - radius
    return np.clip(0.5 - distance / max(soft, 1e-6), 0, 1).astype(np.float32)


def layer_of(alpha: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    layer = np.empty((*alpha.shape, 4), np.uint8)
    layer[..., :3] = color
    layer[..., 3] = np.rint(alpha * 255)
    return layer


FRAMES = [
    Frame((10, 20, 10 + 11 * 15, 20 + 16 * 15), (165, 240), (WIDTH, HEIGHT)),
    Frame((-40, -60, -40 + 11 * 28, -60 + 16 * 28), (352, 512), (WIDTH, HEIGHT)),
    Frame((-40, -60, -40 + 11 * 28, -60 + 16 * 28), (88, 128), (WIDTH, HEIGHT)),
]


@pytest.mark.parametrize("frame", FRAMES, ids=["native", "larger", "smaller"])
@pytest.mark.parametrize("soft", [0, 6])
def test_far_pixels_are_bit_equal_and_both_persons_are_done(
    photo: np.ndarray, frame: Frame, soft: float
) -> None:
    old, new = disc((80, 120), 30, soft), disc((130, 160), 25, soft)
    background = np.full_like(photo, 77)  # as different from the photo as can be, everywhere
    rgba = frame.crop(layer_of(new, (250, 5, 5)), fill=0)
    result = paste_back(photo, background, frame, rgba, old)

    placed = frame.place(rgba)[..., 3]
    both = (old >= 0.5) | (placed >= 128)
    distance = cv2.distanceTransform((~both).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    far = distance > FEATHER
    assert far.sum() > 20_000
    assert np.array_equal(result[far], photo[far])
    gone = (old >= 0.5) & (placed == 0)
    assert gone.sum() > 500 and (result[gone] == 77).all()
    there = placed == 255
    assert there.sum() > 500 and (np.abs(result[there].astype(int) - (250, 5, 5)) <= 1).all()


def test_the_feather_falls_smoothly_from_background_to_photo() -> None:
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    background = np.full_like(photo, 200)
    old = np.zeros((HEIGHT, WIDTH), np.float32)
    old[:, :100] = 1  # the silhouette ends at column 99
    frame = Frame((0, 0, WIDTH, HEIGHT), (WIDTH, HEIGHT), (WIDTH, HEIGHT))
    empty = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    row = paste_back(photo, background, frame, empty, old)[150, :, 0].astype(int)
    assert (row[: 100 + FEATHER // 2] == 200).all()
    assert row[99 + 3 * FEATHER // 4] == 100  # half-way between half the feather and all of it
    assert (row[99 + FEATHER :] == 0).all()
    assert (np.diff(row) <= 0).all() and np.diff(row).min() >= -40


def test_without_a_person_the_photo_comes_back(photo: np.ndarray) -> None:
    frame = FRAMES[0]
    empty = np.zeros((240, 165, 4), np.uint8)
    background = np.zeros_like(photo)
    for mask in (None, np.zeros((HEIGHT, WIDTH), np.float32)):
        result = paste_back(photo, background, frame, empty, mask)
        assert np.array_equal(result, photo) and result is not photo


def test_the_same_person_over_the_same_background_changes_nothing(photo: np.ndarray) -> None:
    frame = FRAMES[0]
    mask = disc((90, 140), 40, 5)
    rgba = np.dstack((photo, np.rint(mask * 255).astype(np.uint8)))
    result = paste_back(photo, photo, frame, frame.crop(rgba), mask)
    assert np.array_equal(result, photo)


def test_a_person_across_the_border_of_the_photo(photo: np.ndarray) -> None:
    mask = disc((0, 0), 50)
    result = paste_back(
        photo, np.zeros_like(photo), FRAMES[0], np.zeros((240, 165, 4), np.uint8), mask
    )
    assert (result[:30, :30] == 0).all()
    assert np.array_equal(result[100:], photo[100:])


def test_pictures_of_another_size_are_a_mistake(photo: np.ndarray) -> None:
    empty = np.zeros((240, 165, 4), np.uint8)
    with pytest.raises(ValueError, match="background"):
        paste_back(photo, photo[1:], FRAMES[0], empty, None)
    with pytest.raises(ValueError, match="mask"):
        paste_back(photo, photo, FRAMES[0], empty, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="does not fit"):
        over(photo, empty)


def test_over_is_exact_at_both_ends_and_half_way_between() -> None:
    background = np.full((1, 3, 3), 100, np.uint8)
    layer = np.full((1, 3, 4), 200, np.uint8)
    layer[0, :, 3] = (0, 255, 51)
    assert over(background, layer)[0, :, 0].tolist() == [100, 200, 120]


def test_plain_and_transparent_backgrounds() -> None:
    frame = Frame((10, 10, 21, 26), (11, 16), (40, 40))
    rgba = np.zeros((16, 11, 4), np.uint8)
    rgba[..., 0] = 99  # hidden under alpha 0
    rgba[4:8, 4:8] = (10, 20, 30, 255)
    alone = cut_out(frame, rgba)
    assert alone.shape == (16, 11, 4) and (alone[alone[..., 3] == 0] == 0).all()
    assert (rgba[0, 0] == (99, 0, 0, 0)).all()  # the layer itself is left as it was
    placed = cut_out(frame, rgba, on_photo=True)
    assert placed.shape == (40, 40, 4) and placed[14, 14].tolist() == [10, 20, 30, 255]
    assert placed[..., 3].astype(bool).sum() == 16
    plain = on_plain(rgba, (1, 2, 3))
    assert plain[0, 0].tolist() == [1, 2, 3] and plain[5, 5].tolist() == [10, 20, 30]
