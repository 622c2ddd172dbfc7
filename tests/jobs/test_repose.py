import numpy as np
import pytest

from reposedm.errors import ImageError, PoseError, SettingsError
from reposedm.jobs.repose import ReposeResult, check_method, fit_pose, fit_preset, repose
from reposedm.jobs.settings import ReposeSettings
from reposedm.pipelines.base import Step
from reposedm.pose import Pose
from tests.drawn import arms_up, photo, standing
from tests.methods import TinyDiffusion, blobs

IMAGE, POSE, MASK = photo()
WANTED = arms_up(POSE)
TINY = ReposeSettings(method="tiny", seed=3)


def run(settings: ReposeSettings = TINY, target: Pose = WANTED) -> tuple[ReposeResult, list[Step]]:
    job, steps = repose(IMAGE, POSE, target, settings, source_mask=MASK), []
    while True:
        try:
            steps.append(next(job))
        except StopIteration as stop:
            return stop.value, steps


def test_pasted_back_at_the_photos_own_size(tiny: TinyDiffusion) -> None:
    result, _ = run()
    (image,) = result.images
    assert image.shape == IMAGE.shape and image.dtype == np.uint8
    corners = (slice(0, 3), slice(0, 3))
    assert np.array_equal(image[corners], IMAGE[corners])
    # Where the wanted pose has its wrists, there is the method's picture, not the photo's.
    layer = result.frame.place(np.dstack((np.zeros((64, 44, 3), np.uint8), wrists(result))))
    new = layer[..., 3] > 250
    assert new.sum() > 20
    assert (image[new] != IMAGE[new]).any(1).mean() > 0.9


def wrists(result: ReposeResult) -> np.ndarray:
    """uint8 (64, 44): what the tiny method draws on."""
    return np.rint(blobs(result.frame.to_frame(WANTED)) * 255).astype(np.uint8)


def test_in_the_methods_frame(tiny: TinyDiffusion) -> None:
    result, _ = run(TINY.replace(paste_back=False))
    assert result.images[0].shape == (64, 44, 3)
    assert result.frame.size == (44, 64)


@pytest.mark.parametrize("paste_back", [True, False])
def test_transparent_is_the_person_alone(tiny: TinyDiffusion, paste_back: bool) -> None:
    result, _ = run(TINY.replace(background="transparent", paste_back=paste_back))
    (image,) = result.images
    assert image.shape == ((*IMAGE.shape[:2], 4) if paste_back else (64, 44, 4))
    assert image[0, 0].tolist() == [0, 0, 0, 0]
    assert image[..., 3].max() == 255
    if not paste_back:
        assert np.array_equal(image[..., 3], wrists(result))


@pytest.mark.parametrize("paste_back", [True, False])
def test_plain_is_one_colour_behind_the_person(tiny: TinyDiffusion, paste_back: bool) -> None:
    settings = TINY.replace(background="plain", color="#102030", paste_back=paste_back)
    result, _ = run(settings)
    alone, _ = run(settings.replace(background="transparent"))
    behind = alone.images[0][..., 3] == 0
    assert behind.any()
    assert (result.images[0][behind] == (16, 32, 48)).all()
    person = alone.images[0][..., 3] == 255
    assert np.array_equal(result.images[0][person], alone.images[0][person][:, :3])


def test_steps_say_what_is_going_on(tiny: TinyDiffusion) -> None:
    result, steps = run(TINY.replace(steps=3, count=2))
    assert [step.stage for step in steps] == ["preparing"] * 2 + ["denoising"] * 3 + [
        "composing"
    ] * 2
    assert all(1 <= step.index <= step.total for step in steps)
    assert result.seconds > 0 and result.peak_memory_mb > 10


def test_seeds_count_up_and_pictures_differ(tiny: TinyDiffusion) -> None:
    result, _ = run(TINY.replace(seed=2**32 - 1, count=3))
    assert result.seeds == [2**32 - 1, 0, 1]
    assert not np.array_equal(result.images[0], result.images[1])


def test_settings_are_for_the_file(tiny: TinyDiffusion) -> None:
    import json

    result, _ = run(TINY.replace(count=2))
    text = json.dumps(result.settings_of(1), allow_nan=False)
    stored = json.loads(text)
    assert (stored["seed"], stored["count"], stored["method"], stored["steps"]) == (4, 1, "tiny", 4)
    assert stored["size"] == [96, 128]
    assert len(text) < 10_000


def test_controls_that_mean_nothing_are_refused(tiny: TinyDiffusion) -> None:
    with pytest.raises(SettingsError, match="pose guidance"):
        check_method(TINY.replace(pose_guidance_scale=2))
    check_method(TINY.replace(guidance_scale=2))


def test_refused_at_once_not_at_the_first_step(tiny: TinyDiffusion) -> None:
    other = standing(100, 128)
    with pytest.raises(PoseError, match="100 x 128"):
        repose(IMAGE, POSE, other, TINY)
    with pytest.raises(PoseError, match="hidden"):
        repose(IMAGE, POSE.replace(state=np.zeros(18)), WANTED, TINY)
    with pytest.raises(ImageError, match="uint8"):
        repose(IMAGE.astype(np.float32), POSE, WANTED, TINY)
    with pytest.raises(ImageError, match="mask"):
        repose(IMAGE, POSE, WANTED, TINY, source_mask=MASK[:-1])
    with pytest.raises(ImageError, match="mask"):
        repose(IMAGE, POSE, WANTED, TINY, source_mask=np.full_like(MASK, np.nan))
    with pytest.raises(SettingsError, match="'no'"):
        repose(IMAGE, POSE, WANTED, TINY.replace(method="no"))


def test_arguments_are_not_changed(tiny: TinyDiffusion) -> None:
    image, mask = IMAGE.copy(), MASK.copy()
    run()
    assert np.array_equal(image, IMAGE) and np.array_equal(mask, MASK)


def test_fit_pose_gives_the_bodys_bones(tiny: TinyDiffusion) -> None:
    small = POSE.transformed(0.5, (10, 5), (300, 100))
    fitted = fit_pose(small, POSE, ReposeSettings())
    assert fitted.size == POSE.size
    assert np.allclose(fitted.points, POSE.points, atol=0.5)


def test_fit_pose_without_retarget_scales_as_a_whole() -> None:
    settings = ReposeSettings(retarget=False)
    assert fit_pose(POSE, POSE, settings) == POSE
    body = standing(192, 256)
    assert np.allclose(fit_pose(POSE, body, settings).points, POSE.points * 2)
    wide = standing(300, 128)
    centred = POSE.points + np.array((102, 0))
    assert np.allclose(fit_pose(POSE, wide, settings).points, centred, atol=1e-3)


def test_fit_preset_stands_where_the_body_does() -> None:
    fitted = fit_preset("standing", POSE, ReposeSettings())
    assert fitted.size == POSE.size
    hips = POSE.points[[8, 11]].mean(0)
    assert abs(fitted.points[[8, 11]].mean(0)[0] - hips[0]) < 2
    with pytest.raises(PoseError, match="no preset"):
        fit_preset("flying", POSE, ReposeSettings())
