from pathlib import Path

import cv2
import numpy as np
import pytest

from reposedm.errors import DetectionError, ImageError
from reposedm.garments.joints import LANDMARKS, MIRRORED, OF_REGION, pose_of_landmarks
from reposedm.garments.landmarks import (
    _frame,
    find_landmarks,
    garment_alpha,
    garment_pose,
    landmarks_unavailable,
)
from reposedm.pose.skeleton import (
    L_ANKLE,
    L_ELBOW,
    L_HIP,
    L_KNEE,
    L_SHOULDER,
    L_WRIST,
    NECK,
    R_ANKLE,
    R_ELBOW,
    R_HIP,
    R_KNEE,
    R_SHOULDER,
    R_WRIST,
)

ARMS = (R_ELBOW, R_WRIST, L_ELBOW, L_WRIST)
LEGS = (R_KNEE, R_ANKLE, L_KNEE, L_ANKLE)
SHIRT = {  # a long-sleeved one, its sleeves spread; the wearer's right is on the picture's left
    "collar right": (90, 20), "collar middle": (100, 26), "collar left": (110, 20),
    "right cuff outer": (10, 94), "right cuff inner": (18, 102),
    "left cuff outer": (190, 94), "left cuff inner": (182, 102),
    "hem right": (62, 140), "hem middle": (100, 143), "hem left": (138, 140),
}  # fmt: skip
TROUSERS = {
    "waist right": (80, 20), "waist left": (120, 20), "right leg outer": (68, 150),
    "right leg inner": (82, 150), "left leg outer": (132, 150), "left leg inner": (118, 150),
}  # fmt: skip
SKIRT = {
    "waist right": (80, 20), "waist left": (120, 20), "hem right": (60, 90), "hem left": (140, 90),
    "hem middle": (100, 93),
}  # fmt: skip


def marks(given: dict[str, tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    points, known = np.zeros((16, 2), np.float32), np.zeros(16, bool)
    for name, place in given.items():
        points[LANDMARKS.index(name)], known[LANDMARKS.index(name)] = place, True
    return points, known


def picture(ground: int = 255, color: tuple[int, int, int] = (40, 60, 160)) -> np.ndarray:
    """The shirt, drawn."""
    image = np.full((160, 200, 3), ground, np.uint8)
    outline = [(90, 20), (110, 20), (140, 30), (190, 94), (182, 102), (136, 62), (138, 140),
               (62, 140), (64, 62), (18, 102), (10, 94), (60, 30)]  # fmt: skip
    cv2.fillPoly(image, [np.array(outline)], color)
    return image


def test_a_shirt_shows_arms_and_trunk() -> None:
    pose = pose_of_landmarks(*marks(SHIRT), "top", (200, 160))
    assert set(np.flatnonzero(pose.drawn)) == {NECK, R_SHOULDER, L_SHOULDER, R_HIP, L_HIP, *ARMS}
    assert pose.points[NECK, 0] == pytest.approx(100) and 25 < pose.points[NECK, 1] < 60
    assert pose.points[R_SHOULDER, 0] < 80 and pose.points[L_SHOULDER, 0] > 120
    assert pose.points[R_WRIST] == pytest.approx((14, 98))
    between = (pose.points[R_SHOULDER] + pose.points[R_WRIST]) / 2
    assert np.hypot(*(pose.points[R_ELBOW] - between)) < 10
    assert 100 < pose.points[R_HIP, 1] < 145


def test_a_vest_has_no_arms_and_short_sleeves_no_wrists() -> None:
    vest = {name: place for name, place in SHIRT.items() if "cuff" not in name}
    assert not pose_of_landmarks(*marks(vest), "top", (200, 160)).drawn[list(ARMS)].any()
    short = vest | {"right cuff outer": (30, 64), "right cuff inner": (42, 72),
                    "left cuff outer": (170, 64), "left cuff inner": (158, 72)}  # fmt: skip
    pose = pose_of_landmarks(*marks(short), "top", (200, 160))
    assert pose.drawn[[R_ELBOW, L_ELBOW]].all() and not pose.drawn[[R_WRIST, L_WRIST]].any()


def test_trousers_shorts_and_skirts() -> None:
    pose = pose_of_landmarks(*marks(TROUSERS), "bottom", (200, 160))
    assert set(np.flatnonzero(pose.drawn)) == {R_HIP, L_HIP, *LEGS}
    assert pose.points[R_ANKLE] == pytest.approx((75, 150))
    shorts = TROUSERS | {name: (place[0], 72) for name, place in TROUSERS.items() if "leg" in name}
    pose = pose_of_landmarks(*marks(shorts), "bottom", (200, 160))
    assert pose.drawn[R_KNEE] and not pose.drawn[R_ANKLE]
    pose = pose_of_landmarks(*marks(SKIRT), "bottom", (200, 160))
    assert pose.drawn[[R_HIP, L_HIP, R_KNEE, L_KNEE]].all() and not pose.drawn[R_ANKLE]


@pytest.mark.parametrize(
    ("given", "region"),
    [(SHIRT, "top"), (SHIRT, "outerwear"), (SHIRT, "dress"), (TROUSERS, "bottom")],
)
def test_the_mirrored_garment_has_the_mirrored_pose(given: dict, region: str) -> None:
    points, known = marks(given)
    pose = pose_of_landmarks(points, known, region, (200, 160))
    other = points[list(MIRRORED)].copy()
    other[:, 0] = 200 - other[:, 0]
    mirrored = pose_of_landmarks(other, known[list(MIRRORED)], region, (200, 160)).mirrored()
    assert np.array_equal(mirrored.state, pose.state)
    assert mirrored.points[pose.drawn] == pytest.approx(pose.points[pose.drawn], abs=1e-3)


def test_a_turned_and_enlarged_garment_has_the_pose_with_it() -> None:
    points, known = marks(SHIRT)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]]) * 1.7
    pose = pose_of_landmarks(points, known, "top", (200, 160))
    turned = pose_of_landmarks(points @ turn.T + (300, 50), known, "top", (900, 900))
    wanted = pose.points[pose.drawn] @ turn.T + (300, 50)
    assert turned.points[pose.drawn] == pytest.approx(wanted, abs=1e-2)


