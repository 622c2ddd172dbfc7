"""The example pictures: complete, small, licensed, and with joints that fit the picture."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reposedm.pose.pose import JointState, Pose
from reposedm.pose.skeleton import L_HIP, L_SHOULDER, R_HIP, R_SHOULDER

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "examples"
PRESETS = Path(__file__).resolve().parents[1] / "reposedm" / "pose" / "presets.json"
SWAPS: list[dict[str, Any]] = json.loads((FOLDER / "garments.json").read_text("utf-8"))
ROWS: list[dict[str, Any]] = json.loads((FOLDER / "examples.json").read_text("utf-8"))
each = pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])


def as_pose(row: dict[str, Any]) -> Pose:
    values = np.array(row["pose"], np.float64)
    return Pose(values[:, :2], values[:, 2] > 0, values[:, 2].astype(np.uint8), tuple(row["size"]))


def test_there_are_enough_different_examples() -> None:
    assert sum(row["kind"] == "rendered" for row in ROWS) >= 8
    assert sum(row["kind"] == "photo" for row in ROWS) >= 1
    for key in ("id", "file", "thumbnail", "title"):
        assert len({row[key] for row in ROWS}) == len(ROWS), key


@each
def test_picture_exists_with_the_stated_size(row: dict[str, Any]) -> None:
    with Image.open(FOLDER / row["file"]) as picture:
        picture.load()
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        assert list(picture.size) == row["size"]
        if row["kind"] == "rendered":
            assert picture.size == (768, 1024)


@each
def test_files_are_small(row: dict[str, Any]) -> None:
    limit = 200_000 if row["kind"] == "rendered" else 150_000
    assert (FOLDER / row["file"]).stat().st_size <= limit
    thumbnail = FOLDER / row["thumbnail"]
    assert thumbnail.stat().st_size <= 15_000
    with Image.open(thumbnail) as picture:
        assert picture.height == 192


def test_the_folder_is_small_and_has_no_stray_file() -> None:
    files = {str(p.relative_to(FOLDER)) for p in FOLDER.rglob("*") if p.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    known = {row["file"] for row in ROWS} | {row["thumbnail"] for row in ROWS}
    known |= {f"results/{row['id']}.jpg" for row in ROWS}
    known |= {f"results/swap-{row['id']}.jpg" for row in SWAPS}
    known |= {row["garment"] for row in SWAPS if row["garment"].endswith(".jpg")}
    known |= {"examples.json", "make_results.py", "garments.json", "make_garments.py"}
    assert files == known | {"LICENSES.md"}
    assert sum((FOLDER / name).stat().st_size for name in files) < 2_500_000


@each
def test_licence_line(row: dict[str, Any]) -> None:
    lines = (FOLDER / "LICENSES.md").read_text("utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(f"| {row['file']} |"))
    assert ("CC0" if row["kind"] == "rendered" else "public domain") in line


@each
def test_joints_fit_the_picture(row: dict[str, Any]) -> None:
    pose = as_pose(row).check_usable()
    width, height = pose.size
    inside = (pose.points >= 0).all(1) & (pose.points < (width, height)).all(1)
    assert inside[pose.drawn].all()
    # A frontal or three-quarter view: shoulders drawn and above the hips where those are in view.
    assert pose.drawn[[R_SHOULDER, L_SHOULDER]].all()
    for shoulder, hip in ((R_SHOULDER, R_HIP), (L_SHOULDER, L_HIP)):
        if pose.state[hip] != JointState.HIDDEN:
            assert pose.points[shoulder, 1] < pose.points[hip, 1]
    # The person faces the camera: the right side is on the left of the picture.
    assert pose.points[R_SHOULDER, 0] < pose.points[L_SHOULDER, 0]


@each
def test_rendered_people_stand_out_from_the_backdrop_at_their_joints(row: dict[str, Any]) -> None:
    """Joints that were shifted, scaled or of another picture would fall on the plain backdrop."""
    if row["kind"] != "rendered":
        pytest.skip("a photograph has no plain backdrop")
    pose = as_pose(row)
    with Image.open(FOLDER / row["file"]) as picture:
        pixels = np.asarray(picture, np.float64)
    rows_of_wall = pixels[:, :8].mean(1)
    x, y = np.floor(pose.points[pose.visible]).astype(int).T
    difference = np.abs(pixels[y, x] - rows_of_wall[y]).max(1)
    assert (difference > 12).mean() >= 0.85


@each
def test_suggested_poses_exist(row: dict[str, Any]) -> None:
    known = {entry["id"] for entry in json.loads(PRESETS.read_text("utf-8"))["presets"]}
    assert len(set(row["targets"])) == len(row["targets"]) == 6
    assert set(row["targets"]) <= known


@pytest.mark.models
def test_mediapipe_finds_every_example() -> None:
    mediapipe = pytest.importorskip("mediapipe")
    with mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1) as finder:
        for row in ROWS:
            with Image.open(FOLDER / row["file"]) as picture:
                found = finder.process(np.array(picture)).pose_landmarks
            assert found is not None, row["id"]
            nose = found.landmark[0]
            true_nose = np.divide(row["pose"][0][:2], row["size"])
            assert np.hypot(*(np.array((nose.x, nose.y)) - true_nose)) < 0.05, row["id"]


def test_every_swap_has_its_people_and_a_small_licensed_garment() -> None:
    people = {row["id"] for row in ROWS}
    for row in SWAPS:
        assert row["person"] in people
        if row["garment"] not in people:
            assert (FOLDER / row["garment"]).stat().st_size <= 150_000
            assert f"| {row['garment']} |" in (FOLDER / "LICENSES.md").read_text("utf-8")
