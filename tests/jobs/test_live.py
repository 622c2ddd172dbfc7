import threading
import time

import numpy as np
import pytest

from reposedm.errors import ImageError, PoseError
from reposedm.jobs.live import LivePreview
from reposedm.pose import Pose
from tests.drawn import arms_up, photo, standing

IMAGE, POSE, MASK = photo(240, 320)


def moved(pose: Pose, dx: float) -> Pose:
    return pose.replace(points=pose.points + np.array((dx, 0)))


def test_renders_at_the_size_asked_for_and_never_larger() -> None:
    live, (image, pose, mask) = LivePreview(), photo(120, 160)
    small = live.render(image, pose, arms_up(pose), 80, source_mask=mask)
    assert small.shape == (80, 60, 3) and small.dtype == np.uint8
    assert live.render(image, pose, pose, 640, source_mask=mask).shape == (160, 120, 3)


def test_moves_the_person_and_leaves_the_far_background() -> None:
    live = LivePreview()
    still = live.render(IMAGE, POSE, POSE, source_mask=MASK).astype(int)
    shifted = live.render(IMAGE, POSE, moved(POSE, 40), source_mask=MASK).astype(int)
    changed = np.abs(still - shifted).max(-1) > 25
    assert changed[:, 40:220].mean() > 0.05
    assert not changed[:, :40].any()
    assert np.abs(still - IMAGE).mean() < 12


def test_keeps_a_few_photos_prepared() -> None:
    live = LivePreview(puppets=1)
    for brightness in range(2):
        image = np.clip(IMAGE.astype(int) + brightness, 0, 255).astype(np.uint8)
        live.render(image, POSE, POSE, 96, source_mask=MASK)
    assert len(live) == 1
    live.clear()
    assert len(live) == 0


def test_the_caller_may_draw_on_the_picture() -> None:
    live = LivePreview()
    first = live.render(IMAGE, POSE, POSE, 96, source_mask=MASK)
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(live.render(IMAGE, POSE, POSE, 96, source_mask=MASK), kept)


def test_newest_wins_when_calls_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    live = LivePreview()
    prepared = live.prepare(IMAGE, POSE, 96, source_mask=MASK)
    warp, rendered, entered, go = prepared.puppet.warp, [], threading.Event(), threading.Event()

    def slow(pose: Pose, **options: float) -> np.ndarray:
        rendered.append(round(float(pose.points[1, 0])))
        entered.set()
        assert go.wait(10)
        return warp(pose, **options)

    monkeypatch.setattr(
        type(prepared.puppet), "warp", lambda self, pose, **more: slow(pose, **more)
    )
    pictures: dict[int, np.ndarray] = {}

    def ask(dx: int) -> None:
        pictures[dx] = live.render(IMAGE, POSE, moved(POSE, dx), 96, source_mask=MASK, session="a")

    threads = []
    for dx in (0, 10, 20, 30):
        thread = threading.Thread(target=ask, args=(dx,))
        threads.append(thread)
        thread.start()
        entered.wait(10)
        expected = len(threads)
        for _ in range(200):  # until the call is registered
            if live._calls == expected:
                break
            time.sleep(0.01)
    go.set()
    for thread in threads:
        thread.join(20)
    assert len(rendered) == 2, "the two in between were not worth rendering"
    assert rendered[1] - rendered[0] == 9  # 30 of 320 pixels at 96: the last one asked for
    assert np.array_equal(pictures[10], pictures[30]) and np.array_equal(pictures[20], pictures[30])
    assert not np.array_equal(pictures[0], pictures[30])


def test_sessions_do_not_see_each_other() -> None:
    live = LivePreview()
    live.render(IMAGE, POSE, moved(POSE, 30), 96, source_mask=MASK, session="a")
    mine = live.render(IMAGE, POSE, POSE, 96, source_mask=MASK, session="b")
    again = LivePreview().render(IMAGE, POSE, POSE, 96, source_mask=MASK, session="b")
    assert np.array_equal(mine, again)


def test_refuses_what_it_cannot_use() -> None:
    live = LivePreview()
    with pytest.raises(PoseError, match="100 x 320"):
        live.render(IMAGE, POSE, standing(100, 320), source_mask=MASK)
    with pytest.raises(PoseError, match="hidden"):
        live.render(IMAGE, POSE, POSE.replace(state=np.zeros(18)), source_mask=MASK)
    with pytest.raises(ImageError, match="side"):
        live.render(IMAGE, POSE, POSE, 10_000, source_mask=MASK)
    with pytest.raises(ImageError, match="uint8"):
        live.render(IMAGE[..., 0], POSE, POSE, source_mask=MASK)