def test_landmarks_of_another_region_count_for_nothing() -> None:
    for region, kinds in OF_REGION.items():
        assert ("collar middle" in {LANDMARKS[i] for i in kinds}) == (region != "bottom")
    both = pose_of_landmarks(*marks(SHIRT | TROUSERS), "top", (200, 160))
    assert both == pose_of_landmarks(*marks(SHIRT), "top", (200, 160))


@pytest.mark.parametrize(
    ("given", "region", "message"),
    [
        (SHIRT, "shoes", "shoes has no landmarks"),
        (SHIRT, "outfit", "outfit has no landmarks"),
        (TROUSERS, "top", "collar and hem were not found"),
        (SHIRT, "bottom", "waist were not found"),
        ({}, "dress", "not found"),
        ({name: (50, 50) for name in SHIRT}, "top", "one spot"),
    ],
)
def test_what_is_not_there_is_said(given: dict, region: str, message: str) -> None:
    with pytest.raises(DetectionError, match=message):
        pose_of_landmarks(*marks(given), region, (200, 160))


@pytest.mark.parametrize("ground", [255, 235, 190])
def test_the_garment_is_cut_out_of_a_plain_ground(ground: int) -> None:
    image = picture(ground)
    truth = (image != ground).any(2)
    found = garment_alpha(image) > 0.5
    assert (found & truth).sum() / (found | truth).sum() > 0.97


def test_white_cloth_on_white_paper_is_found_and_its_shadow_is_not() -> None:
    image = np.full((480, 600, 3), 253, np.float32)
    large = cv2.resize(picture(), (600, 480), interpolation=cv2.INTER_NEAREST)
    truth = (large != 255).any(2)
    shadow = cv2.GaussianBlur(np.roll(truth, 12, 0).astype(np.float32), (0, 0), 12)
    image *= 1 - 0.012 * shadow[..., None]
    folds = 3 * np.sin(np.arange(600) / 19)
    image[truth] = (238 + np.broadcast_to(folds, truth.shape)[truth])[:, None]
    noise = np.random.default_rng(0).normal(0, 1, truth.shape)[..., None]
    found = garment_alpha(np.clip(image + noise, 0, 255).astype(np.uint8)) > 0.5
    assert (found & truth).sum() / (found | truth).sum() > 0.9


def test_a_white_picture_holds_no_garment(weights: Path) -> None:
    with pytest.raises(ImageError, match="empty"):
        garment_pose(np.full((160, 200, 3), 255, np.uint8), "top")
    with pytest.raises(ImageError, match="No garment"):
        find_landmarks(picture(), np.zeros((160, 200), np.float32))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights with a small network in it, untrained, that finds every landmark."""
    import torch

    from reposedm.models.landmarks import GarmentLandmarks

    torch.manual_seed(0)
    network = GarmentLandmarks.tiny()
    torch.nn.init.constant_(network.known.bias, 20)
    network.save_pretrained(tmp_path / "landmarks")
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    return tmp_path


def test_the_real_path(weights: Path) -> None:
    points, chance = find_landmarks(picture())
    assert points.shape == (16, 2) and (chance > 0.9).all()
    assert (points > -60).all() and (points < 260).all()
    assert garment_pose(picture(), "top").size == (200, 160)


@pytest.mark.parametrize("box", [(10, 20, 190, 140), (90, 0, 100, 160), (0, 0, 2, 1)])
def test_the_network_sees_all_of_the_garment_undistorted(box: tuple[int, int, int, int]) -> None:
    frame = _frame(box, (200, 160))
    left, top, right, bottom = frame.box
    assert left <= box[0] and top <= box[1] and right >= box[2] and bottom >= box[3]
    assert abs(left + right - box[0] - box[2]) <= 1 and abs(top + bottom - box[1] - box[3]) <= 1
    if right - left > 20:
        assert frame.scale[0] == pytest.approx(frame.scale[1], rel=0.05)


def test_without_weights_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    assert "training.train --config landmarks" in landmarks_unavailable()
    with pytest.raises(DetectionError, match="not here"):
        garment_pose(picture(), "top")
