"""Filling holes: what must stay, what must not leak, what a texture must look like."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reposedm.errors import ImageError
from reposedm.imaging.fill import extend_colours, fill_background, fill_holes, smooth_fill

H, W = 240, 200


def disc(radius: int = 40, soft: float = 1.0) -> np.ndarray:
    mask = np.zeros((H, W), np.float32)
    cv2.circle(mask, (W // 2, H // 2), radius, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), soft)


def scene() -> np.ndarray:
    """Grey stripes of 6 + 6 pixels."""
    rows = np.where(np.arange(H) // 6 % 2 == 0, 90, 170).astype(np.uint8)
    return np.repeat(np.repeat(rows[:, None], W, 1)[..., None], 3, 2)


def with_person(background: np.ndarray, mask: np.ndarray) -> np.ndarray:
    alpha = mask[..., None]
    return np.rint(background * (1 - alpha) + np.array([255, 0, 0]) * alpha).astype(np.uint8)


def test_pixels_away_from_the_person_are_bit_equal() -> None:
    mask = disc()
    image = with_person(scene(), mask)
    filled = fill_background(image, mask)
    far = cv2.dilate((mask > 0.02).astype(np.uint8), np.ones((17, 17), np.uint8)) == 0
    assert np.array_equal(filled[far], image[far])
    assert not np.array_equal(filled, image)


@pytest.mark.parametrize("soft", [0.8, 2.5, 5.0])
def test_no_colour_of_the_person_is_left(soft: float) -> None:
    mask = disc(soft=soft)
    filled = fill_background(with_person(scene(), mask), mask).astype(int)
    redness = filled[..., 0] - filled[..., 1]
    # The mask's last 2 % may tint the known rim by at most 2 % of 255.
    assert redness.max() <= 20


def test_the_texture_goes_on_inside() -> None:
    mask = disc()
    background = scene()
    filled = fill_background(with_person(background, mask), mask)
    inside = mask > 0.9
    error = np.abs(filled.astype(int) - background).mean(-1)[inside].mean()
    assert error < 20  # a flat grey would be off by 40
    assert filled[inside].std() > 0.6 * background[inside].std()


def test_a_flat_and_a_sloping_background_come_back_exactly() -> None:
    mask = disc()
    flat = np.full((H, W, 3), (10, 120, 240), np.uint8)
    assert np.abs(fill_background(with_person(flat, mask), mask).astype(int) - flat).max() <= 6
    slope = np.zeros((H, W, 3), np.uint8)
    slope[...] = np.linspace(40, 200, W)[None, :, None]
    difference = fill_background(with_person(slope, mask), mask).astype(int) - slope
    assert np.abs(difference).mean(where=(mask > 0.5)[..., None]) < 14


def test_nobody_nothing_and_no_background() -> None:
    image = scene()
    assert np.array_equal(fill_background(image, np.zeros((H, W), np.float32)), image)
    filled = fill_background(image, np.ones((H, W), np.float32))
    assert (filled == 128).all()
    almost = np.ones((H, W), np.float32)
    almost[:, :3] = 0
    assert fill_background(image, almost).shape == image.shape


def test_deterministic() -> None:
    mask = disc()
    image = with_person(scene(), mask)
    assert np.array_equal(fill_background(image, mask), fill_background(image, mask))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 3), (64, 2000)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 200, np.uint8)
    mask = np.zeros(size, np.float32)
    mask[size[0] // 2, size[1] // 2] = 1
    assert fill_background(image, mask).shape == image.shape


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ImageError, match="size"):
        fill_background(scene(), np.zeros((5, 5), np.float32))


def test_holes_are_filled_from_the_given_source_only() -> None:
    image = np.zeros((80, 90, 3), np.uint8)
    image[:, :45] = (0, 0, 255)
    image[:, 45:] = (0, 255, 0)
    hole = np.zeros((80, 90), bool)
    hole[30:50, 40:60] = True
    source = np.zeros_like(hole)
    source[:, :35] = True
    filled = fill_holes(image, hole, source)
    assert (filled[hole][:, 1] < 10).all() and (filled[hole][:, 2] > 245).all()
    assert np.array_equal(filled[~hole], image[~hole])


def test_extend_takes_the_nearest_known_colour() -> None:
    image = np.zeros((1, 10, 3), np.uint8)
    image[0, 2], image[0, 9] = 50, 90
    known = np.zeros((1, 10), bool)
    known[0, [2, 9]] = True
    assert extend_colours(image, known)[0, :, 0].tolist() == [50] * 6 + [90] * 4
    assert np.array_equal(extend_colours(image, np.zeros_like(known)), image)


def test_smooth_fill_stays_between_the_known_values() -> None:
    values = np.zeros((32, 32, 1), np.float32)
    known = np.zeros((32, 32), bool)
    known[:, 0], known[:, -1] = True, True
    values[:, -1] = 100
    filled = smooth_fill(values, known)
    assert np.array_equal(filled[known], values[known])
    assert filled.min() >= -1e-3 and filled.max() <= 100 + 1e-3
    middle = filled[16, :, 0]
    assert middle[4] < 40 and middle[27] > 60
