"""The person taken apart: once for a photo, at a bounded size, and only where a warp can do it."""

import cv2
import numpy as np
import pytest

from reposedm.jobs import puppets
from reposedm.jobs.puppets import (
    empty_photo,
    forget_puppets,
    prepare_person,
    puppet_of,
    resized,
    warped_person,
)
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
    found = warped_person(image, pose, pose, mask)
    assert found is not None
    layer, sure = found.rgba, found.sure
    assert layer.shape == (*image.shape[:2], 4) and sure.shape == image.shape[:2]
    inner = cv2.erode(mask, np.ones((15, 15))) > 0.99
    assert sure[inner].mean() > 0.97 and sure[mask < 0.01].mean() < 0.02
    assert not found.unknown.any()
    away = np.abs(layer[..., :3].astype(int) - image).max(-1)
    assert (away[inner] <= 8).mean() > 0.95 and (layer[..., 3][inner] > 250).mean() > 0.95


def test_a_large_photo_is_taken_apart_in_a_smaller_size(monkeypatch: pytest.MonkeyPatch) -> None:
    image, pose, mask = person()
    monkeypatch.setattr(puppets, "MAX_SIDE", max(image.shape) // 2)
    found = warped_person(image, pose, pose, mask)
    assert found is not None
    layer, sure = found.rgba, found.sure
    assert layer.shape == (*image.shape[:2], 4) and sure.shape == image.shape[:2]
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


def test_what_points_another_way_in_space_is_not_certain() -> None:
    image, pose, mask = person()
    points = np.array(pose.points)
    shorter = points.copy()
    shorter[4] = points[3] + 0.2 * (points[4] - points[3])  # a forearm that comes forward
    found = warped_person(image, pose, pose.replace(points=shorter), mask)
    assert found is not None
    thigh = tuple(np.rint(points[[8, 9]].mean(0)).astype(int)[::-1])
    forearm = tuple(np.rint(shorter[[3, 4]].mean(0)).astype(int)[::-1])
    assert found.sure[thigh] > 0.9 and found.sure[forearm] < 0.5
    assert found.unknown[forearm] == 1 and found.unknown[thigh] == 0


def test_a_limb_that_turns_in_the_plane_stays_certain_and_a_profile_is_not() -> None:
    image, pose, mask = person()
    points = np.array(pose.points)
    lifted = points.copy()
    lifted[4] = points[3] + (points[4] - points[3]) @ np.array([[0, 1], [-1, 0]])
    found = warped_person(image, pose, pose.replace(points=lifted), mask)
    assert found is not None
    forearm = tuple(np.rint(lifted[[3, 4]].mean(0)).astype(int)[::-1])
    assert found.sure[forearm] > 0.9
    narrow = points.copy()  # shoulders and hips nearly one behind the other
    narrow[:, 0] = points[1, 0] + 0.25 * (points[:, 0] - points[1, 0])
    found = warped_person(image, pose, pose.replace(points=narrow), mask)
    trunk = tuple(np.rint(points[[1, 8, 11]].mean(0)).astype(int)[::-1])
    assert found is not None and found.sure[trunk] < 0.5 and found.unknown[trunk] == 1
    nose = tuple(np.rint(narrow[0]).astype(int)[::-1])
    assert found.sure[nose] > 0.9  # a face is who somebody is


def test_a_limb_that_nobody_has_is_stretched_and_not_left_out() -> None:
    image, pose, mask = person()
    points = np.array(pose.points)
    points[4] = points[3] + 6 * (points[4] - points[3])
    found = warped_person(image, pose, pose.replace(points=points), mask)
    assert found is not None
    forearm = tuple(np.rint(points[3] + 0.3 * (points[4] - points[3])).astype(int)[::-1])
    assert found.sure[forearm] > 0.9 and found.unknown[forearm] == 0


def profile(pose: Pose, width: float) -> Pose:
    """The pose with shoulders and hips nearer together, as if turned away from the camera."""
    points = np.array(pose.points)
    points[:, 0] = points[1, 0] + width * (points[:, 0] - points[1, 0])
    return pose.replace(points=points)


def test_a_trunk_that_turns_flings_nothing_about() -> None:
    image, pose, mask = person()
    narrow = profile(pose, 0.2)  # on the photo; then wanted five times as wide
    found = warped_person(image, narrow, pose, mask)
    assert found is not None
    stray = (found.unknown < 0.01) & (found.sure < 0.2) & (found.rgba[..., 3] > 8)
    assert stray.mean() < 0.001
    nose = tuple(np.rint(pose.points[0]).astype(int)[::-1])
    assert found.sure[nose] > 0.9 and found.rgba[nose][3] > 240  # the head is still there


def test_what_was_cut_out_with_the_head_is_not_as_certain_as_the_face() -> None:
    image, pose, mask = person()
    found = warped_person(image, profile(pose, 0.2), pose, mask)
    assert found is not None
    nose, neck = pose.points[0], pose.points[1]
    chin = tuple(np.rint(neck + 0.15 * (nose - neck)).astype(int)[::-1])
    aside = np.array([1.5 * np.hypot(*(nose - neck)), 0])
    beside = tuple(np.rint(nose + aside).astype(int)[::-1])
    assert found.sure[chin] < 0.5 and found.sure[beside] < 0.2


def test_the_photo_without_its_person_is_made_once_and_never_changed() -> None:
    image, _, mask = person()
    empty = empty_photo(image, mask)
    assert empty_photo(image.copy(), mask.copy()) is empty
    assert empty_photo(image, np.zeros_like(mask)) is not empty
    with pytest.raises(ValueError, match="read-only"):
        empty[0, 0] = 0
    forget_puppets()
    again = empty_photo(image, mask)
    assert again is not empty and np.array_equal(again, empty)


@pytest.mark.parametrize("divided", [1, 2])
def test_what_is_prepared_is_not_made_again(monkeypatch: pytest.MonkeyPatch, divided: int) -> None:
    image, pose, mask = person()
    monkeypatch.setattr(puppets, "MAX_SIDE", max(image.shape) // divided)
    prepare_person(image, pose, mask)

    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(puppets, "fill_background", refuse)
    monkeypatch.setattr("reposedm.pipelines.preview.PreviewEngine.prepare", refuse)
    assert empty_photo(image, mask).shape == image.shape
    assert warped_person(image, pose, pose, mask) is not None
    forget_puppets()
    with pytest.raises(AssertionError, match="made again"):
        empty_photo(image, mask)


def test_a_mask_that_shows_nobody_is_prepared_too() -> None:
    image, pose, mask = person()
    prepare_person(image, pose, np.zeros_like(mask))
    assert np.array_equal(empty_photo(image, np.zeros_like(mask)), image)
