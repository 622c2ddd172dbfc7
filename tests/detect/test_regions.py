"""Regions: numbers that can be checked by hand, and that the way there and back is the same."""

import math

import cv2
import numpy as np
import pytest

from reposedm.detect.bodies import tiles
from reposedm.detect.regions import GROW, Photo, Region


def dot(x: int, y: int, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    """A black photo with a white 3 x 3 block around pixel (x, y)."""
    image = np.zeros((*size, 3), np.uint8)
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    return image


def test_upright_region_maps_its_corners() -> None:
    matrix = Region(50, 40, 20).matrix(200)
    corner = matrix @ [40, 30, 1]
    middle = matrix @ [50, 40, 1]
    np.testing.assert_allclose(corner, [0, 0], atol=1e-9)
    np.testing.assert_allclose(middle, [100, 100], atol=1e-9)


def test_circle_points_the_head_upwards() -> None:
    """Somebody who lies with the head to the right is turned upright: head above the hips."""
    region = Region.of_circle(np.array([50.0, 40.0]), np.array([80.0, 40.0]))
    assert region.side == pytest.approx(2 * GROW * 30)
    head = region.matrix(100) @ [80, 40, 1]
    np.testing.assert_allclose(head, [50, 50 - 100 / (2 * GROW)], atol=1e-6)


@pytest.mark.parametrize("angle", [0, 0.4, -1.3, math.pi])
def test_crop_shows_what_the_matrix_says(angle: float) -> None:
    region = Region(60, 45, 64, angle)
    crop = region.crop(Photo(dot(70, 50)), 128)
    y, x = np.argwhere(crop[..., 0] > 200).mean(0) + 0.5
    np.testing.assert_allclose([x, y], region.matrix(128) @ [70.5, 50.5, 1], atol=0.3)
    back = region.to_photo(np.array([[x / 128, y / 128]], np.float32))
    np.testing.assert_allclose(back[0], [70.5, 50.5], atol=0.2)


def test_uncrop_lays_a_plane_back_where_it_was() -> None:
    region = Region(60, 45, 64, 0.4)
    crop = region.crop(Photo(dot(70, 50)), 128)[..., 0].astype(np.float32) / 255
    plane = region.uncrop(crop, (20, 10), (90, 70))
    assert plane.shape == (70, 90)
    y, x = np.unravel_index(plane.argmax(), plane.shape)
    assert (x + 20, y + 10) == (70, 50)


def test_lay_agrees_with_cropping_directly() -> None:
    here, there = Region(60, 45, 64, 0.4), Region(66, 50, 40, -0.2)
    photo = Photo(cv2.GaussianBlur(dot(70, 50), (0, 0), 3))
    first = here.crop(photo, 256)[..., 0].astype(np.float32)
    direct = there.crop(photo, 256)[..., 0].astype(np.float32)
    assert np.abs(here.lay(first, there, 256) - direct).max() < 4


def test_a_far_shrunk_crop_does_not_alias() -> None:
    """One-pixel stripes become grey, not moire."""
    image = np.zeros((1024, 1024, 3), np.uint8)
    image[:, ::2] = 255
    crop = Region(512, 512, 1024).crop(Photo(image), 128)
    assert crop.min() >= 120 and crop.max() <= 135


def test_odd_and_tiny_photos_have_levels() -> None:
    for shape in [(1, 9, 3), (7, 13, 3), (64, 64, 3)]:
        crop = Region(4, 3, 900).crop(Photo(np.full(shape, 7, np.uint8)), 32)
        assert crop.shape == (32, 32, 3)


@pytest.mark.parametrize("size", [(640, 425), (425, 640), (500, 500), (1200, 160), (64, 512)])
def test_tiles_cover_the_photo(size: tuple[int, int]) -> None:
    width, height = size
    seen = np.zeros((height, width), bool)
    for tile in tiles(width, height)[1:]:
        left, top = round(tile.x - tile.side / 2), round(tile.y - tile.side / 2)
        assert left >= 0 and top >= 0
        seen[top : top + math.ceil(tile.side), left : left + math.ceil(tile.side)] = True
    assert seen.mean() > 0.995
    assert len(tiles(640, 425)) <= 9
