"""The colour of a person's face tells their skin from their clothes; shins are not shoes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reposedm.garments import labels as L
from reposedm.garments.parse import by_tone
from reposedm.garments.zones import ARM, LEG, body_zones, hands, shins
from reposedm.pose import JointState
from tests.dressed import dressed


def shares_of(labels: NDArray[np.uint8], sure: float = 0.7) -> NDArray[np.float32]:
    """Shares (12, h, w) that have each label at ``sure``, the rest evenly."""
    rest = (1 - sure) / (len(L.CLASSES) - 1)
    found = np.full((len(L.CLASSES), *labels.shape), rest, np.float32)
    np.put_along_axis(found, labels[None].astype(np.int64), sure, 0)
    return found


def test_the_colour_of_the_face_tells_skin_from_cloth() -> None:
    image, pose, labels = dressed(long_sleeves=True)  # red sleeves, blue trousers
    wrong = labels.copy()
    wrong[labels == L.BOTTOM] = L.LEG_SKIN
    sleeves = (labels == L.TOP) & (body_zones(pose, labels.shape) == ARM)
    sleeves &= ~hands(pose, labels.shape)
    shares = shares_of(wrong)
    shares[L.BOTTOM][labels == L.BOTTOM] = 0.2
    found = by_tone(shares, image, pose)
    assert np.allclose(found.sum(0), 1, atol=1e-5)
    legs = (labels == L.BOTTOM) & (body_zones(pose, labels.shape) == LEG)
    assert (found[L.LEG_SKIN][legs] < 0.3).mean() > 0.95  # blue is no leg
    assert (found[L.TOP][sleeves] > 0.5).mean() > 0.95  # red stays a sleeve
    bare, pose, truth = dressed()
    forearms = (truth == L.ARM_SKIN) & ~hands(pose, truth.shape)
    shares = shares_of(np.where(truth == L.ARM_SKIN, L.TOP, truth), 0.6)
    after = by_tone(shares, bare, pose)
    assert after[L.TOP][forearms].mean() < shares[L.TOP][forearms].mean() - 0.05


def test_without_a_face_colours_tell_nothing() -> None:
    image, pose, labels = dressed()
    state = pose.state.copy()
    state[[0, 14, 15]] = JointState.BEHIND
    shares = shares_of(labels)
    assert by_tone(shares, image, pose.replace(state=state)) is shares


def test_shins_end_above_the_ankles() -> None:
    _, pose, labels = dressed()
    found = shins(pose, labels.shape)
    for knee, ankle in ((9, 10), (12, 13)):
        middle = (pose.points[knee] + pose.points[ankle]) / 2
        assert found[int(middle[1]), int(middle[0])]
        x, y = pose.points[ankle].astype(int)
        assert not found[y : y + 8, x].any()
    thigh = (pose.points[8] + pose.points[9]) / 2
    assert not found[int(thigh[1]), int(thigh[0])]
    assert not shins(pose.replace(state=np.zeros_like(pose.state)), labels.shape).any()
