"""Hostile rows about finding people: C-21, C-85, C-86."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from reposedm.detect import backends, detect_people
from reposedm.errors import DetectionError
from reposedm.pose.skeleton import (
    L_ANKLE,
    L_EYE,
    L_KNEE,
    L_SHOULDER,
    NOSE,
    R_ANKLE,
    R_EYE,
    R_KNEE,
    R_SHOULDER,
)
from tests.detect.pictures import PHOTOS, ROOT, example, near, picture
from tests.detect.test_openpose import hub, save_weights  # noqa: F401 (a fixture)

models = pytest.mark.models


def landscape(seed: int) -> np.ndarray:
    """Soft hills of colour with grain."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    large = cv2.resize(small, (480, 360), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return (large + rng.integers(-12, 13, large.shape)).clip(0, 255).astype(np.uint8)


@models
@pytest.mark.parametrize(
    "kind", ["landscape", "more hills", "noise", "black", "white", "tiny", "narrow"]
)
def test_c21_nobody_is_an_empty_list(kind: str) -> None:
    rng = np.random.default_rng(0)
    image = {
        "landscape": landscape(1),
        "more hills": landscape(13),
        "noise": rng.integers(0, 256, (300, 200, 3), dtype=np.uint8),
        "black": np.zeros((100, 150, 3), np.uint8),
        "white": np.full((100, 150, 3), 255, np.uint8),
        "tiny": np.full((8, 8, 3), 90, np.uint8),
        "narrow": landscape(2)[:60, :480],
    }[kind]
    assert detect_people(image) == []


@models
def test_c21_several_people_largest_first() -> None:
    tall, _ = example("grey-suit")
    small = np.full_like(tall, 150)
    child = cv2.resize(example("dotted-dress")[0], None, fx=0.6, fy=0.6)
    small[-child.shape[0] :, 100 : 100 + child.shape[1]] = child
    found = detect_people(np.hstack([small, tall]))
    assert len(found) == 2
    assert found[0].area > found[1].area
    assert found[0].pose.points[:, 0].mean() > tall.shape[1] > found[1].pose.points[:, 0].mean()
    assert len(detect_people(np.hstack([small, tall]), max_people=1)) == 1


@models
def test_c21_cut_off_joints_are_hidden_and_stay_in_reach() -> None:
    image, truth = example("breton-stripes")
    half = np.ascontiguousarray(image[: int(truth[[8, 11], 1].max()) + 40])
    found = detect_people(half)
    assert len(found) == 1
    pose = found[0].pose
    assert not pose.drawn[[R_KNEE, L_KNEE, R_ANKLE, L_ANKLE]].any()
    assert pose.visible[[NOSE, R_SHOULDER, L_SHOULDER]].all()
    assert np.isfinite(pose.points).all()
    assert pose.points[:, 1].max() <= 1.2 * half.shape[0] + 1e-3
    assert found[0].notes
    left, top, right, bottom = found[0].box
    assert 0 <= left < right <= half.shape[1] and 0 <= top < bottom <= half.shape[0]


@models
@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_c21_lying(turn: int) -> None:
    image, truth = example("yellow-tee")
    lying = cv2.rotate(image, turn)
    turned = truth.copy()
    height, width = image.shape[:2]
    x, y = truth[:, 0], truth[:, 1]
    clockwise = turn == cv2.ROTATE_90_CLOCKWISE
    turned[:, 0], turned[:, 1] = (height - y, x) if clockwise else (y, width - x)
    found = detect_people(lying)
    assert len(found) == 1
    assert near(found[0].pose.points, turned) >= 0.8


@models
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no photos for local checks")
def test_c21_back_view_has_no_face() -> None:
    image = picture(next(PHOTOS.glob("*000000196141.jpg")))
    found = detect_people(image)
    catcher = max(found, key=lambda person: person.box[0] + person.box[3])
    assert not catcher.pose.drawn[[NOSE, R_EYE, L_EYE]].any()
    assert catcher.pose.visible[[R_SHOULDER, L_SHOULDER]].all()
    x = catcher.pose.points[:, 0]
    assert x[L_SHOULDER] < x[R_SHOULDER], "the person's own left is on the left of the picture"
    assert any("behind" in note for note in catcher.notes)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((50, 50), np.uint8),
        np.zeros((50, 50, 4), np.uint8),
        np.zeros((50, 50, 3), np.float32),
        np.zeros((0, 50, 3), np.uint8),
        None,
    ],
)
def test_c21_what_is_no_photo_is_refused(image: np.ndarray) -> None:
    with pytest.raises(DetectionError):
        detect_people(image)


def test_c85_neither_is_imported_at_start() -> None:
    code = (
        "import sys, reposedm.detect as d\n"
        "found = d.backends()\n"
        "assert found['mediapipe'] == found['openpose'] == '', found\n"
        "heavy = {'mediapipe', 'controlnet_aux', 'torch', 'huggingface_hub', 'gradio'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


@models
def test_c85_both_in_one_process(hub: Path) -> None:  # noqa: F811
    image, truth = example("grey-suit")
    save_weights(hub)
    assert detect_people(image, "openpose") == []  # weights of zeros see nobody
    assert near(detect_people(image, "mediapipe")[0].pose.points, truth) >= 0.9
    assert detect_people(image, "openpose") == []


@pytest.mark.parametrize(
    ("missing", "package", "other"),
    [("mediapipe", "mediapipe", "openpose"), ("openpose", "controlnet_aux", "mediapipe")],
)
def test_c86_a_missing_detector_offers_the_other(
    monkeypatch: pytest.MonkeyPatch, missing: str, package: str, other: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert package in backends()[missing] and backends()[other] == ""
    with pytest.raises(DetectionError) as caught:
        detect_people(np.zeros((64, 64, 3), np.uint8), missing)
    assert f"use {other} instead" in str(caught.value)


def test_c86_unknown_names_and_counts() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(DetectionError, match="mediapipe or openpose"):
        detect_people(image, "alphapose")
    with pytest.raises(DetectionError, match="max_people"):
        detect_people(image, max_people=0)
