import threading
import time

import numpy as np
import pytest

from reposedm.errors import DetectionError
from reposedm.jobs.detect import Recent, is_guessed, mask_of, people_on, photo_key, pose_key
from reposedm.pose import default_pose
from tests.drawn import arms_up, photo


def test_recent_forgets_the_oldest_used() -> None:
    recent: Recent[int] = Recent(2)
    made = []

    def make(value: int) -> int:
        made.append(value)
        return value

    for key in (1, 2, 1, 3, 1, 2):
        assert recent.get(key, lambda key=key: make(key)) == key  # type: ignore[misc]
    assert made == [1, 2, 3, 2]
    assert len(recent) == 2


def test_recent_makes_a_value_once_for_all_threads() -> None:
    recent: Recent[int] = Recent(2)
    made, got = [], []

    def make() -> int:
        made.append(1)
        time.sleep(0.1)
        return 5

    threads = [threading.Thread(target=lambda: got.append(recent.get("k", make))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1] and got == [5] * 5


def test_recent_does_not_remember_failures() -> None:
    recent: Recent[int] = Recent(2)

    def fail() -> int:
        raise DetectionError("no")

    with pytest.raises(DetectionError):
        recent.get("k", fail)
    assert recent.get("k", lambda: 3) == 3


def test_keys_see_every_pixel_joint_and_state() -> None:
    image, pose, _ = photo()
    other = image.copy()
    other[-1, -1, -1] ^= 1
    assert photo_key(image) != photo_key(other)
    assert photo_key(image) == photo_key(np.asfortranarray(image))
    assert photo_key(image) != photo_key(image.reshape(image.shape[1], image.shape[0], 3))
    hidden = pose.state.copy()
    hidden[3] = 0
    keys = {pose_key(pose), pose_key(arms_up(pose)), pose_key(pose.replace(state=hidden))}
    assert len(keys) == 3


@pytest.mark.models
def test_mask_is_remembered_and_in_steps_of_a_byte() -> None:
    image, pose, truth = photo(192, 256)
    start = time.perf_counter()
    first = mask_of(image, pose)
    cold = time.perf_counter() - start
    start = time.perf_counter()
    assert np.array_equal(mask_of(image, pose), first)
    assert time.perf_counter() - start < max(0.02, cold / 3)
    assert first.dtype == np.float32 and first.shape == image.shape[:2]
    assert np.allclose(first * 255, np.rint(first * 255), atol=1e-3)
    inside = (first > 0.5) & (truth > 0.5)
    assert inside.sum() / ((first > 0.5) | (truth > 0.5)).sum() > 0.4


@pytest.mark.models
def test_nobody_is_an_error_for_people() -> None:
    with pytest.raises(DetectionError, match="Nobody"):
        people_on(np.full((128, 128, 3), 99, np.uint8))


@pytest.mark.models
def test_without_a_visible_person_the_outline_is_the_skeletons() -> None:
    image = np.full((256, 192, 3), 128, np.uint8)
    pose = default_pose((192, 256))
    mask = mask_of(image, pose)
    assert is_guessed(image, pose)
    columns, rows = pose.points[pose.drawn].astype(int).T
    assert (mask[rows, columns] > 0.9).all()
    assert 0.03 < mask.mean() < 0.4
    seen, person, _ = photo(192, 256)
    assert not is_guessed(seen, person)
