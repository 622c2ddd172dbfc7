"""Triples of a garment swap: who is shown what, and that only the mask differs."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from reposedm.garments.labels import region_mask
from tests.training.swaps import HEIGHT, WIDTH, write_folder
from training.datasets.swap import SwapTriples, Varied, mirrored, stretched, swap_region
from training.sample import DataError
from training.swap_batch import make_swap_batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def triples(folder: Path) -> SwapTriples:
    return SwapTriples(folder, "all")


def test_person_and_truth_are_the_same_picture_outside_of_the_mask(triples: SwapTriples) -> None:
    assert len(triples) == 3 * 2 * 3
    for sample in (triples[0, index] for index in range(len(triples))):
        outside = ~sample.mask
        assert np.array_equal(sample.image[outside], sample.truth[outside])
        assert np.array_equal(sample.labels[outside], sample.truth_labels[outside])
        inside = sample.mask & (sample.labels != sample.truth_labels)
        if sample.region in ("top", "bottom", "outfit"):
            assert inside.any() and (sample.image[inside] != sample.truth[inside]).any()


def test_the_mask_is_the_union_of_both_garments_and_a_margin(triples: SwapTriples) -> None:
    for sample in (triples[1, index] for index in range(len(triples))):
        union = region_mask(sample.truth_labels, sample.region)
        union |= region_mask(sample.labels, sample.region)
        head = np.isin(sample.truth_labels, (1, 2, 11))
        assert (sample.mask | ~union | head).all() and not (sample.mask & head).any()
        reach = cv2.dilate(union.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert not (sample.mask & ~reach).any()


def test_the_garment_is_that_of_the_truth_in_another_picture(triples: SwapTriples) -> None:
    """Clothes have one colour an outfit here (every fourth row has half of it)."""

    def cloth(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
        inner = cv2.erode(where.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        return np.median(picture[inner].astype(float), 0)

    seen = set()
    for sample in (triples[epoch, index] for epoch in range(3) for index in range(len(triples))):
        if sample.region != "top":
            continue
        worn = cloth(sample.garment, sample.garment_mask > 127)
        assert np.abs(worn - cloth(sample.truth, sample.truth_labels == 6)).max() < 20
        assert sample.product or sample.garment_pose.points[0, 0] != sample.pose.points[0, 0]
        seen.add(sample.product)
    assert seen == {True, False}


def test_products_belong_to_the_first_outfit(triples: SwapTriples) -> None:
    samples = [triples[epoch, index] for epoch in range(3) for index in range(len(triples))]
    alone = [sample for sample in samples if sample.product]
    assert alone and all("-o0-" in sample.name for sample in alone)
    assert all((sample.wearer == sample.garment_mask).all() for sample in alone)
    pose = alone[0].garment_pose  # neck, shoulders and hips: all that a T-shirt shows
    assert [int(joint) for joint in np.flatnonzero(pose.drawn)] == [1, 2, 5, 8, 11]


def test_a_number_and_an_epoch_decide_everything(folder: Path) -> None:
    first, again = (Varied(SwapTriples(folder, "all"), seed=4) for _ in range(2))
    one, two, later = first[2, 5], again[2, 5], first[3, 5]
    assert one.name == two.name and np.array_equal(one.garment, two.garment)
    assert not np.array_equal(one.truth, later.truth) and one.name != later.name
    few = SwapTriples(folder, "all", limit=4)
    assert len(few) == 4 and len({few[index].person for index in range(4)}) == 3


def test_mirrored_twice_is_the_same(triples: SwapTriples) -> None:
    sample = triples[3]
    there, back = mirrored(sample), mirrored(mirrored(sample))
    for field in dataclasses.fields(sample):
        value = getattr(sample, field.name)
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, getattr(back, field.name))
    assert np.allclose(there.pose.points[2], (WIDTH, 0) + sample.pose.points[5] * (-1, 1))


def test_a_stretched_garment_keeps_its_joints(triples: SwapTriples) -> None:
    """The garment's own box follows its hips and shoulders."""
    sample = triples[0]
    wide = stretched(sample, (1.2, 0.9))
    for axis, scale in ((0, 1.2), (1, 0.9)):
        before, after = (np.nonzero(one.wearer > 127)[1 - axis] for one in (sample, wide))
        middle = (WIDTH, HEIGHT)[axis] / 2
        for edge in (np.min, np.max):
            ends = float(edge(before)) + 0.5, float(edge(after)) + 0.5
            assert ends[1] == pytest.approx((ends[0] - middle) * scale + middle, abs=1.01)
        points = sample.garment_pose.points[:, axis], wide.garment_pose.points[:, axis]
        assert np.allclose(points[1], (points[0] - middle) * scale + middle, atol=1e-4)


def test_a_margin_never_takes_the_face() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[:8], labels[8:] = 2, 6
    found = swap_region(labels, labels, "top", 3)
    assert found[8:].all() and not found[:8].any()


def test_one_outfit_alone_and_a_wrong_size_are_refused(triples: SwapTriples, folder: Path) -> None:
    with pytest.raises(DataError, match=r"set data\.size"):
        make_swap_batch([triples[0]], (64, 64))
    batch = make_swap_batch([triples[0], triples[1]], (HEIGHT, WIDTH))
    assert len(batch) == 2 and batch.inputs.mask.shape == (2, 1, HEIGHT, WIDTH)
    assert batch.painted.shape == (2, 1, HEIGHT // 8, WIDTH // 8)
    lines = (folder / "index.jsonl").read_text("utf-8").replace('"outfits": 2', '"outfits": 1')
    other = folder / "one"
    other.mkdir()
    (other / "meta.json").write_bytes((folder / "meta.json").read_bytes())
    (other / "index.jsonl").write_text(lines, "utf-8")
    with pytest.raises(DataError, match="--outfits 2"):
        SwapTriples(other, "all")
