"""Sides of people, and presets on somebody who is seen from behind."""

import numpy as np
import pytest

from reposedm.pose import preset
from reposedm.pose.facing import breadth, to_back, turned_away, with_side_of
from reposedm.pose.skeleton import L_EAR, L_SHOULDER, MIRROR, NOSE, R_SHOULDER, R_WRIST

SIZE = (600, 800)


def test_breadth_tells_the_sides() -> None:
    assert breadth(preset("standing", size=SIZE)) == pytest.approx(0.79, abs=0.02)
    assert breadth(preset("back", size=SIZE)) == pytest.approx(-0.79, abs=0.02)
    assert abs(breadth(preset("profile-left", size=SIZE)) or 1) < 0.1
    standing = preset("standing", size=SIZE)
    state = standing.state.copy()
    state[R_SHOULDER] = 0
    assert breadth(standing.replace(state=state)) is None


@pytest.mark.parametrize(
    ("name", "away"),
    [("standing", False), ("profile-left", False), ("back", True), ("over-shoulder", True)],
)
def test_who_is_turned_away(name: str, away: bool) -> None:
    assert turned_away(preset(name, size=SIZE)) == away


def test_a_face_that_looks_into_the_camera_is_not_turned_away() -> None:
    looking = preset("over-shoulder", size=SIZE)
    assert not turned_away(looking.replace(state=np.full(18, 2)))


def test_a_frontal_preset_keeps_its_outline_and_shows_the_back() -> None:
    behind, front = preset("back", size=SIZE), preset("standing", size=SIZE)
    plain = preset("waving", front)
    turned = preset("waving", behind)
    assert breadth(turned) == pytest.approx(-(breadth(plain) or 0), abs=0.02)
    assert turned.state[NOSE] == 0
    assert turned.state[L_EAR] == 2
    body = slice(1, 14)  # heads are measured where a face is seen, and so not quite the same
    np.testing.assert_allclose(
        (turned.points - turned.points[1])[body],
        (plain.points - plain.points[1])[list(MIRROR)][body],
        atol=4,
    )
    assert breadth(preset("waving", behind, keep_side=False)) == pytest.approx(breadth(plain), 0.05)


@pytest.mark.parametrize("name", ["back", "walking-left", "over-shoulder"])
def test_presets_that_do_not_face_the_camera_stay(name: str) -> None:
    pose = preset(name, size=SIZE)
    assert with_side_of(pose, preset("back", size=SIZE)) is pose


def test_a_hand_before_the_trunk_is_behind_it_from_the_other_side() -> None:
    crossed = preset("arms-crossed", size=SIZE)
    back = to_back(crossed)
    assert crossed.state[R_WRIST] == 2
    assert back.state[MIRROR[R_WRIST]] == 1
    assert (to_back(back).state[[3, 4, 6, 7]] == crossed.state[[3, 4, 6, 7]]).all()
    assert back.points[L_SHOULDER] == pytest.approx(crossed.points[R_SHOULDER])
