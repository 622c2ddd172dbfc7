"""What the benchmarks count, and that their parts run on tiny networks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import app_memory, parts, reposed
from reposedm.imaging import Frame, mask_box
from tests import drawn


def test_joints_within_a_fifth_of_the_torso_count() -> None:
    _, pose, _ = drawn.photo(192, 256)
    count = reposed.countable(pose, pose)
    assert count.sum() == 13  # without the face
    torso = np.linalg.norm(pose.points[1] - pose.points[[8, 11]].mean(0))
    moved = pose.points.copy()
    moved[4, 0] += 0.19 * torso
    moved[7, 0] += 0.21 * torso
    found = pose.replace(points=moved)
    assert reposed.accuracy([found], pose, count) == (12, 13)
    assert reposed.accuracy([], pose, count) == (0, 13)
    assert reposed.accuracy([found, pose], pose, count) == (13, 13)


def test_the_window_gives_places_on_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    image, pose, _ = drawn.photo(192, 256)
    shown: list[tuple[int, ...]] = []

    def detect(picture: Any) -> list[Any]:  # finds a person in the middle of whatever it is shown
        shown.append(picture.shape)
        middle = np.array([picture.shape[1] / 2, picture.shape[0] / 2])
        points = np.tile(middle, (18, 1)).astype(np.float32)
        return [SimpleNamespace(pose=pose.replace(points=points, size=picture.shape[1::-1]))]

    monkeypatch.setattr(reposed, "detect_people", detect)
    whole, near = reposed.found_on(image, pose)
    assert shown[0] == image.shape and max(shown[1][:2]) == reposed.WINDOW[1]
    assert whole[0].points[0] == pytest.approx([96, 128])
    left, top, right, bottom = pose.box() or (0, 0, 0, 0)
    assert near[0].points[0] == pytest.approx([(left + right) / 2, (top + bottom) / 2], abs=2)
    assert near[0].size == pose.size


def test_poses_that_show_another_side_are_left_out() -> None:
    _, pose, _ = drawn.photo(192, 256)
    puppet: Any = SimpleNamespace(turns=lambda target: False)
    turned: Any = SimpleNamespace(turns=lambda target: True)
    count = reposed.judged(pose, pose, puppet)
    assert count is not None and count.any()
    assert reposed.judged(pose, pose, turned) is None
    names = [name for name, _ in reposed.targets(pose)]
    assert len(names) == len(set(names)) == len(reposed.PRESETS) + 12


def test_shares_are_of_joints_not_of_pictures() -> None:
    counted = (("a", "x", 1, 1, 1.0, 300), ("a", "y", 0, 3, 3.0, 100), ("b", "x", 1, 1, 1.0, 300))
    keys = ("method", "pose", "hits", "joints", "seconds", "height")
    rows = [{"photo": "p", "whole": 0, **dict(zip(keys, row, strict=True))} for row in counted]
    found = reposed.summary(rows)
    assert (found["a"]["within_torso"], found["a"]["whole_picture"]) == (0.25, 0.0)
    assert found["a"]["by_photo"] == {"p": 0.25}
    assert found["a"]["of_tall_people"] == 1.0
    assert found["a"]["by_pose"] == {"x": 1.0, "y": 0.0}
    assert (found["a"]["pictures"], found["a"]["seconds_median"]) == (2, 2.0)


def test_bars_are_open_where_nothing_was_measured() -> None:
    results = {"repose": {"default": {"later_s": 3.5}}, "picture_s": {"cpu": {"default": 2.0}}}
    met = {bar["bar"]: bar["met"] for bar in parts.bars(results)}
    assert met["a picture in the frame, seconds"] is True
    assert met["a later repose, seconds"] is False
    assert met["peak memory of the app, MB"] is None


def test_peak_memory_is_at_least_what_is_held_now() -> None:
    psutil = pytest.importorskip("psutil")
    process = psutil.Process()
    held = process.memory_info().rss / 1e6
    assert app_memory.peak_mb(process) >= 0.9 * held


def test_without_a_kept_peak_memory_is_what_is_held_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_memory, "_kept_peak", lambda pid: None)
    one: Any = SimpleNamespace(
        pid=1, memory_info=lambda: SimpleNamespace(rss=3e8), children=lambda recursive: []
    )
    assert app_memory.peak_mb(one) == 300


@pytest.mark.heavy
def test_parts_of_tiny_networks_take_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.pipelines.tiny import SIZE, tiny_reposedm

    pipe = tiny_reposedm()
    image, pose, mask = drawn.photo(192, 256)
    wanted = drawn.arms_up(pose)
    frame = Frame.around(pose, wanted, pose.size, mask_box=mask_box(mask), native_size=SIZE)
    job = parts.Job(image, pose, wanted, mask, frame)
    monkeypatch.setattr(parts, "BATCHES", (1, 2))
    found = parts.network_parts(pipe, job, "cpu")
    assert set(found) == {
        "align", "step_without_guidance", "step_with_guidance", "decode", "interaction_gradient",
    }  # fmt: skip
    assert all(seconds > 0 for seconds in found.values())
    assert set(parts.batches(pipe, job)) == {"1", "2"}
    assert parts.native(pipe, job, steps=1) > 0
