"""Network encodings: heat maps and PIDM's 20 channels, by hand."""

import math

import numpy as np
import pytest

from reposedm.errors import PoseError
from reposedm.pose import JointState, Pose, heat_maps, pidm_encoding, preset
from reposedm.pose.skeleton import COLORS


def pose_of(joints: dict[int, tuple[float, float, int]], size: tuple = (64, 48)) -> Pose:
    points, state = np.zeros((18, 2)), np.zeros(18)
    for joint, (x, y, s) in joints.items():
        points[joint], state[joint] = (x, y), s
    return Pose(points, np.ones(18), state, size)


def test_peaks_and_pixel_centres() -> None:
    pose = pose_of({0: (10.5, 20.5, 2), 4: (30.5, 5.5, 1), 7: (30.5, 5.5, 0)})
    maps = heat_maps(pose, (48, 64), sigma=2.0)
    assert maps.shape == (18, 48, 64)
    assert maps.dtype == np.float32
    assert maps[0, 20, 10] == 1
    assert maps[4, 5, 30] == 0.5
    assert not maps[7].any()
    assert not maps[1].any()
    assert maps[0, 20, 12] == pytest.approx(math.exp(-0.5))
    assert maps[0, 23, 14] == pytest.approx(math.exp(-(3**2 + 4**2) / 8))
    assert maps[4, 7, 30] == pytest.approx(0.5 * math.exp(-0.5))


def test_sigma_is_in_cells_of_the_grid() -> None:
    pose = pose_of({0: (42.0, 22.0, 2)})  # on a quarter grid: (10.5, 5.5), the centre of a cell
    maps = heat_maps(pose, (12, 16), sigma=1.0)
    assert maps[0, 5, 10] == 1
    assert maps[0, 5, 11] == pytest.approx(math.exp(-0.5))
    wide = heat_maps(pose, (12, 16), sigma=(1.0, 3.0))
    assert wide[0, 5, 13] == pytest.approx(math.exp(-0.5))
    assert wide[0, 6, 10] == pytest.approx(math.exp(-0.5))
    with pytest.raises(PoseError):
        heat_maps(pose, (12, 16), sigma=0)
    with pytest.raises(PoseError):
        heat_maps(pose, (0, 16))


def test_heat_maps_are_symmetric_under_mirror() -> None:
    pose = preset("waving", size=(64, 96))
    maps = heat_maps(pose, (48, 32))
    mirrored = heat_maps(pose.mirrored(), (48, 32))
    np.testing.assert_allclose(mirrored[5], maps[2][:, ::-1], atol=1e-5)


def test_pidm_without_a_person() -> None:
    channels = pidm_encoding(pose_of({}), (48, 64))
    assert channels.shape == (20, 48, 64)
    assert not channels[:3].any()
    assert (channels[3:] == 1).all(), "a missing limb is 1 everywhere"


def test_pidm_single_joint_is_a_disc_with_blue_first() -> None:
    channels = pidm_encoding(pose_of({1: (20, 24, 2)}), (48, 64))
    red, green, blue = COLORS[1]  # (255, 85, 0)
    np.testing.assert_allclose(channels[:3, 24, 20], np.array([blue, green, red]) / 255)
    assert channels[2, 24, 24] == 1
    assert channels[2, 24, 25] == 0
    assert (channels[3:] == 1).all()


def test_pidm_limb_by_hand() -> None:
    """A level right upper arm (limb 2, colour (255, 170, 0)) from (10, 24) to (50, 24)."""
    channels = pidm_encoding(pose_of({2: (10, 24, 2), 3: (50, 24, 1)}), (48, 64))
    limb = channels[3 + 2]
    assert (limb[20:29, 30] == 0).all(), "4 px to either side"
    for away, value in ((1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (12, 4)):
        assert limb[28 + away, 30] == pytest.approx(value / 255), away
    # City-block distance, 3 thirds a pixel: 9 px right of the tip, level.
    assert limb[24, 59] == pytest.approx(3 / 255)
    for other in (*range(2), *range(3, 17)):
        assert (channels[3 + other] == 1).all()
    # Drawn over black at 60 %, over a disc at 40 % of the disc: round(0.6 * 255) = 153.
    assert channels[2, 24, 30] == pytest.approx(153 / 255)
    assert channels[1, 24, 30] == pytest.approx(102 / 255)
    disc = COLORS[2]
    mixed = [0.4 * disc[c] + 0.6 * COLORS[2][c] for c in (2, 1, 0)]
    np.testing.assert_allclose(channels[:3, 24, 11] * 255, mixed, atol=0.51)


def test_pidm_scales_the_photo_to_the_frame() -> None:
    pose = preset("standing", size=(750, 1100))
    small = pose.transformed((176 / 750, 256 / 1100), 0, (176, 256))
    large = pidm_encoding(pose, (256, 176))
    assert large.min() >= 0
    assert large.max() <= 1
    assert (large == pidm_encoding(small, (256, 176))).mean() > 0.99
    assert JointState.HIDDEN not in pose.state
    assert all((large[3 + limb] == 0).any() for limb in range(17))
