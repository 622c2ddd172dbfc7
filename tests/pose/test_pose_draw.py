"""The drawn map: numbers by hand, and controlnet-aux's own drawing pixel by pixel."""

import numpy as np
import pytest

from reposedm.errors import PoseError
from reposedm.pose import JointState, Pose, draw_map, preset, preset_names
from reposedm.pose.draw import LIMB_DIM, SHORT_SIDE, STICK, map_size
from reposedm.pose.skeleton import COLORS


def two_joints(a: tuple, b: tuple, joints: tuple = (2, 3), size: tuple = (512, 512)) -> Pose:
    """Only a right upper arm (limb 2)."""
    points, state = np.zeros((18, 2)), np.zeros(18)
    points[list(joints)] = (a, b)
    state[list(joints)] = JointState.VISIBLE
    return Pose(points, np.ones(18), state, size)


def test_a_limb_by_hand() -> None:
    picture = draw_map([two_joints((100.0, 100.0), (200.0, 100.0))])
    limb = [int(c * 0.6) for c in COLORS[2]]
    assert picture.shape == (512, 512, 3)
    assert picture[100, 150].tolist() == limb
    assert picture[104, 150].tolist() == limb
    assert picture[96, 150].tolist() == limb
    assert not picture[105, 150].any()
    assert not picture[95, 150].any()
    assert picture[100, 100].tolist() == list(COLORS[2])
    assert picture[100, 204].tolist() == list(COLORS[3])
    assert not picture[100, 205].any()
    assert not picture[100, 95].any()


def test_hidden_is_not_drawn_and_behind_is() -> None:
    pose = two_joints((100.0, 100.0), (200.0, 100.0))
    behind = pose.replace(state=np.where(pose.drawn, JointState.BEHIND, 0))
    np.testing.assert_array_equal(draw_map([behind]), draw_map([pose]))
    state = pose.state.copy()
    state[3] = JointState.HIDDEN
    picture = draw_map([pose.replace(state=state)])
    assert picture[100, 100].any()
    assert not picture[:, 106:].any()


def test_sizes() -> None:
    pose = two_joints((100.0, 100.0), (200.0, 100.0), size=(300, 450))
    assert draw_map([pose]).shape == (768, 512, 3)
    assert draw_map([pose], 128).shape == (192, 128, 3)
    assert draw_map([pose], None).shape == (450, 300, 3)
    thin = draw_map([pose], 128)
    assert thin.any(-1)[:, 64].sum() == 3, "1 px to either side at a quarter of the size"
    with pytest.raises(PoseError, match="not possible"):
        map_size((65535, 1), SHORT_SIDE)
    with pytest.raises(PoseError, match="nobody"):
        draw_map([])
    with pytest.raises(PoseError, match="one photo"):
        draw_map([pose, preset("back")])


def test_joints_far_outside_are_drawn_nowhere_and_fast() -> None:
    far = two_joints((1e6, -1e6), (-1e6, 1e6 - 7), size=(100, 100))
    assert draw_map([far]).shape == (512, 512, 3)
    tiny = two_joints((1e6, -1e6), (-1e6, 1e6), size=(16, 16))
    assert draw_map([tiny]).shape == (512, 512, 3)


def test_the_page_finds_the_constants() -> None:
    assert (SHORT_SIDE, STICK, LIMB_DIM) == (512, 4, 0.6)


@pytest.mark.models
@pytest.mark.parametrize("size", [(512, 512), (400, 600), (1999, 1333)])
def test_equals_controlnet_aux_pixel_by_pixel(size: tuple) -> None:
    util = pytest.importorskip("controlnet_aux.open_pose.util")
    body = pytest.importorskip("controlnet_aux.open_pose.body")
    for name in preset_names():
        pose = preset(name, size=size)
        keypoints = [
            body.Keypoint(x=float(x) / size[0], y=float(y) / size[1]) if drawn else None
            for (x, y), drawn in zip(pose.points, pose.drawn, strict=True)
        ]
        ours = draw_map([pose])
        theirs = util.draw_bodypose(np.zeros_like(ours), keypoints)
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        assert ours.any()
