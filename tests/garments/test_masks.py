"""What a swap may change: the automatic mask, its bound, and the painted one."""

from __future__ import annotations

import numpy as np
import pytest

from reposedm.errors import ImageError
from reposedm.garments.labels import BOTTOM, FACE, HAIR, REGIONS, SHOES, TOP, region_mask
from reposedm.garments.masks import GROWTH, swap_mask
from tests.dressed import dressed

_, POSE, LABELS = dressed()
SHAPE = LABELS.shape


def blob(seed: int) -> np.ndarray:
    """A garment's alpha: a soft ellipse somewhere on the person."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    cy, cx = rng.uniform(0.3, 0.7, 2) * SHAPE
    ry, rx = rng.uniform(6, 50, 2)
    return np.clip(1.5 - ((y - cy) / ry) ** 2 - ((x - cx) / rx) ** 2, 0, 1).astype(np.float32)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("seed", range(4))
def test_an_automatic_mask_holds_both_garments_and_little_more(region: str, seed: int) -> None:
    alpha = blob(seed)
    mask = swap_mask(LABELS, alpha, region)
    assert mask.dtype == np.float32
    assert set(np.unique(mask)) <= {0.0, 1.0}
    union = region_mask(LABELS, region) | (alpha > 0.5)
    assert (mask > 0).sum() <= GROWTH * union.sum()
    old = region_mask(LABELS, region)
    assert (mask[old] == 1).all(), "all of the old garment goes"
    free = (LABELS == 0) & (alpha > 0.5)
    assert (mask[free] == 1).all(), "all of the new garment fits in"


def test_face_and_hair_stay_out_though_the_new_garment_lies_there() -> None:
    alpha = np.ones(SHAPE, np.float32)
    mask = swap_mask(LABELS, alpha, "outfit")
    assert not mask[np.isin(LABELS, (FACE, HAIR))].any()


def test_trousers_do_not_take_the_top_or_the_shoes_with_them() -> None:
    mask = swap_mask(LABELS, np.ones(SHAPE, np.float32), "bottom")
    assert not mask[np.isin(LABELS, (TOP, SHOES))].any()
    assert mask[LABELS == BOTTOM].all()


def test_the_old_garments_soft_edge_is_inside_the_mask() -> None:
    mask = swap_mask(LABELS, None, "top")
    rows = np.flatnonzero((LABELS == TOP).any(1))
    row = int(rows[len(rows) // 2])
    left = int(np.flatnonzero(LABELS[row] == TOP)[0])
    assert mask[row, left - 1] == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_painted_mask_never_grows(seed: int) -> None:
    painted = (blob(seed) > 0.3).astype(np.float32) * 0.7
    mask = swap_mask(LABELS, blob(seed + 1), "top", painted)
    assert np.array_equal(mask, painted)


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros(SHAPE), "empty"),
        (np.ones(SHAPE), "covers the whole photo"),
        (np.ones((SHAPE[0], SHAPE[1] - 1)), "pixels and the photo has 144 x 192"),
        (np.full(SHAPE, np.nan), "no numbers"),
        (np.ones((*SHAPE, 3)), "one plane"),
        (np.full(SHAPE, "x"), "one plane"),
    ],
)
def test_what_is_no_mask_is_refused_in_words(mask: np.ndarray, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        swap_mask(LABELS, None, "top", mask)


def test_a_region_that_is_out_of_the_frame_is_named() -> None:
    upper = np.where(LABELS == SHOES, 0, LABELS).astype(np.uint8)
    with pytest.raises(ImageError, match="No shoes and no feet"):
        swap_mask(upper, np.zeros(SHAPE, np.float32), "shoes")
