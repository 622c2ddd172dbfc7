"""Holes in the puppet's trunk are filled, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reposedm.pipelines.puppet.closing import close_trunk
from reposedm.pose import Pose
from tests import drawn

SHIRT = (200, 40, 60)


@pytest.fixture
def pose() -> Pose:
    return drawn.photo(192, 256)[1]


def person(pose: Pose) -> tuple[NDArray[np.uint8], tuple[slice, slice], tuple[slice, slice]]:
    """A block of shirt around the trunk, with one hole in it and one slit that is open above."""
    picture = np.zeros((256, 192, 4), np.uint8)
    trunk = pose.points[[2, 5, 8, 11]]
    (left, top), (right, bottom) = trunk.min(0).astype(int), trunk.max(0).astype(int)
    picture[top - 8 : bottom + 8, left - 8 : right + 8] = (*SHIRT, 255)
    x, y = (left + right) // 2, (top + bottom) // 2
    hole, slit = np.s_[y : y + 8, x - 4 : x + 4], np.s_[0 : y - 4, x - 2 : x + 2]
    for where in (hole, slit):
        picture[where] = 0
    return picture, hole, slit


def test_the_trunk_has_no_holes(pose: Pose) -> None:
    picture, hole, slit = person(pose)
    before = picture.copy()
    close_trunk(picture, pose.points, enclosed=False)
    assert (picture[hole][..., 3] > 250).all()
    assert np.abs(picture[hole][..., :3].astype(int) - SHIRT).max() <= 3
    inside = picture[slit][-12:]  # below the shoulders
    assert (inside[..., 3] > 250).all()
    assert not picture[:4].any()  # far above, nothing appeared
    solid = before[..., 3] == 255
    assert np.array_equal(picture[solid], before[solid])


def test_where_joints_are_guessed_only_what_is_surrounded_is_filled(pose: Pose) -> None:
    picture, hole, slit = person(pose)
    close_trunk(picture, pose.points, enclosed=True)
    assert (picture[hole][2:-2, 2:-2, 3] > 250).all()
    assert not picture[slit].any()


def test_a_whole_trunk_and_one_outside_the_picture_stay(pose: Pose) -> None:
    whole = np.full((256, 192, 4), 255, np.uint8)
    close_trunk(whole, pose.points, enclosed=False)
    assert (whole == 255).all()
    picture, _, _ = person(pose)
    before = picture.copy()
    close_trunk(picture, pose.points + 10_000, enclosed=False)
    close_trunk(picture, np.zeros((18, 2)), enclosed=True)
    assert np.array_equal(picture, before)


def test_from_the_side_a_tear_beside_the_joints_is_closed_and_from_the_front_not(
    pose: Pose,
) -> None:
    picture, _, _ = person(pose)
    trunk = pose.points[[2, 5, 8, 11]]
    right, (top, bottom) = int(trunk[:, 0].max()), trunk[[0, 2], 1].astype(int)
    shirt = np.s_[top:bottom, right : right + 30]
    picture[shirt] = (*SHIRT, 255)
    tear = np.s_[top + 12 : top + 24, right + 6 : right + 16]
    picture[tear] = 0
    front = picture.copy()
    close_trunk(front, pose.points, enclosed=False)
    assert not front[tear][2:-2, 2:-2, 3].any()
    points = np.array(pose.points)
    points[:, 0] = right - 4 + 0.1 * (points[:, 0] - right)  # shoulders one behind the other
    close_trunk(picture, points, enclosed=False)
    assert (picture[tear][2:-2, 2:-2, 3] > 250).all()
    assert np.abs(picture[tear][2:-2, 2:-2, :3].astype(int) - SHIRT).max() <= 3
