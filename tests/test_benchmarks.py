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
    found: Any = SimpleNamespace(pose=pose.replace(points=moved))
    assert reposed.accuracy([found], pose, count) == (12, 13)
    assert reposed.accuracy([], pose, count) == (0, 13)
    assert reposed.accuracy([found, SimpleNamespace(pose=pose)], pose, count) == (13, 13)


def test_poses_that_show_another_side_are_left_out() -> None:
    _, pose, _ = drawn.photo(192, 256)
    puppet: Any = SimpleNamespace(notes=lambda target: ())
    turned: Any = SimpleNamespace(notes=lambda target: ("another side",))
    count = reposed.judged(pose, pose, puppet)
    assert count is not None and count.any()
    assert reposed.judged(pose, pose, turned) is None
    names = [name for name, _ in reposed.targets(pose)]
    assert len(names) == len(set(names)) == len(reposed.PRESETS) + 12


def test_shares_are_of_joints_not_of_pictures() -> None:
    rows = [
        {"method": "a", "pose": "x", "hits": 1, "joints": 1, "seconds": 1.0},
        {"method": "a", "pose": "y", "hits": 0, "joints": 3, "seconds": 3.0},
        {"method": "b", "pose": "x", "hits": 1, "joints": 1, "seconds": 1.0},
    ]
    found = reposed.summary(rows)
    assert found["a"]["within_torso"] == 0.25
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
