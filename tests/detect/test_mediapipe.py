"""The default detector and the mask on the example pictures, whose true joints are known."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from reposedm.detect import detect_people, person_mask
from reposedm.detect.bodies import Body
from reposedm.detect.graphs import networks
from reposedm.detect.mediapipe_backend import hidden_face, likeness
from reposedm.detect.regions import Region
from reposedm.errors import DetectionError, PoseError
from reposedm.pose.skeleton import L_EAR, L_EYE, NOSE, R_EAR, R_EYE
from tests.detect.pictures import ROOT, example, near

models = pytest.mark.models


@models
@pytest.mark.parametrize(
    "name", ["breton-stripes", "yellow-tee", "check-shirt-walking", "zigzag-three-quarter"]
)
def test_joints_of_one_person(name: str) -> None:
    image, truth = example(name)
    found = detect_people(image)
    assert len(found) == 1
    person = found[0]
    assert near(person.pose.points, truth) >= 0.9
    assert person.pose.size == (image.shape[1], image.shape[0])
    assert person.confidence > 0.8 and person.pose.visible.sum() >= 14
    left, top, right, bottom = person.box
    x, y = truth[truth[:, 2] == 2, :2].T
    assert left <= x.min() and top <= y.min() and right >= x.max() and bottom >= y.max()


@models
def test_the_same_photo_gives_the_same_joints_also_after_closing() -> None:
    image, _ = example("grey-suit")
    first = detect_people(image)[0].pose
    networks.close()
    again = image.copy()
    again[0, 0] ^= 1  # not the remembered photo
    second = detect_people(again)[0].pose
    np.testing.assert_allclose(first.points, second.points, atol=0.5)


@models
def test_mask_covers_the_person_and_nothing_else() -> None:
    image, truth = example("breton-stripes")
    person = detect_people(image)[0]
    mask = person_mask(image, person.pose)
    assert mask.dtype == np.float32 and mask.shape == image.shape[:2]
    assert mask.min() >= 0 and mask.max() <= 1
    x, y = truth[:, :2].astype(int).T
    assert (mask[y, x] > 0.8).mean() >= 0.85, "the joints lie in the mask"
    left, top, right, bottom = (int(side) for side in person.box)
    inside = np.zeros(mask.shape, bool)
    inside[max(top - 40, 0) : bottom + 40, max(left - 40, 0) : right + 40] = True
    assert mask[~inside].max() == 0
    assert 0.1 < mask.mean() < 0.35
    soft = ((mask > 0.02) & (mask < 0.98)).mean()
    assert 0 < soft < 0.1, "soft at the edge only"


@models
def test_the_mask_of_one_of_two_leaves_the_other_out() -> None:
    pair = np.hstack([example("grey-suit")[0], example("dotted-dress")[0]])
    people = detect_people(pair)
    assert len(people) == 2
    masks = [person_mask(pair, person.pose) for person in people]
    for person, own, other in zip(people, masks, masks[::-1], strict=True):
        x, y = person.pose.points[person.pose.visible].astype(int).T
        assert (own[y, x] > 0.5).mean() > 0.85
        assert (other[y, x] > 0.1).mean() == 0
    assert np.minimum(*masks).max() < 0.2


@models
def test_a_mask_for_a_pose_where_nobody_is_does_not_crash() -> None:
    image, _ = example("grey-suit")
    pose = detect_people(image)[0].pose
    empty = cv2.GaussianBlur(np.roll(image, 300, axis=1), (0, 0), 60)
    mask = person_mask(empty, pose)
    assert np.isfinite(mask).all() and mask.shape == empty.shape[:2]


def test_mask_refuses_foreign_and_empty_poses() -> None:
    from tests.detect.test_refine import standing

    pose = standing()
    with pytest.raises(DetectionError, match="200 x 300"):
        person_mask(np.zeros((100, 100, 3), np.uint8), pose)
    hidden = pose.replace(state=np.zeros(18, np.uint8))
    with pytest.raises(PoseError):
        person_mask(np.zeros((300, 200, 3), np.uint8), hidden)


@models
def test_nothing_is_printed_by_the_networks() -> None:
    code = (
        "import numpy as np; from reposedm.detect import detect_people\n"
        "print(len(detect_people(np.full((96, 96, 3), 90, np.uint8))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0" and done.stderr == ""


def body(nose: float, right_ear: float, left_ear: float, width: float = 20) -> Body:
    """A head 40 px above the shoulders; depths in pixels, ears ``width`` px apart."""
    points = np.zeros((39, 2), np.float32)
    points[[11, 12]] = (115, 140), (85, 140)
    points[0], points[8], points[7] = (100, 100), (100 - width / 2, 98), (100 + width / 2, 98)
    depth = np.zeros(33, np.float32)
    depth[[0, 8, 7]] = nose, right_ear, left_ear
    region = Region(100, 100, 200)
    plane = np.zeros((256, 256), np.float32)
    return Body(points, depth, np.ones(33, np.float32), 1.0, plane, region, region, 1.0)


def test_which_parts_of_the_face_are_hidden() -> None:
    assert hidden_face(body(nose=-60, right_ear=0, left_ear=0)) == []
    assert hidden_face(body(nose=60, right_ear=0, left_ear=0)) == [NOSE, R_EYE, L_EYE]
    assert hidden_face(body(nose=-20, right_ear=40, left_ear=0)) == [R_EAR]
    assert hidden_face(body(nose=-20, right_ear=0, left_ear=40)) == [L_EAR]
    assert hidden_face(body(nose=0, right_ear=60, left_ear=0, width=4)) == [R_EAR, R_EYE]


def test_likeness_of_poses() -> None:
    from tests.detect.test_refine import standing

    pose = standing()
    assert likeness(pose, pose) == pytest.approx(1)
    assert likeness(pose, pose.transformed(1, (100, 0), (400, 300))) < 0.01
    assert likeness(pose, pose.replace(state=np.zeros(18, np.uint8))) == 0
