"""PCKh and its torso sibling, by hand."""

import numpy as np
import pytest

from reposedm.errors import PoseError
from reposedm.pose import JointState, Pose, pckh, preset, within_torso

SIZE = (400, 400)


def wanted(hidden: tuple = ()) -> Pose:
    """Nose 20 px above the neck (head 40), shoulders 50 px wide (0.6 x = 30), trunk 100."""
    points = np.full((18, 2), 200.0)
    points[0], points[1] = (200, 80), (200, 100)
    points[2], points[5] = (175, 100), (225, 100)
    points[8], points[11] = (190, 200), (210, 200)
    state = np.full(18, 2)
    state[list(hidden)] = JointState.HIDDEN
    return Pose(points, np.ones(18), state, SIZE)


def moved(pose: Pose, by: float, joints: list) -> Pose:
    points = pose.points.copy()
    points[joints, 0] += by
    return pose.replace(points=points)


@pytest.mark.parametrize(("by", "value"), [(0, 1.0), (20, 1.0), (20.1, 16 / 18), (-90, 16 / 18)])
def test_pckh_head_is_twice_nose_to_neck(by: float, value: float) -> None:
    pose = wanted()
    assert pckh(moved(pose, by, [4, 7]), pose) == pytest.approx(value)


def test_pckh_without_a_nose_uses_the_shoulders() -> None:
    pose = wanted(hidden=(0,))
    assert pckh(moved(pose, 15, [4]), pose) == 1
    assert pckh(moved(pose, 15.1, [4]), pose) == pytest.approx(16 / 17)
    assert pckh(moved(pose, 15.1, [4]), pose, threshold=0.6) == 1


def test_a_joint_that_is_not_found_is_a_miss_and_a_hidden_one_does_not_count() -> None:
    assert pckh(wanted(hidden=(3, 4, 6)), wanted()) == pytest.approx(15 / 18)
    assert pckh(moved(wanted(), 300, [4]), wanted(hidden=(4,))) == 1


def test_within_torso() -> None:
    pose = wanted()
    assert within_torso(moved(pose, 20, [4]), pose) == 1
    assert within_torso(moved(pose, 20.1, [4]), pose) == pytest.approx(17 / 18)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(PoseError, match="head length"):
        pckh(wanted(), wanted(hidden=(0, 2)))
    with pytest.raises(PoseError, match="torso length"):
        within_torso(wanted(), wanted(hidden=(8,)))
    with pytest.raises(PoseError, match="one photo"):
        pckh(preset("back"), wanted())
