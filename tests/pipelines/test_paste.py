"""Skin that a swap uncovers: where it is, and whose tone it has."""

import cv2
import numpy as np

from reposedm.pipelines.garment_warp import WarpedGarment
from reposedm.pipelines.paste import bare_limbs, in_own_skin
from tests.dressed import SKIN, dressed

PERSON, POSE, LABELS = dressed(long_sleeves=True)
SHAPE = LABELS.shape


def garment(alpha: int) -> WarpedGarment:
    layer = np.zeros((*SHAPE, 4), np.uint8)
    layer[..., 3] = alpha
    return WarpedGarment(layer, np.zeros_like(layer), np.zeros(SHAPE, np.float32))


def test_sleeves_that_go_leave_arms_bare() -> None:
    mask = np.ones(SHAPE, bool)
    bare = bare_limbs(POSE, garment(0), LABELS, mask=mask, region="top")
    elbow, middle = POSE.points[3].astype(int), POSE.points[[1, 8, 11]].mean(0).astype(int)
    assert bare[elbow[1], elbow[0]] > 0.9 and bare[middle[1], middle[0]] < 0.1
    assert not bare_limbs(POSE, garment(255), LABELS, mask=mask, region="top").any()
    assert not bare_limbs(POSE, garment(0), LABELS, mask=~mask, region="top").any()


def test_painted_limbs_get_the_persons_tone_and_keep_their_shade() -> None:
    rows = np.linspace(60, 120, SHAPE[0], dtype=np.uint8)[:, None]
    shade = np.broadcast_to(rows, SHAPE)
    layer = np.dstack((shade + 30, shade, shade - 20, np.full(SHAPE, 255, np.uint8)))
    where = np.zeros(SHAPE, np.float32)
    where[:, : SHAPE[1] // 2] = 1
    found = in_own_skin(layer, where, PERSON, LABELS)
    tone, own = (cv2.cvtColor(np.float32(color).reshape(1, 1, 3) / 255, cv2.COLOR_RGB2LAB)[0, 0]
                 for color in (np.median(found[where > 0][:, :3], axis=0), SKIN))  # fmt: skip
    assert np.abs(tone - own).max() < 8
    assert found[-1, 0, 0] > found[0, 0, 0] and np.array_equal(found[:, -1], layer[:, -1])
    assert in_own_skin(layer, where, PERSON, np.zeros_like(LABELS)) is layer, "no skin is seen"
    gloves = layer.copy()
    gloves[..., :3] = 40
    assert in_own_skin(gloves, where, PERSON, LABELS) is gloves
