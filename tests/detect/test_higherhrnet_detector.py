"""HigherHRNet as a detector: geometry, and the way from weights to poses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reposedm.detect import backends, detect_people
from reposedm.detect.grouping import Person
from reposedm.detect.higherhrnet_backend import (
    FLIPPED,
    detect_with,
    detection_of,
    fit,
    infer,
    people_in,
)
from reposedm.errors import DetectionError, WeightsError
from reposedm.models.higherhrnet import HigherHRNet, imagenet_normalised
from reposedm.pose.pose import JointState
from reposedm.pose.skeleton import (
    FROM_COCO_17,
    L_SHOULDER,
    L_WRIST,
    NECK,
    NOSE,
    R_ANKLE,
    R_SHOULDER,
)
from reposedm.weights import WEIGHTS
from tests.models.checkpoints import saved, tiny

COCO = ("nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder",
        "left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip",
        "left knee", "right knee", "left ankle", "right ankle")  # fmt: skip


def person(**missing: int) -> Person:
    """COCO's joint j at (10 j + 10, 20 j + 20) of the canvas."""
    j = np.arange(17, dtype=np.float32)
    score = np.full(17, 0.8, np.float32)
    score[list(missing.values())] = 0
    return Person(np.stack((10 * j + 10, 20 * j + 20), 1), score)


@pytest.mark.parametrize(
    ("height", "width", "canvas"),
    [(512, 512, (512, 512)), (1000, 500, (1024, 512)), (300, 400, (512, 704)),
     (100, 1000, (256, 2048)), (600, 8, (2048, 64)), (480, 640, (512, 704))],
)  # fmt: skip
def test_the_canvas(height: int, width: int, canvas: tuple[int, int]) -> None:
    image = np.full((height, width, 3), 200, np.uint8)
    found = fit(image)
    assert found.pixels.shape == (*canvas, 3)
    covered_w, covered_h = round(width * found.scale[0]), round(height * found.scale[1])
    assert (found.pixels[:covered_h, :covered_w] == 200).all()
    assert not found.pixels[covered_h:].any() and not found.pixels[:, covered_w:].any()
    assert found.scale[0] == pytest.approx(found.scale[1], rel=0.05)
    assert covered_w > canvas[1] - 64 and covered_h > canvas[0] - 64


def test_flipping_exchanges_left_and_right() -> None:
    for joint, other in enumerate(FLIPPED):
        swapped = COCO[joint].replace("left", "?").replace("right", "left").replace("?", "right")
        assert COCO[other] == swapped


def test_our_joints_in_photo_pixels() -> None:
    found = detection_of(person(), (2.0, 4.0), (300, 200))
    assert found is not None
    assert found.pose.points[NOSE].tolist() == [5, 5]
    assert found.pose.points[L_SHOULDER].tolist() == [30, 30]
    assert found.pose.points[R_SHOULDER].tolist() == [35, 35]
    assert found.pose.points[NECK].tolist() == [32.5, 32.5]
    assert found.pose.points[L_WRIST].tolist() == [50, 50]
    assert found.pose.points[R_ANKLE].tolist() == [85, 85]
    assert (found.pose.state == JointState.VISIBLE).all()
    assert found.notes == () and found.confidence == pytest.approx(0.8)
    left, top, right, bottom = found.box
    assert 0 <= left < 5 and 0 <= top < 5 and 85 < right < 300 and 85 < bottom < 200


def test_a_neck_needs_both_shoulders() -> None:
    found = detection_of(person(left=5), (1, 1), (400, 400))
    assert found is not None
    assert not found.pose.drawn[NECK] and not found.pose.drawn[L_SHOULDER]
    assert found.pose.drawn[R_SHOULDER] and found.pose.drawn.sum() == 16
    assert found.notes == ("2 of 18 joints were not found",)


def test_three_joints_are_nobody() -> None:
    lonely = person(**{str(joint): joint for joint in range(3, 17)})
    assert detection_of(lonely, (1, 1), (400, 400)) is None


def test_a_flip_test_treats_both_sides_alike() -> None:
    network = tiny()
    pixels = np.random.default_rng(5).integers(0, 256, (64, 128, 3), np.uint8)
    heat, tags = infer(network, pixels, flip=True)
    mirrored, mirrored_tags = infer(network, np.ascontiguousarray(pixels[:, ::-1]), flip=True)
    assert heat.shape == (17, 64, 128) and tags.shape == (17, 64, 128, 2)
    np.testing.assert_allclose(mirrored, heat[list(FLIPPED)][:, :, ::-1], atol=1e-5)
    np.testing.assert_allclose(mirrored_tags[..., 0], tags[list(FLIPPED)][:, :, ::-1, 1], atol=1e-5)
    assert np.abs(infer(network, pixels)[0] - heat).max() > 1e-3


