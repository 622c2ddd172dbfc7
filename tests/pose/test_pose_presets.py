"""The library: complete, inside its canvas, with human proportions and honest states."""

import numpy as np
import pytest

from reposedm.errors import PoseError
from reposedm.pose import JointState, default_pose, preset, preset_names, presets_json
from reposedm.pose.retarget import RATIO
from reposedm.pose.skeleton import JOINTS, PARENT

ENTRIES = presets_json()["presets"]


def by_id(name: str) -> np.ndarray:
    return np.array(next(entry for entry in ENTRIES if entry["id"] == name)["keypoints"])


def test_there_are_enough_and_no_doubles() -> None:
    assert len(preset_names()) >= 28
    assert len(set(preset_names())) == len({entry["title"] for entry in ENTRIES}) == len(ENTRIES)
    for tag in ("standing", "sitting", "walking", "running", "back", "side", "front", "jumping"):
        assert any(tag in entry["tags"] for entry in ENTRIES), tag


@pytest.mark.parametrize("entry", ENTRIES, ids=preset_names())
def test_each_preset_is_a_possible_person(entry: dict) -> None:
    rows = np.array(entry["keypoints"])
    assert rows.shape == (18, 3)
    assert (rows[:, :2] >= 0).all()
    assert (rows[:, :2] <= 1).all()
    assert set(rows[:, 2]) <= {0, 1, 2}
    assert (rows[[1, 2, 5, 8, 11], 2] > 0).all(), "trunks are always drawn"
    full = presets_json()["lengths"]
    middle = rows[[8, 11], :2].mean(0)
    for joint in range(18):
        start = middle if joint in (8, 11) else rows[max(PARENT[joint], 0), :2]
        end = middle if joint == 1 else rows[joint, :2]
        start = rows[1, :2] if joint == 1 else start
        assert np.hypot(*(end - start)) <= full[joint] * 1.01, "no bone is longer than it is"
    if not entry["lift"]:
        assert rows[[10, 13], 1].max() == pytest.approx(0.95 - 0.13 * 0.24, abs=1e-3)


def test_lengths_are_the_usual_ones() -> None:
    library = presets_json()
    np.testing.assert_allclose(library["lengths"], np.array(RATIO) * library["trunk"], atol=1e-5)


def test_views_show_what_can_be_seen() -> None:
    nose, eyes, ears = 0, [14, 15], [16, 17]
    back = by_id("back")
    assert (back[[nose, *eyes], 2] == 0).all()
    assert (back[ears, 2] == 2).all()
    assert back[2, 0] > back[5, 0], "from behind, the right shoulder is on the right"
    front = by_id("standing")
    assert (front[:, 2] == 2).all()
    assert front[2, 0] < front[5, 0]
    for name, far, near, sign in (("profile-left", 0, 1, -1), ("profile-right", 1, 0, 1)):
        side = by_id(name)
        assert side[eyes[far], 2] == side[ears[far], 2] == 0
        assert side[ears[near], 2] == 2
        assert sign * (side[nose, 0] - side[ears[near], 0]) > 0.02
    assert (by_id("arms-behind")[[4, 7], 2] == JointState.BEHIND).all()
    assert (by_id("hands-behind-head")[[4, 7], 2] == JointState.BEHIND).all()


@pytest.mark.parametrize("entry", ENTRIES, ids=preset_names())
def test_hands_at_the_head_are_in_front_only_where_the_name_says_so(entry: dict) -> None:
    rows = np.array(entry["keypoints"])
    head, radius = rows[[0, 14, 15, 16, 17], :2].mean(0), 0.055
    for wrist in (4, 7):
        if np.hypot(*(rows[wrist, :2] - head)) < radius and rows[wrist, 2] == JointState.VISIBLE:
            assert entry["id"] == "hand-on-head", JOINTS[wrist]


def test_the_page_gets_a_copy() -> None:
    presets_json()["presets"].clear()
    assert preset_names()


@pytest.mark.parametrize("size", [(512, 512), (176, 256), (1920, 1080), (300, 2400), (64, 64)])
def test_presets_fit_every_frame(size: tuple) -> None:
    for name in preset_names():
        pose = preset(name, size=size)
        left, top, right, bottom = pose.box() or (0, 0, 0, 0)
        assert pose.size == size
        assert left >= 0
        assert top >= 0
        assert right <= size[0]
        assert bottom <= size[1]
    left, top, right, bottom = default_pose(size).box() or (0, 0, 0, 0)
    assert (left + right) / 2 == pytest.approx(size[0] / 2, abs=0.1)
    assert bottom - top > 0.5 * min(size)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(PoseError, match="no preset 'flying'"):
        preset("flying")
