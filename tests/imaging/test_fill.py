"""Filling holes: what must stay, what must not leak, what a texture must look like."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reposedm.errors import ImageError
from reposedm.imaging.backdrop import lift_shadow, plain_backdrop
from reposedm.imaging.fill import extend_colours, fill_background, fill_holes
from reposedm.imaging.smooth import smooth_fill

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


@pytest.mark.heavy
def test_a_large_photo_is_filled_in_a_smaller_copy_and_else_untouched() -> None:
    height, width = 2200, 1700
    ramp = np.linspace(60, 200, width)[None, :, None]
    noise = np.random.default_rng(0).integers(0, 9, (height, width, 3))
    photo = (np.broadcast_to(ramp, (height, width, 3)) + noise).astype(np.uint8)
    mask = np.zeros((height, width), np.float32)
    cv2.circle(mask, (width // 2, height // 2), 300, 1.0, -1)
    image = photo.copy()
    image[mask > 0] = (255, 0, 0)
    filled = fill_background(image, mask)
    reach = round(0.02 * float(np.hypot(height, width)))
    outside = cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1))) == 0
    assert np.array_equal(filled[outside], image[outside])
    inside = np.abs(filled[mask > 0].astype(int) - photo[mask > 0])
    assert np.percentile(inside, 99) < 20, "the backdrop goes on where the person was"


def studio(height: int = 320, width: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """A wall in slanting light over a brighter floor, slightly noisy; and a standing mask."""
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    light = 200 - 0.08 * ys + 10 * np.cos((xs - 90) / 200)
    light[250:] = 214 - 0.1 * (ys[250:] - 250)
    noise = np.random.default_rng(0).normal(0, 1, (height, width))
    wall = np.stack([light + noise, 0.98 * light + noise, 0.94 * light + noise], -1)
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(mask, (120, 110), (34, 80), 0, 0, 360, 1.0, -1)
    cv2.line(mask, (105, 150), (100, 292), 1.0, 22)
    cv2.line(mask, (135, 150), (142, 292), 1.0, 22)
    return np.clip(np.rint(wall), 0, 255).astype(np.uint8), cv2.GaussianBlur(mask, (0, 0), 1.0)


def with_shadow(floor: np.ndarray) -> np.ndarray:
    """A soft shadow on the floor, from the feet to the right."""
    dark = np.zeros(floor.shape[:2], np.float32)
    cv2.line(dark, (120, 292), (205, 272), 1.0, 14)
    dark = 1 - 0.25 * cv2.GaussianBlur(dark, (0, 0), 2.0)
    return np.rint(floor * dark[..., None]).astype(np.uint8)


def test_a_studio_backdrop_comes_back_without_a_ghost() -> None:
    """Wall, horizon and floor go on where the person stood: no step that an eye could see."""
    wall, mask = studio()
    filled = fill_background(with_person(wall, mask), mask)
    calm = cv2.GaussianBlur(filled, (0, 0), 2.0).astype(float)
    error = np.abs(calm - cv2.GaussianBlur(wall, (0, 0), 2.0)).max(-1)
    assert error.max() < 4
    assert error[mask > 0.5].mean() < 1
    # It is as noisy as the rest: a smooth patch would show too.
    fine = filled.astype(float) - calm
    assert 0.6 < fine[mask > 0.9].std() / fine[mask == 0].std() < 1.4


def test_a_picture_that_is_no_plain_backdrop_is_left_to_the_patches() -> None:
    mask = disc()
    checks = np.kron(np.indices((H // 8, W // 8)).sum(0) % 2, np.ones((8, 8))) * 120 + 60
    image = np.repeat(checks.astype(np.uint8)[..., None], 3, 2)
    assert plain_backdrop(image, mask > 0.02) is None


def test_the_shadow_that_a_person_threw_goes_with_them() -> None:
    wall, mask = studio()
    kept = fill_background(with_person(with_shadow(wall), mask), mask)
    assert kept[275, 190].mean() < wall[275, 190].mean() - 20  # away from the person: untouched
    lifted = lift_shadow(kept, mask)
    error = np.abs(cv2.blur(lifted, (5, 5)).astype(float) - cv2.blur(wall, (5, 5))).max(-1)
    assert np.quantile(error[240:], 0.99) < 6 and error.max() < 14
    assert np.array_equal(lifted[:230], kept[:230])


def test_things_on_the_floor_are_no_shadows() -> None:
    """A dark pole and a red bag beside the feet stay where they are."""
    wall, mask = studio()
    cv2.line(wall, (170, 200), (160, 296), (25, 25, 25), 4)
    cv2.rectangle(wall, (60, 270), (82, 295), (190, 40, 40), -1)
    background = fill_background(with_person(wall, mask), mask)
    lifted = lift_shadow(background, mask)
    things = np.zeros(mask.shape, bool)
    things[270:296, 60:83] = True
    things[205:290] |= (wall[205:290] == 25).all(-1)
    things &= cv2.dilate((mask > 0.02).astype(np.uint8), np.ones((13, 13), np.uint8)) == 0
    assert things.sum() > 600
    assert np.abs(lifted[things].astype(int) - wall[things]).max() <= 3


def test_a_scene_without_a_shadow_is_not_touched() -> None:
    wall, mask = studio()
    background = fill_background(with_person(wall, mask), mask)
    assert (lift_shadow(background, mask) != background).any(-1).mean() < 0.02
    assert np.array_equal(lift_shadow(scene(), disc()), scene())
    empty = np.zeros((H, W), np.float32)
    assert np.array_equal(lift_shadow(scene(), empty), scene())