def test_maps_of_two_people_become_two_poses_on_the_photo() -> None:
    """From maps on the canvas of a 1024 x 1536 photo: joints within a canvas pixel."""
    canvas = fit(np.zeros((1024, 1536, 3), np.uint8))
    height, width = canvas.pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    heat = np.zeros((17, height, width), np.float32)
    tags = np.zeros((17, height, width, 1), np.float32)
    people = []
    for left, top, step, tag in ((100, 80, 90, -1.0), (800, 200, 130, 1.0)):
        joints = np.arange(17)
        points = np.stack((left + step * (joints % 3), top + step * (joints // 3)), 1) + 0.3
        people.append(points)
        for joint, (x, y) in enumerate(points * canvas.scale):
            blob = np.exp(-((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2) / 32)
            heat[joint] = np.maximum(heat[joint], blob)
            tags[joint][blob > 0.5] = tag
    found = people_in(heat, tags, canvas.scale, (1536, 1024))
    assert len(found) == 2 and found[0].area > found[1].area
    for detection, points in zip(found, people[::-1], strict=True):
        wanted = points[[5 if index is None else index for index in FROM_COCO_17]]
        wanted[NECK] = points[[5, 6]].mean(0)
        assert np.abs(detection.pose.points - wanted).max() <= 1.0  # half a canvas pixel
        assert detection.pose.drawn.all() and detection.confidence > 0.95
        left, top, right, bottom = detection.box
        assert (left, top) <= tuple(points.min(0)) and (right, bottom) >= tuple(points.max(0))


def dots(left: int) -> np.ndarray:
    """Float (17, 2): a small person's joints in a picture of 64 x 128."""
    rows, columns = np.arange(17) // 3, np.arange(17) % 3
    return np.stack((left + 14 + 14 * columns, 6 + 10 * rows), 1) + 0.5


def gaussians(people: list[np.ndarray], cell: int) -> torch.Tensor:
    """(17, 64 / cell, 128 / cell) heat maps, deviation a cell and a half."""
    rows, columns = np.mgrid[: 64 // cell, : 128 // cell] + 0.5
    blobs = [
        np.exp(-((columns - x / cell) ** 2 + (rows - y / cell) ** 2) / 4.5)
        for points in people
        for x, y in points
    ]
    planes = np.array(blobs, np.float32).reshape(2, 17, *rows.shape)
    return torch.from_numpy(planes.max(0))


def learn(network: HigherHRNet, image: np.ndarray, people: list[np.ndarray]) -> None:
    """100 steps on one picture and on black: heat maps, and tags of -1 and 1."""
    x = imagenet_normalised(torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1)
    x = torch.cat((x, imagenet_normalised(torch.full_like(x, -1))))
    coarse_heat, fine_heat = (gaussians(people, cell) for cell in (4, 2))
    coarse_heat, fine_heat = (torch.stack((h, 0 * h)) for h in (coarse_heat, fine_heat))
    tag = torch.where(torch.arange(32) < 16, -1.0, 1.0).expand(17, 16, 32)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    network.train()
    for _ in range(100):
        coarse, fine = network(x)
        loss = ((1 + 4 * coarse_heat) * (coarse[:, :17] - coarse_heat).square()).mean()
        loss = loss + ((1 + 4 * fine_heat) * (fine - fine_heat).square()).mean()
        loss = loss + 0.01 * (coarse[0, 17:] - tag)[coarse_heat[0] > 0.3].square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()


@pytest.mark.slow
def test_the_small_network_that_learned_a_picture_finds_its_people(monkeypatch) -> None:
    """The whole way: canvas, network, both heads, tags, grouping, our 18 joints."""
    monkeypatch.setattr("reposedm.detect.higherhrnet_backend.SHORT_SIDE", 64)
    people = [dots(0), dots(64)]
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, 64:] = (20, 60, 255)  # the people look alike: where they stand does not
    for joint, colour in enumerate(np.random.default_rng(1).integers(0, 256, (17, 3))):
        for x, y in (points[joint].astype(int) for points in people):
            image[y - 3 : y + 4, x - 3 : x + 4] = colour
    torch.manual_seed(0)
    network = HigherHRNet.small()
    learn(network, image, people)
    found = sorted(detect_with(network, image, 9), key=lambda one: one.box[0])
    assert len(found) == 2
    for detection, points in zip(found, people, strict=True):
        wanted = points[[5 if index is None else index for index in FROM_COCO_17]]
        wanted[NECK] = points[[5, 6]].mean(0)
        assert detection.pose.drawn.all()
        assert np.abs(detection.pose.points - wanted).max() < 2
    assert len(detect_with(network, image, 1)) == 1
    assert detect_with(network, np.zeros_like(image), 5) == []


def test_without_weights_the_command_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path / "my weights"))
    problem = backends()["higherhrnet"]
    assert "not here" in problem
    assert f"reposedm convert CHECKPOINT.pth -o '{tmp_path}/my weights/higherhrnet'" in problem
    with pytest.raises(DetectionError, match="reposedm convert"):
        detect_people(np.zeros((64, 64, 3), np.uint8), "higherhrnet")


def test_with_weights_it_runs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    saved(tmp_path / "higherhrnet", manifest=True)
    assert backends()["higherhrnet"] == ""
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    for found in detect_people(image, "higherhrnet", max_people=3):  # random weights: anything
        assert found.pose.size == (300, 200)
    (tmp_path / "higherhrnet" / WEIGHTS).write_bytes(b"cut")
    with pytest.raises(WeightsError, match="damaged"):
        detect_people(image, "higherhrnet")


def test_a_network_for_other_joints_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    tiny(joints=14).save_pretrained(tmp_path / "higherhrnet")
    with pytest.raises(DetectionError, match="14 joints"):
        detect_people(np.zeros((64, 64, 3), np.uint8), "higherhrnet")


def test_mirrored_people_are_mirrored_detections() -> None:
    size = (400, 400)
    plain = detection_of(person(), (1, 1), size)
    points = person().points[list(FLIPPED)] * [-1, 1] + [400, 0]
    other = detection_of(Person(points.astype(np.float32), person().score), (1, 1), size)
    assert plain is not None and other is not None
    np.testing.assert_allclose(other.pose.points, plain.pose.mirrored().points, atol=1e-4)
