"""The person taken apart: once for a photo, at a bounded size, and only where a warp can do it."""

import cv2
import numpy as np
import pytest

from reposedm.jobs import puppets
from reposedm.jobs.puppets import forget_puppets, puppet_of, resized, warped_person
from reposedm.pose import Pose
from tests.drawn import photo


@pytest.fixture(autouse=True)
def _forget() -> None:
    forget_puppets()


def person() -> tuple[np.ndarray, Pose, np.ndarray]:
    return photo(192, 256)


def test_a_person_is_taken_apart_once() -> None:
    image, pose, mask = person()
    first = puppet_of(image, pose, mask)
    assert puppet_of(image.copy(), pose, mask.copy()) is first
    assert puppet_of(image, pose, np.roll(mask, 3, 1)) is not first


def test_the_same_pose_is_the_person_in_place() -> None:
    image, pose, mask = person()
    layer = warped_person(image, pose, pose, mask)
    assert layer is not None and layer.shape == (*image.shape[:2], 4)
    inner = cv2.erode(mask, np.ones((15, 15))) > 0.99
    away = np.abs(layer[..., :3].astype(int) - image).max(-1)
    assert (away[inner] <= 8).mean() > 0.95 and (layer[..., 3][inner] > 250).mean() > 0.95


def test_a_large_photo_is_taken_apart_in_a_smaller_size(monkeypatch: pytest.MonkeyPatch) -> None:
    image, pose, mask = person()
    monkeypatch.setattr(puppets, "MAX_SIDE", max(image.shape) // 2)
    layer = warped_person(image, pose, pose, mask)
    assert layer is not None and layer.shape == (*image.shape[:2], 4)
    half = (image.shape[1] // 2, image.shape[0] // 2)
    assert resized(pose, half).size == half
    inner = cv2.erode(mask, np.ones((15, 15))) > 0.99
    assert (layer[..., 3][inner] > 240).mean() > 0.95


def test_nothing_is_warped_where_nobody_is_or_another_side_is_wanted() -> None:
    image, pose, mask = person()
    assert warped_person(image, pose, pose, np.zeros_like(mask)) is None
    points = np.array(pose.points)
    swap = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]
    turned = pose.replace(points=points[swap])
    assert warped_person(image, pose, turned, mask) is None
