"""Drawn people: the correspondence is exact, and everything follows from the seed."""

import cv2
import numpy as np
import pytest

from reposedm.errors import SettingsError
from reposedm.pose import JointState
from training.datasets import drawn
from training.datasets.drawn import SyntheticPairs

SIZE = (128, 96)


def looked_at(sample) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the source pixels that the target's pixels look at."""
    height, width = sample.size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = columns + sample.mapping[0], rows + sample.mapping[1]
    return np.clip(x.astype(int), 0, width - 1), np.clip(y.astype(int), 0, height - 1)


def test_the_mapping_takes_the_target_from_the_source() -> None:
    data = SyntheticPairs(people=3, poses=3, size=SIZE)
    shares, errors, still = [], [], []
    for index in range(len(data)):
        sample = data[index]
        x, y = looked_at(sample)
        seen = sample.seen > 0
        target = sample.target_image.astype(float)
        difference = np.abs(sample.source_image[y, x] - target).mean(-1)
        errors.append(difference[seen].mean())
        still.append(np.abs(sample.source_image - target).mean(-1)[seen].mean())
        shares.append(seen.sum() / (sample.target_alpha > 127).sum())
    assert 0.5 < np.mean(shares) < 0.98  # most of a person is seen, some is hidden
    assert np.mean(errors) < 8  # half a pixel of a textured capsule
    assert np.mean(still) > 4 * np.mean(errors)


def test_every_joint_lands_on_the_same_joint() -> None:
    """The mapping at a target joint that is seen points at the source's joint."""
    data = SyntheticPairs(people=2, poses=3, size=SIZE)
    checked = 0
    for index in range(len(data)):
        sample = data[index]
        for joint in (3, 4, 6, 7, 9, 10, 12, 13):  # ends of limbs
            column, row = sample.target_pose.points[joint].astype(int)
            inside = 0 <= column < SIZE[1] and 0 <= row < SIZE[0]
            if not inside or not sample.seen[row, column]:
                continue
            if sample.target_pose.state[joint] != JointState.VISIBLE:
                continue
            centre = np.array((column + 0.5, row + 0.5))
            looked = centre + sample.mapping[:, row, column]
            away = sample.target_pose.points[joint] - centre
            error = np.linalg.norm(looked - sample.source_pose.points[joint])
            assert error <= np.linalg.norm(away) + 0.02 * SIZE[0]
            checked += 1
    assert checked > 30


def test_a_picture_on_itself_moves_nothing() -> None:
    one = drawn._drawing(0, 1, 2, SIZE)
    mapping, seen = drawn._correspondence(one, one)
    assert np.abs(mapping).max() < 1e-4
    assert np.array_equal(seen > 0, one.part >= 0)


def test_what_is_behind_another_part_is_not_seen() -> None:
    """Seen are only points of the person that the source's picture of the person has."""
    data = SyntheticPairs(people=2, poses=3, size=SIZE)
    for index in range(len(data)):
        sample = data[index]
        assert not sample.seen[sample.target_alpha == 0].any()
        x, y = looked_at(sample)
        person = cv2.dilate(sample.source_alpha, np.ones((3, 3), np.uint8))  # or a pixel's corner
        assert (person[y, x][sample.seen > 0] > 0).all()


def test_states_are_what_the_picture_shows() -> None:
    states = np.array([SyntheticPairs(40, 2)[2 * i].source_pose.state for i in range(40)])
    share = [(states == state).mean() for state in (0, 1, 2)]
    assert share[2] > 0.7
    assert share[1] > 0.005  # an arm behind the trunk
    wrists = states[:, [4, 7]]
    assert (wrists == JointState.HIDDEN).any()  # a hand outside the picture


def test_numbers_decide_everything() -> None:
    first, second = SyntheticPairs(seed=3), SyntheticPairs(seed=3)
    drawn._drawing.cache_clear()
    a = first[5]
    drawn._drawing.cache_clear()
    b = second[5]
    assert np.array_equal(a.source_image, b.source_image)
    assert np.array_equal(a.mapping, b.mapping) and a.target_pose == b.target_pose
    other = SyntheticPairs(seed=4)[5]
    assert np.abs(other.source_image.astype(int) - a.source_image).mean() > 10


def test_every_ordered_pair_comes_once() -> None:
    data = SyntheticPairs(people=2, poses=3)
    names = {data[i].pair for i in range(len(data))}
    assert len(data) == len(names) == 2 * 3 * 2
    assert all(data[i].source_name[:-1] == data[i].target_name[:-1] for i in range(len(data)))
    with pytest.raises(IndexError):
        data[len(data)]
    assert len(list(data)) == 12  # iteration ends


@pytest.mark.parametrize("wrong", [{"people": 0}, {"poses": 1}, {"size": (16, 64)}, {"seed": -1}])
def test_impossible_numbers_are_refused(wrong: dict) -> None:
    with pytest.raises(SettingsError, match="drawn pairs need"):
        SyntheticPairs(**wrong)
