"""Fabrics close round the trunk, cameras change what they say, maps come back."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic.canonical import CHART_SIDE, TURN
from training.synthetic.colors import cloth_color
from training.synthetic.correspondence import canonical_flow, mapping
from training.synthetic.fabrics import (
    KINDS,
    Palette,
    chart,
    closing_period,
    dots,
    fabric,
    stripes,
    woven,
    zigzag,
)
from training.synthetic.labels import MIRRORED_PARTS, PARTS, TEXTURE, part_of_bone
from training.synthetic.maps import decode, encode, mirrored
from training.synthetic.photographic import Film, photograph, sample_film


@pytest.mark.parametrize("lot", range(6))
def test_patterns_close_at_the_back(lot: int) -> None:
    period = closing_period(np.random.default_rng(lot))
    s, t = np.random.default_rng(1).uniform(-4, 4, (2, 500))
    for pattern in (
        lambda s: stripes(s, period, 0.1),
        lambda s: dots(s, t, period, 0.3),
        lambda s: zigzag(s, t, period, 0.8),
    ):
        assert pattern(s) == pytest.approx(pattern(s + TURN), abs=1e-6)


def test_stripes_are_where_the_sine_is_high() -> None:
    assert stripes(np.array((0.25, 0.75)), 1.0, 0.0) == pytest.approx((1, 0))


def test_the_chart_is_upright() -> None:
    s, t = chart()
    assert t[0, 0] > t[-1, 0] and s[0, 0] < s[0, -1]
    assert s[0, -1] - s[0, 0] == pytest.approx(CHART_SIDE * (1 - 1 / TEXTURE), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_pattern_has_the_garments_colors(kind: str) -> None:
    rng = np.random.default_rng(3)
    image = woven(rng, kind, Palette(rng, False, None))
    assert image.shape == (TEXTURE, TEXTURE, 3) and np.isfinite(image).all()
    assert image.min() >= -0.01 and image.max() <= 1.2


def test_the_same_lots_give_the_same_cloth() -> None:
    first, second = (fabric(np.random.default_rng(7), calm=True) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, fabric(np.random.default_rng(8), calm=True))


def test_cloth_is_not_of_the_color_of_the_skin() -> None:
    skin = np.array((0.77, 0.59, 0.46), np.float32)
    for lot in range(200):
        palette = Palette(np.random.default_rng(lot), False, skin)
        assert np.abs(palette.main - skin).max() >= 0.22


def test_colors_are_colors() -> None:
    for lot in range(100):
        color = cloth_color(np.random.default_rng(lot))
        assert color.shape == (3,) and color.min() >= 0 and color.max() <= 1


def test_a_plain_film_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 24, 3), np.uint8)
    taken, alpha = photograph(Film(), image, image[..., 0])
    assert np.abs(taken.astype(int) - image).max() <= 1
    assert np.array_equal(alpha, image[..., 0])


def test_a_stop_doubles_the_light() -> None:
    image = np.full((16, 16, 3), 100, np.uint8)
    taken, _ = photograph(Film(exposure=1.0), image)
    assert taken[0, 0, 0] == pytest.approx(255 * ((100 / 255) ** 2.2 * 2) ** (1 / 2.2), abs=1)


def test_white_balance_and_saturation() -> None:
    image = np.full((16, 16, 3), 120, np.uint8)
    warm, _ = photograph(Film(gains=(1.2, 1.0, 0.8)), image)
    assert warm[0, 0, 0] > 120 > warm[0, 0, 2]
    grey, _ = photograph(Film(saturation=0.0), warm)
    assert np.ptp(grey[0, 0].astype(int)) <= 1


def test_the_lens_softens_alpha_and_picture_alike() -> None:
    edge = np.zeros((32, 32), np.uint8)
    edge[:, 16:] = 255
    taken, alpha = photograph(Film(blur=2.0), np.repeat(edge[..., None], 3, 2), edge)
    assert alpha is not None and 100 < alpha[16, 16] < 200
    light = (taken[16, :, 0] / 255.0) ** 2.2
    assert light == pytest.approx(alpha[16] / 255.0, abs=0.02)


def test_films_are_drawn_by_their_lots_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 44, 3), np.uint8)
    films = [sample_film(np.random.default_rng(5)) for _ in range(2)]
    pictures = [photograph(film, image)[0] for film in films]
    assert np.array_equal(*pictures)
    changed = [photograph(sample_film(np.random.default_rng(k)), image)[0] for k in range(20)]
    assert np.std([c.mean() for c in changed]) > 5


def test_canonical_maps_come_back_to_a_step() -> None:
    rng = np.random.default_rng(2)
    boxes = np.stack((np.full((20, 3), -2.0), np.full((20, 3), 3.0)), 1).astype(np.float32)
    part = rng.integers(0, 20, (16, 12)).astype(np.uint8)
    places = rng.uniform(-2, 3, (16, 12, 3)).astype(np.float32) * (part > 0)[..., None]
    found, decoded = decode(encode(part, places, boxes), boxes)
    assert np.array_equal(found, part)
    assert decoded == pytest.approx(places, abs=5 / 255 / 2 + 1e-5)


def test_the_mirrored_map_names_the_other_side() -> None:
    part = np.array(((PARTS.index("left hand"), 0),), np.uint8)
    places = np.array((((1.5, 2, 3), (0, 0, 0)),), np.float32)
    swapped, moved = mirrored(part, places)
    assert swapped.tolist() == [[0, PARTS.index("right hand")]]
    assert moved[0, 1].tolist() == [-1.5, 2, 3]
    assert [MIRRORED_PARTS[p] for p in MIRRORED_PARTS] == list(range(20))


def test_the_flow_of_a_shifted_pattern_is_its_shift() -> None:
    rows, columns = np.mgrid[:20, :16].astype(np.float32)
    places = np.stack((columns * 0.1, rows * 0.1, np.zeros_like(rows)), -1)
    labels = np.ones((20, 16), np.uint8)
    labels[:, 10:] = 2
    shifted, moved = np.roll(labels, 3, 1), np.roll(places, 3, 1)
    shifted[:, :3] = 0  # the target shows the source three pixels to the right
    flow, valid = canonical_flow((labels, places), (shifted, moved), within=0.05)
    assert np.array_equal(valid, shifted > 0)
    offsets, seen = mapping(flow, valid)
    assert offsets[0][valid] == pytest.approx(-3, abs=0.15)
    assert offsets[1][valid] == pytest.approx(0, abs=0.15)
    assert (offsets[:, ~valid] == 0).all() and seen.sum() == valid.sum()


def test_what_the_source_does_not_show_has_no_flow() -> None:
    labels = np.ones((6, 6), np.uint8)
    places = np.random.default_rng(0).uniform(0, 1, (6, 6, 3)).astype(np.float32)
    flow, valid = canonical_flow((labels, places), (labels, places + 5))
    assert not valid.any() and (flow == -1).all()


def test_bones_belong_to_parts() -> None:
    assert PARTS[part_of_bone("upperarm01.L")] == "left upper arm"
    assert PARTS[part_of_bone("finger3-2.R")] == "right hand"
    assert PARTS[part_of_bone("spine02")] == "chest" and PARTS[part_of_bone("root")] == "hips"
    assert PARTS[part_of_bone("oris04.L")] == "head"
