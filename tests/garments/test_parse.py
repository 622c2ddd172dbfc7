from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from reposedm.errors import DetectionError, PoseError, SettingsError
from reposedm.garments import labels
from reposedm.garments.labels import BOTTOM, CLASSES, REGIONS, TOP, painted, region_mask
from reposedm.garments.parse import (
    SIZE,
    in_place,
    labels_of_shares,
    parse_person,
    parser_unavailable,
    parsers,
)
from reposedm.imaging.frame import Frame
from reposedm.pose import Pose
from tests.drawn import photo, standing


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of weights with a small parser in it, untrained."""
    import torch

    from reposedm.models.parser import GarmentParser

    torch.manual_seed(0)
    GarmentParser.tiny().save_pretrained(tmp_path / "parser")
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    yield tmp_path


def halves(top: int = TOP, low: int = BOTTOM) -> np.ndarray:
    """Shares of a frame whose upper half is one class and whose lower half another."""
    shares = np.zeros((len(CLASSES), SIZE[1], SIZE[0]), np.float32)
    shares[top, : SIZE[1] // 2] = 1
    shares[low, SIZE[1] // 2 :] = 1
    return shares


def test_the_label_order_is_the_renderers() -> None:
    from training.synthetic.labels import SEGMENTS

    renamed = {"outer": "outerwear"}
    assert tuple(renamed.get(name, name) for name in SEGMENTS) == CLASSES


@pytest.mark.parametrize("region", REGIONS)
def test_region_mask(region: str) -> None:
    every = np.arange(len(CLASSES), dtype=np.uint8).reshape(3, 4)
    found = region_mask(every, region)
    assert found.dtype == bool and found.shape == every.shape
    assert {int(label) for label in every[found]} == set(labels.REGION_LABELS[region])
    assert not region_mask(np.zeros((2, 2), np.uint8), region).any()
    skin = [labels.BACKGROUND, labels.HAIR, labels.FACE, *labels.SKIN]
    assert not found[np.isin(every, skin)].any()


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"'socks'.*top, bottom"):
        region_mask(np.zeros((2, 2), np.uint8), "socks")


def test_every_label_has_a_colour_of_its_own() -> None:
    colors = painted(np.arange(12, dtype=np.uint8)[None])[0]
    assert len({tuple(color) for color in colors.tolist()}) == 12


def test_shares_come_back_to_the_photo_exactly() -> None:
    # Four photo pixels per cell: the border between the halves lies at the frame's middle, row 296.
    frame = Frame((20, 40, 20 + 4 * SIZE[0], 40 + 4 * SIZE[1]), SIZE, (400, 600))
    image = np.full((600, 400, 3), 127, np.uint8)
    mask = np.zeros((600, 400), np.float32)
    mask[100:500, 60:300] = 1
    found = labels_of_shares(image, halves(), frame, mask, standing(400, 600))
    assert found.dtype == np.uint8 and found.shape == (600, 400)
    assert (found[100:296, 60:300] == TOP).all() and (found[296:500, 60:300] == BOTTOM).all()
    assert not found[mask == 0].any()


def test_a_frame_over_the_border_of_the_photo() -> None:
    frame = Frame((-30, -20, SIZE[0] - 30, SIZE[1] - 20), SIZE, (50, 90))
    image = np.full((90, 50, 3), 127, np.uint8)
    found = labels_of_shares(
        image, halves(), frame, np.ones((90, 50), np.float32), standing(50, 90)
    )
    assert (found[:44] == TOP).all() and (found[44:] == BOTTOM).all()


def test_edges_follow_the_photo() -> None:
    image = np.full((SIZE[1], SIZE[0], 3), 30, np.uint8)
    image[SIZE[1] // 2 + 2 :] = 220  # the garment's edge is two pixels lower than the network says
    frame = Frame((0, 0, *SIZE), SIZE, SIZE)
    mask = np.ones(image.shape[:2], np.float32)
    soft = halves()
    for row, share in zip(range(60, 68), np.linspace(0.1, 0.9, 8), strict=True):
        soft[BOTTOM, row], soft[TOP, row] = share, 1 - share
    found = labels_of_shares(image, soft, frame, mask, standing(*SIZE))
    assert ((found == BOTTOM).argmax(0) >= SIZE[1] // 2 + 1).mean() > 0.9


def test_what_grows_nowhere_else_stays_in_its_place() -> None:
    pose = standing(SIZE[0], SIZE[1])
    shares = np.zeros((12, SIZE[1], SIZE[0]), np.float32)
    shares[labels.HAIR], shares[BOTTOM] = 0.6, 0.4
    found = in_place(shares, pose)
    assert found.sum(0) == pytest.approx(np.ones((SIZE[1], SIZE[0])), abs=1e-4)
    knee, head = pose.points[[9, 0]].astype(int)
    assert found[:, knee[1], knee[0]].argmax() == BOTTOM
    assert found[:, head[1] - 6, head[0]].argmax() == labels.HAIR


def test_without_a_mask_only_what_holds_the_pose_stays() -> None:
    shares = halves()
    shares[0] = 0.9
    shares[TOP, 10:60, 30:60], shares[0, 10:60, 30:60] = 1, 0
    shares[BOTTOM, 100:120, 2:14], shares[0, 100:120, 2:14] = 1, 0  # a piece far from everybody
    shares[TOP, 60:], shares[BOTTOM, :100] = 0, 0
    shares[:, 64:96], shares[0, 64:96] = 0, 1
    image = np.full((SIZE[1], SIZE[0], 3), 127, np.uint8)
    one = np.full((18, 2), (45, 30), np.float32) + np.arange(18)[:, None] / 4
    pose = Pose(one, np.ones(18), np.full(18, 2), SIZE)
    found = labels_of_shares(image, shares, Frame((0, 0, *SIZE), SIZE, SIZE), None, pose)
    assert (found[20:50, 35:55] == TOP).all() and not found[98:].any()


@pytest.mark.parametrize("scale", [1, 3])
def test_the_real_path_at_the_photos_size(weights: Path, scale: int) -> None:
    image, pose, mask = photo(96 * scale, 128 * scale)
    found = parse_person(image, pose, mask)
    assert found.shape == mask.shape and found.dtype == np.uint8
    assert (found[mask >= 0.5] > 0).all() and not found[mask < 0.5].any()
    assert np.array_equal(found, parse_person(image, pose, mask))
    assert parse_person(image, pose).shape == mask.shape


def test_hostile_pictures(weights: Path) -> None:
    pose = standing(96, 128)
    for value in (0, 255):
        found = parse_person(np.full((128, 96, 3), value, np.uint8), pose)
        assert found.shape == (128, 96) and found.max() < len(CLASSES)
    empty = parse_person(photo()[0], pose, np.zeros((128, 96), np.float32))
    assert not empty.any()
    tiny = parse_person(np.zeros((3, 2, 3), np.uint8), standing(2, 3), np.ones((3, 2), np.float32))
    assert tiny.shape == (3, 2)


def test_what_does_not_fit_is_refused(weights: Path) -> None:
    image, pose, mask = photo()
    with pytest.raises(DetectionError, match="96 x 128"):
        parse_person(image, standing(50, 50))
    with pytest.raises(DetectionError, match="the mask of 10 x 10"):
        parse_person(image, pose, np.ones((10, 10), np.float32))
    with pytest.raises(DetectionError, match="uint8"):
        parse_person(image.astype(np.float32), pose, mask)
    with pytest.raises(DetectionError, match="no parser 'best'"):
        parse_person(image, pose, mask, "best")
    hidden = pose.replace(state=np.zeros(18, np.uint8))
    with pytest.raises(PoseError, match="hidden"):
        parse_person(image, hidden, mask)


def test_without_weights_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    assert "training.train --config parser" in parser_unavailable()
    assert parsers()["small"] == parser_unavailable() and parsers()["segformer"] == ""
    image, pose, mask = photo()
    with pytest.raises(DetectionError, match=r"parser small cannot be used.*not here"):
        parse_person(image, pose, mask)


def test_weights_for_other_classes_are_refused(weights: Path) -> None:
    from reposedm.models.parser import GarmentParser

    GarmentParser(classes=3, widths=(8, 8, 16), blocks=1).save_pretrained(weights / "parser")
    image, pose, mask = photo()
    with pytest.raises(DetectionError, match="3 classes, not 12"):
        parse_person(image, pose, mask)
