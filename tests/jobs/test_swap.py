"""The swap job: exact outside the mask, the garment's colours inside, clear words otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reposedm.errors import DetectionError, ImageError, PoseError, SettingsError, WeightsError
from reposedm.garments.labels import FACE, LEG_SKIN, SHOES, TOP, region_mask
from reposedm.garments.masks import GROWTH
from reposedm.jobs.garment import find_garment, forget_garments, plan_swap
from reposedm.jobs.methods import method_names, unload_methods
from reposedm.jobs.runtime import ACCELERATOR
from reposedm.jobs.swap import SwapResult, SwapSettings, swap
from reposedm.pipelines.base import drain
from tests import swap_methods
from tests.dressed import SKIN, dressed, shirt, trousers

PERSON, POSE, LABELS = dressed()
OTHER, OTHER_POSE, OTHER_LABELS = dressed(120, 160, top=(40, 160, 60), bottom=(200, 200, 60))
LONG, LONG_POSE, LONG_LABELS = dressed(long_sleeves=True)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    forget_garments()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    swap_methods.install(tmp_path, monkeypatch)
    yield
    unload_methods()


def made(region: str = "top", mask: Any = None, **settings: Any) -> SwapResult:
    return drain(
        swap(
            PERSON, POSE, OTHER, OTHER_POSE, SwapSettings(region=region, **settings), mask,
            person_labels=LABELS, garment_labels=OTHER_LABELS,
        )
    )  # fmt: skip


def assert_exact(result: SwapResult, photo: np.ndarray) -> None:
    for image in result.images:
        assert image.shape == photo.shape and image.dtype == np.uint8
        outside = result.mask == 0
        assert np.array_equal(image[outside], photo[outside])


@pytest.mark.parametrize("region", ["top", "bottom", "dress", "shoes", "outfit"])
def test_outside_the_mask_every_pixel_is_the_photos(region: str) -> None:
    result = made(region)
    assert_exact(result, PERSON)
    union = region_mask(LABELS, region) | (result.warp[..., 3] > 127)
    assert (result.mask > 0).sum() <= GROWTH * union.sum()


@pytest.mark.parametrize(
    ("region", "spot", "color"),
    [("top", (0.4, 0.5), (40, 160, 60)), ("bottom", (0.62, 0.45), (200, 200, 60))],
)
def test_the_new_garments_colour_is_on_the_person(
    region: str, spot: tuple[float, float], color: tuple[int, int, int]
) -> None:
    image = made(region).images[0]
    y, x = (np.array(spot) * PERSON.shape[:2]).astype(int)
    assert np.abs(image[y, x].astype(int) - color).max() < 30
    assert np.array_equal(image[LABELS == FACE], PERSON[LABELS == FACE])


def test_a_short_sleeve_uncovers_skin_of_the_persons_own_tone() -> None:
    result = drain(
        swap(
            LONG, LONG_POSE, OTHER, OTHER_POSE, SwapSettings(region="top"),
            person_labels=LONG_LABELS, garment_labels=OTHER_LABELS,
        )
    )  # fmt: skip
    elbow, wrist = LONG_POSE.points[3], LONG_POSE.points[4]
    x, y = (0.5 * elbow + 0.5 * wrist).astype(int)
    assert LONG_LABELS[y, x] == TOP, "there was a sleeve"
    assert np.abs(result.images[0][y, x].astype(int) - SKIN).max() < 45


def test_trousers_cover_bare_legs_and_the_legs_do_not_show_through() -> None:
    bare = np.where(LABELS == 8, LEG_SKIN, LABELS).astype(np.uint8)
    photo = PERSON.copy()
    photo[bare == LEG_SKIN] = SKIN
    result = drain(
        swap(
            photo, POSE, OTHER, OTHER_POSE, SwapSettings(region="bottom"),
            person_labels=bare, garment_labels=OTHER_LABELS,
        )
    )  # fmt: skip
    x, y = (0.5 * POSE.points[9] + 0.5 * POSE.points[10]).astype(int)
    assert np.abs(result.images[0][y, x].astype(int) - (200, 200, 60)).max() < 30
    assert_exact(result, photo)


def test_a_painted_mask_comes_back_as_it_is_and_nothing_else_changes() -> None:
    painted = np.zeros(LABELS.shape, np.float32)
    painted[60:90, 55:90] = 1
    result = made(mask=painted)
    assert np.array_equal(result.mask, painted)
    assert_exact(result, PERSON)
    assert (result.images[0] != PERSON).any()
    assert result.settings["painted_mask"] is True


def test_painting_beyond_the_hem_makes_the_garment_longer() -> None:
    automatic = made().mask
    hem = int(np.flatnonzero((automatic > 0).any(1))[-1])
    painted = automatic.copy()
    painted[hem - 4 : hem + 12, 5:30] = 1  # on the background, beside the legs
    image = made(mask=painted).images[0]
    assert (image[hem + 4, 10:25] != PERSON[hem + 4, 10:25]).any()


@pytest.mark.parametrize(("picture", "region"), [(shirt(), "top"), (trousers(), "bottom")])
def test_a_product_picture_dresses_the_person(picture: np.ndarray, region: str) -> None:
    settings = SwapSettings(region=region, garment="product")
    result = drain(swap(PERSON, POSE, picture, None, settings, person_labels=LABELS))
    assert_exact(result, PERSON)
    color = picture[picture.shape[0] // 4, picture.shape[1] // 2].astype(int)
    near = np.abs(result.images[0].astype(int) - color).max(2) < 40
    assert (near & region_mask(LABELS, region)).sum() > 0.4 * region_mask(LABELS, region).sum()
    assert any("landmark network" in note for note in result.notes), "a guess is said to be one"


def test_equal_jobs_make_equal_pictures_and_one_is_enough() -> None:
    first, second = made(count=3), made()
    assert len(first.images) == 1
    assert any("same picture every time" in note for note in first.notes)
    assert np.array_equal(first.images[0], second.images[0])


def test_a_trained_method_sees_native_frames_and_stays_inside_the_mask(tiny: None) -> None:
    result = made(method=swap_methods.NAME, seed=5, count=2, steps=2, resample=1)
    assert result.seeds == [5, 6]
    assert_exact(result, PERSON)
    assert not np.array_equal(result.images[0], result.images[1])
    given = swap_methods.TinySwap.given[0]
    assert given["image"].shape == given["garment"].shape == (64, 44, 3)
    assert given["pose"].size == given["garment_pose"].size == (44, 64)
    assert given["region"] == "top" and given["steps"] == 2 and given["resample"] == 1
    assert given["region_mask"].max() == 1 and given["garment_mask"].max() > 0.5
    assert given["garment_person"].sum() > given["garment_mask"].sum()
    alone = made(method=swap_methods.NAME, seed=6, steps=2, resample=1)
    assert np.array_equal(alone.images[0], result.images[1]), "a picture depends on its seed"


def test_the_garments_texture_comes_back_at_the_photos_resolution(
    tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap_methods.TinySwap, "copies", True)
    other = OTHER.copy()
    other[OTHER_LABELS == TOP] = (40, 160, 60)
    rows = np.arange(len(other))[:, None] % 4 < 2
    other[(OTHER_LABELS == TOP) & rows] = (220, 230, 90)  # stripes too fine for 44 x 64

    def contrast(texture: bool) -> float:
        settings = SwapSettings(method=swap_methods.NAME, seed=0, texture=texture)
        result = drain(
            swap(
                PERSON, POSE, other, OTHER_POSE, settings,
                person_labels=LABELS, garment_labels=OTHER_LABELS,
            )
        )  # fmt: skip
        assert_exact(result, PERSON)
        chest = result.images[0][65:90, 65:80].astype(float).mean((1, 2))
        return float(np.abs(np.diff(chest)).mean())

    assert contrast(True) > 1.5 * contrast(False)


def test_closing_the_job_stops_the_method_and_frees_the_accelerator(tiny: None) -> None:
    settings = SwapSettings(method=swap_methods.NAME, steps=50)
    work = swap(
        PERSON, POSE, OTHER, OTHER_POSE, settings,
        person_labels=LABELS, garment_labels=OTHER_LABELS,
    )  # fmt: skip
    for step in work:
        if step.stage == "denoising" and step.index == 3:
            break
    work.close()
    assert swap_methods.TinySwap.closed == [3]
    assert not ACCELERATOR.locked()


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "sky"}, {"method": "magic"}, {"count": 0}, {"count": 64}, {"seed": -2},
        {"garment": "hat"}, {"steps": 0}, {"guidance_scale": float("nan")}, {"resample": 11},
        {"steps": 5}, {"resample": 1}, {"guidance_scale": 2.0},
    ],
    ids=str,
)  # fmt: skip
def test_c47_impossible_swap_settings_are_refused_before_any_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        swap(PERSON, POSE, OTHER, OTHER_POSE, SwapSettings(**wrong))


def test_the_trained_method_without_weights_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    assert method_names("swap") == ["swap", "warp"]
    assert "warp" not in method_names()
    with pytest.raises(WeightsError, match=r"training.train --config swap.*choose the method warp"):
        swap(PERSON, POSE, OTHER, OTHER_POSE, SwapSettings(method="swap"))


@pytest.mark.parametrize("color", [0, 128, 255])
def test_an_empty_garment_photo_is_refused_at_once(color: int) -> None:
    with pytest.raises(ImageError, match="empty, one colour"):
        swap(PERSON, POSE, np.full((80, 80, 3), color, np.uint8), None, SwapSettings())


@pytest.mark.parametrize(("fill", "said"), [(0, "empty"), (1, "covers the whole photo")])
def test_a_mask_of_nothing_or_everything_is_refused_at_once(fill: int, said: str) -> None:
    mask = np.full(LABELS.shape, fill, np.float32)
    with pytest.raises(ImageError, match=said):
        swap(PERSON, POSE, OTHER, OTHER_POSE, SwapSettings(), mask)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"person_pose": OTHER_POSE}, PoseError),
        ({"garment_pose": POSE}, PoseError),
        ({"mask": np.ones((3, 3), np.float32)}, ImageError),
        ({"person_image": PERSON[..., 0]}, ImageError),
        ({"person_labels": LABELS[1:]}, ImageError),
    ],
)
def test_what_does_not_fit_together_is_refused_at_once(
    change: dict[str, Any], kind: type[Exception]
) -> None:
    arguments: dict[str, Any] = {
        "person_image": PERSON, "person_pose": POSE, "garment_image": OTHER,
        "garment_pose": OTHER_POSE, "settings": SwapSettings(),
    }  # fmt: skip
    with pytest.raises(kind):
        swap(**(arguments | change))


def test_shoes_out_of_the_frame_are_said_and_nothing_is_made() -> None:
    upper = np.where(LABELS == SHOES, 0, LABELS).astype(np.uint8)[:150]
    state = POSE.state.copy()
    state[[10, 13]] = 0
    pose = POSE.replace(state=state, size=(LABELS.shape[1], 150))
    photo = np.ascontiguousarray(PERSON[:150])
    work = swap(
        photo, pose, OTHER, OTHER_POSE, SwapSettings(region="shoes"),
        person_labels=upper, garment_labels=OTHER_LABELS,
    )  # fmt: skip
    with pytest.raises(ImageError, match="No shoes and no feet"):
        drain(work)
    assert not ACCELERATOR.locked()


def test_a_garment_that_its_photo_does_not_show_is_said() -> None:
    shoeless = np.where(OTHER_LABELS == SHOES, 0, OTHER_LABELS).astype(np.uint8)
    with pytest.raises(ImageError, match="No shoes are to be seen on the garment photo"):
        find_garment(OTHER, "shoes", "worn", OTHER_POSE, shoeless)


@pytest.mark.models
def test_a_photo_without_a_person_or_a_plain_ground_is_refused_in_words() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (160, 120, 3)).astype(np.uint8)
    with pytest.raises(DetectionError, match="Nobody was found"):
        find_garment(noise, "top", "worn")
    with pytest.raises(ImageError, match="not plain"):
        find_garment(noise, "top")


def test_the_same_picture_as_person_and_garment_works() -> None:
    """C-24: both slots hold the same photo."""
    result = drain(
        swap(
            PERSON, POSE, PERSON, POSE, SwapSettings(),
            person_labels=LABELS, garment_labels=LABELS,
        )
    )  # fmt: skip
    inside = (LABELS == TOP) & (result.mask > 0)
    assert np.abs(result.images[0][inside].astype(int) - PERSON[inside]).mean() < 12
    assert_exact(result, PERSON)


def test_a_plan_shows_mask_and_warp_before_anything_is_made() -> None:
    garment = find_garment(OTHER, "top", "worn", OTHER_POSE, OTHER_LABELS)
    plan = plan_swap(PERSON, POSE, garment, "top", LABELS)
    assert plan.mask is not None and plan.problem == ""
    assert np.array_equal(plan.mask, made().mask)
    assert plan.warped.alpha.shape == LABELS.shape
