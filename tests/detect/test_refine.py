"""The guided filter and the limbs' tubes."""

import numpy as np
import pytest

from reposedm.detect.limbs import draw_body, unit
from reposedm.detect.refine import follow_edges, guided_filter
from reposedm.pose.pose import Pose
from reposedm.pose.skeleton import L_WRIST, N_JOINTS, R_SHOULDER


def standing(width: int = 200, height: int = 300) -> Pose:
    """A front view with shoulders 60 px apart."""
    points = np.array(
        [(100, 50), (100, 80), (70, 80), (60, 120), (55, 160), (130, 80), (140, 120), (145, 160),
         (82, 160), (82, 215), (82, 270), (118, 160), (118, 215), (118, 270),
         (94, 44), (106, 44), (86, 48), (114, 48)],
        np.float32,
    )  # fmt: skip
    ones = np.ones(N_JOINTS)
    return Pose(points, ones.astype(np.float32), 2 * ones.astype(np.uint8), (width, height))


def test_guided_filter_keeps_constants_and_reproduces_its_guide() -> None:
    rng = np.random.default_rng(0)
    guide = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    constant = np.full((40, 50), 0.3, np.float32)
    np.testing.assert_allclose(guided_filter(guide, constant, 4, 1e-3), 0.3, atol=1e-4)
    linear = (guide.astype(np.float32) / 255) @ np.array([0.2, 0.5, 0.3], np.float32)
    np.testing.assert_allclose(guided_filter(guide, linear, 4, 1e-6), linear, atol=1e-2)


@pytest.mark.parametrize("offset", [-3, 3])
def test_an_edge_moves_to_the_photos_edge(offset: int) -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, 40:] = (200, 120, 60)
    coarse = np.zeros((60, 80), np.float32)
    coarse[:, 40 + offset :] = 1
    fine = follow_edges(image, coarse, 8)
    assert fine[30, 36] < 0.3 and fine[30, 44] > 0.7
    assert np.abs(fine[:, 40:].mean() - 1) < 0.1


def test_far_from_the_edge_nothing_changes() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (60, 120, 3), dtype=np.uint8)
    coarse = np.zeros((60, 120), np.float32)
    coarse[:, 60:] = 1
    fine = follow_edges(image, coarse, 4)
    assert (fine[:, :50] == 0).all() and (fine[:, 70:] == 1).all()
    assert fine.min() >= 0 and fine.max() <= 1


def test_tubes_hold_the_joints_and_not_the_corners() -> None:
    pose = standing()
    body = draw_body(pose, (300, 200)) > 0
    x, y = pose.points.astype(int).T
    assert body[y, x].all()
    assert not body[:20].any() and not body[:, :25].any() and not body[280:290, 95:105].any()
    assert body[170:182, 145:149].any(), "the hand reaches beyond the wrist"


def test_hidden_joints_have_no_tube() -> None:
    pose = standing()
    state = pose.state.copy()
    state[[L_WRIST]] = 0
    body = draw_body(pose.replace(state=state), (300, 200)) > 0
    assert not body[150:170, 140:].any()


def test_unit_scales_with_the_person_and_survives_little() -> None:
    pose = standing()
    assert unit(pose) == pytest.approx(60, rel=0.1)
    assert unit(pose.transformed(2, 0, (400, 600))) == pytest.approx(2 * unit(pose), rel=1e-5)
    alone = np.zeros(N_JOINTS, np.uint8)
    alone[R_SHOULDER] = 2
    assert unit(pose.replace(state=alone)) >= 2
