"""Product pictures: the garment before its ground, and its joints guessed from the outline."""

from __future__ import annotations

import numpy as np
import pytest

from reposedm.errors import ImageError
from reposedm.garments.ground import is_plain, product_alpha
from reposedm.garments.guess import guess_labels
from reposedm.garments.guess_product import guess_garment_pose, is_split
from reposedm.garments.labels import BOTTOM, FACE, LEG_SKIN, TOP
from reposedm.garments.zones import TRUNK, body_zones
from tests.dressed import dressed, shirt, trousers

WHITE = np.full((128, 96, 3), 255, np.uint8)


def test_the_garment_is_cut_out_to_a_pixel() -> None:
    image = shirt()
    truth = (image != 255).any(2)
    alpha = product_alpha(image)
    assert ((alpha > 0.5) != truth).mean() < 0.005
    assert alpha[0, 0] == 0 and alpha[120, 88] == 1


def test_a_white_print_stays_the_garments_and_a_gap_between_legs_does_not() -> None:
    image = shirt()
    image[100:112, 80:92] = 255
    assert product_alpha(image)[106, 86] == 1
    assert product_alpha(trousers())[240, 80] == 0


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (WHITE, "empty, one colour"),
        (np.zeros_like(WHITE), "empty, one colour"),
        (np.random.default_rng(0).integers(0, 255, WHITE.shape).astype(np.uint8), "not plain"),
        (np.where(np.arange(128)[:, None, None] == 64, np.uint8(0), WHITE), "No garment"),
    ],
)
def test_no_garment_is_said_in_words(image: np.ndarray, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        product_alpha(image)


def test_a_busy_ground_is_not_plain() -> None:
    assert is_plain(shirt())
    assert not is_plain(np.random.default_rng(0).integers(0, 255, WHITE.shape).astype(np.uint8))


def test_joints_of_a_shirt_lie_where_its_shoulders_and_sleeves_are() -> None:
    alpha = product_alpha(shirt())
    pose = guess_garment_pose(alpha, "top")
    assert pose.drawn[[1, 2, 5, 8, 11]].all(), "neck, shoulders, hips"
    assert not pose.drawn[[0, 9, 10, 12, 13]].any(), "no face and no legs"
    right, left = pose.points[2], pose.points[5]
    assert right[0] < 88 < left[0], "the wearer's right is on the left"
    assert alpha[int(right[1]), int(right[0])] > 0.5
    assert pose.drawn[3] and not pose.drawn[4], "a short sleeve has an elbow and no wrist"


def test_joints_of_trousers_reach_the_ankles() -> None:
    alpha = product_alpha(trousers())
    assert is_split(alpha)
    pose = guess_garment_pose(alpha, "bottom")
    assert pose.drawn[[8, 9, 10, 11, 12, 13]].all()
    assert not pose.drawn[[1, 2, 5]].any()
    assert pose.points[10, 1] > 220 and pose.points[10, 0] < 80 < pose.points[13, 0]


@pytest.mark.parametrize("region", ["shoes", "outfit"])
def test_shoes_need_a_person(region: str) -> None:
    with pytest.raises(ImageError, match="photo of somebody who wears them"):
        guess_garment_pose(product_alpha(shirt()), region)


def test_guessed_labels_know_top_trousers_and_face() -> None:
    image, pose, truth = dressed(192, 256)
    guessed = guess_labels(image, pose, (truth > 0).astype(np.float32))
    for label, least in ((TOP, 0.8), (BOTTOM, 0.75), (FACE, 0.5)):
        here = truth == label
        overlap = ((guessed == label) & here).sum() / ((guessed == label) | here).sum()
        assert overlap > least, (label, overlap)
    assert (guessed == LEG_SKIN).sum() < 0.05 * (truth == BOTTOM).sum()


def test_a_half_figure_has_a_trunk_though_its_hips_are_out_of_the_photo() -> None:
    image, pose, truth = dressed(192, 256)
    rows = int(pose.points[8, 1]) - 12
    state = pose.state.copy()
    state[8:14] = 0
    half = pose.replace(state=state, size=(192, rows))
    guessed = guess_labels(image[:rows], half, (truth[:rows] > 0).astype(np.float32))
    here = truth[:rows] == TOP
    assert ((guessed == TOP) & here).sum() > 0.85 * here.sum()
    zone = body_zones(half, (rows, 192))
    x, y = (pose.points[[2, 5]].mean(0) + np.array([0, 20])).astype(int)
    assert zone[y, x] == TRUNK
