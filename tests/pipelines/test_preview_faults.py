"""Faults that the preview once showed, each on a picture small enough to judge by numbers."""

from __future__ import annotations

import cv2
import numpy as np

from reposedm.pipelines.preview import prepare
from reposedm.pipelines.puppet.border import BOTTOM, LEFT, border_fade, cut_edges
from reposedm.pipelines.puppet.profile import beyond_profile, within_profile
from tests.drawn import standing
from tests.pipelines.test_preview import COLOURS, H, W, figure, moved, near

START, END = np.array([50.0, 10.0]), np.array([50.0, 90.0])


def test_what_lies_under_an_arm_is_made_up_inside_the_waist_only() -> None:
    """The closing of a narrow waist would reach as far as the hand that rests on it."""
    own = np.zeros((100, 100), bool)
    own[10:90, 30:71] = True
    inside = own.copy()
    inside[40:60, 71:95] = True  # a hand beside the waist
    allowed = within_profile(own, inside, START, END)
    assert allowed[own].all()
    assert not allowed[40:60, 75:95].any()
    assert allowed[40:60, 71].all()


def test_an_arms_shards_over_the_trunk_are_found() -> None:
    arm = np.zeros((100, 100), bool)
    arm[10:90, 40:61] = True
    shard = np.zeros_like(arm)
    shard[30:40, 61:72] = True
    inside = arm | shard
    inside[:60, 61:] = True  # the trunk at its right side, down to the sleeve's end
    found = beyond_profile(arm | shard, inside, START, END, 11.0)
    assert found[shard].mean() > 0.9
    assert not (found & arm).any()
    loose = np.zeros_like(inside)  # a wide sleeve against the background is no shard
    loose[10:90, 40:72] = True
    assert not beyond_profile(loose, loose, START, END, 11.0).any()


def test_too_small_parts_have_no_profile() -> None:
    dot = np.zeros((20, 20), bool)
    assert within_profile(dot, dot, START, END).all()
    dot[5, 5] = True
    assert within_profile(dot, dot, START, END).all()
    assert not beyond_profile(dot, dot, START, START, 3.0).any()


def test_no_specks_float_beside_a_lifted_arm() -> None:
    pose = standing(W, H)
    image, mask = figure(pose)
    x, y = (int(v) for v in pose.points[7])
    image[y + 2 : y + 8, x - 22 : x - 17] = COLOURS[(6, 7)]  # a loose spot between hand and thigh
    mask[y + 2 : y + 8, x - 22 : x - 17] = 1
    alpha = prepare(image, pose, mask).warp(moved(pose, j6=(230, 120), j7=(270, 80)))[..., 3]
    count, _, stats, _ = cv2.connectedComponentsWithStats((alpha > 60).astype(np.uint8))
    assert count == 2 or stats[1:, cv2.CC_STAT_AREA].min() > 100


def test_where_legs_cross_the_near_one_is_whole() -> None:
    pose = standing(W, H)
    crossed = moved(pose, j9=(142, 275), j10=(152, 345), j12=(160, 275), j13=(120, 325))
    state = crossed.state.copy()
    state[13] = 1
    crossed = crossed.replace(state=state)
    image, mask = figure(crossed)
    leg = COLOURS[(9, 10)]  # figure() draws the left leg last: draw the near right shin again
    ends = [tuple(int(v) for v in crossed.points[j]) for j in (9, 10)]
    cv2.line(image, *ends, leg, 22)
    result = prepare(image, crossed, mask).warp(moved(crossed, j9=(100, 270), j10=(80, 345)))
    a, b = np.array([100, 270]), np.array([80, 345])
    across = np.array([75, 20]) / np.hypot(75, 20)
    for t in np.linspace(0.25, 0.9, 12):
        for n in (-7, 0, 7):
            x, y = (a * (1 - t) + b * t + n * across).astype(int)
            assert result[y, x, 3] > 200 and near(result[y, x, :3], leg, 60)


def test_a_cut_limb_fades_only_when_it_is_moved_into_the_picture() -> None:
    alpha = np.zeros((20, 10), np.uint8)
    alpha[5:, 3:7] = 255
    assert cut_edges(alpha, (40, 80), (200, 100)) == (BOTTOM,)
    assert cut_edges(alpha, (0, 20), (200, 100)) == ()
    assert cut_edges(np.full((9, 9), 255, np.uint8), (0, 20), (200, 100)) == (LEFT,)
    source = np.array([[50.0, 99.0], [50, 90], [50, 60]])
    assert border_fade(source, source, (200, 100), (BOTTOM,), 20.0) is None
    inside = border_fade(source, source - np.array([0.0, 45.0]), (200, 100), (BOTTOM,), 20.0)
    assert inside is not None
    assert inside[0] < 0.05 and 0.2 < inside[1] < 0.8 and inside[2] == 1


def test_an_arm_cut_off_by_the_frame_ends_softly() -> None:
    pose = standing(W, H)
    image, mask = figure(pose)
    low = int(pose.points[4, 1]) - 10
    source = pose.replace(size=(W, low))
    puppet = prepare(image[:low], source, mask[:low])
    assert (puppet.warp(source)[-1, :, 3] > 250).sum() > 30
    raised = moved(source, j3=(84, 70), j4=(60, 30))
    alpha = puppet.warp(raised)[..., 3].astype(int)
    bone = raised.points[4] - raised.points[3]
    at = (raised.points[3] + np.linspace(0.5, 1.2, 60)[:, None] * bone).astype(int)
    line = alpha[at[:, 1].clip(0), at[:, 0].clip(0)]
    assert line[0] > 240 and line[-1] < 10
    assert ((line > 25) & (line < 230)).sum() >= 6


def test_feet_that_stay_keep_their_shadow() -> None:
    pose = standing(W, H)
    image, mask = figure(pose)
    puppet = prepare(image, pose, mask)
    assert puppet.feet_moved(pose) == 0
    assert puppet.feet_moved(moved(pose, j3=(84, 70), j4=(60, 30))) == 0
    assert puppet.feet_moved(moved(pose, j9=(80, 270), j10=(50, 330))) == 1
