"""What every pipeline promises, the preview engine included."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reposedm.errors import ImageError, PoseError, SettingsError
from reposedm.pipelines.base import Output, Step, drain
from reposedm.pipelines.preview import PreviewEngine
from tests.pipelines.tiny import generators, person, tiny_pidm, tiny_reposedm, tiny_street

MAKERS: dict[str, Callable[[], Any]] = {
    "preview": PreviewEngine,
    "reposedm": tiny_reposedm,
    "b2": lambda: tiny_reposedm(steer=False),
    "ddpm": lambda: tiny_reposedm(sampler="ddpm"),
    "flow": lambda: tiny_reposedm(prediction="flow_prediction", learn_variance=False),
    "no-alpha": lambda: tiny_reposedm(image_channels=3, alignment={"initial": "limbs"}),
    "pidm": tiny_pidm,
    "street": tiny_street,
}
NETWORKS = [name for name in MAKERS if name != "preview"]
WHOLE = [name for name in NETWORKS if name != "street"]
"""Those whose folder holds all their networks."""


@cache
def made(name: str) -> Any:
    """One of each: a run must leave nothing behind that another test could see."""
    return MAKERS[name]()


def drawn(method: Any, *seeds: int, **options: Any) -> Output:
    photo, source, target, mask = person()
    stream = method.stream(
        photo, source, target, source_mask=mask, generators=generators(*seeds), **options
    )
    return drain(stream)


def images(method: Any, *seeds: int, **options: Any) -> list[np.ndarray]:
    return list(drawn(method, *seeds, **options).images)


@pytest.mark.parametrize("name", MAKERS)
def test_steps_count_up_and_pictures_are_rgba(name: str) -> None:
    method, (photo, source, target, mask) = made(name), person()
    stream = method.stream(photo, source, target, source_mask=mask, generators=generators(1, 2))
    steps: list[Step] = []
    output = None
    while output is None:
        try:
            steps.append(next(stream))
        except StopIteration as stop:
            output = stop.value
    assert [step.index for step in steps] == list(range(1, steps[-1].total + 1))
    assert {step.total for step in steps} == {len(steps)}
    order = [method.capabilities.stages.index(step.stage) for step in steps]
    assert order == sorted(order) and set(order) == set(range(len(method.capabilities.stages)))
    for picture in (*output.images, *(one for step in steps for one in step.previews)):
        assert picture.dtype == np.uint8 and picture.shape == (*photo.shape[:2], 4)
    assert len(output.images) == 2
    assert all(isinstance(note, str) for note in output.notes)


@pytest.mark.parametrize("name", MAKERS)
def test_c80_the_same_seed_gives_the_same_bytes(name: str) -> None:
    assert np.array_equal(images(made(name), 7), images(made(name), 7))


@pytest.mark.parametrize("name", MAKERS)
def test_seeds_matter_where_the_method_says_so(name: str) -> None:
    method = made(name)
    (first,), (second,) = images(method, 1), images(method, 2)
    assert np.array_equal(first, second) != method.capabilities.stochastic


@pytest.mark.parametrize("name", MAKERS)
def test_without_generators_it_is_one_picture_with_seed_0(name: str) -> None:
    photo, source, target, mask = person()
    output = drain(made(name).stream(photo, source, target, source_mask=mask))
    assert np.array_equal(output.images, images(made(name), 0))


@pytest.mark.parametrize("name", MAKERS)
def test_c81_a_picture_alone_is_the_picture_in_a_batch(name: str) -> None:
    together = images(made(name), 5, 6, 7)
    for seed, picture in zip((5, 6, 7), together, strict=True):
        (alone,) = images(made(name), seed)
        assert np.abs(alone.astype(int) - picture).max() <= 1


@pytest.mark.parametrize("name", MAKERS)
def test_c41_closing_stops_within_one_step(name: str) -> None:
    method, (photo, source, target, mask) = made(name), person()
    calls: list[int] = []
    watched = getattr(method, "unet", None)
    hook = watched.register_forward_hook(lambda *_: calls.append(1)) if watched else None
    stream = method.stream(photo, source, target, source_mask=mask)
    for _ in range(2):
        next(stream)
    before = len(calls)
    stream.close()
    assert len(calls) == before
    with pytest.raises(StopIteration):
        next(stream)
    if hook is not None:
        hook.remove()
        assert before == 1


@pytest.mark.parametrize("name", MAKERS)
def test_c48_two_runs_taking_turns_do_not_disturb_each_other(name: str) -> None:
    method, (photo, source, target, mask) = made(name), person()
    alone = [images(method, seed) for seed in (1, 2)]
    streams = [
        method.stream(photo, source, target, source_mask=mask, generators=generators(seed))
        for seed in (1, 2)
    ]
    found: dict[int, Output] = {}
    while len(found) < 2:
        for index, stream in enumerate(streams):
            try:
                next(stream)
            except StopIteration as stop:
                if stop.value is not None:
                    found[index] = stop.value
    for index in (0, 1):
        assert np.array_equal(found[index].images, alone[index])


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_of_torchs_state_changes(name: str) -> None:
    """Neither between the steps, where the consumer runs, nor after."""
    method, (photo, source, target, mask) = made(name), person()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for _ in method.stream(photo, source, target, source_mask=mask):
        assert torch.is_grad_enabled()
        assert not torch.is_autocast_enabled("cpu")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", MAKERS)
def test_inputs_are_not_written_to(name: str) -> None:
    photo, source, target, mask = person()
    photo.setflags(write=False)
    mask.setflags(write=False)
    drain(made(name).stream(photo, source, target, source_mask=mask))


@pytest.mark.parametrize("name", MAKERS)
def test_arguments_without_meaning_are_refused_at_once(name: str) -> None:
    method = made(name)
    with pytest.raises(SettingsError, match="does not understand 'prompt'"):
        drawn(method, 0, prompt="a red dress")
    for control in ("steps", "guidance_scale", "pose_guidance_scale"):
        if control not in method.capabilities.controls:
            with pytest.raises(SettingsError):
                drawn(method, 0, **{control: 3})


@pytest.mark.parametrize("name", MAKERS)
def test_pictures_and_poses_that_do_not_fit_are_refused(name: str) -> None:
    method, (photo, source, target, mask) = made(name), person()
    with pytest.raises(ImageError, match="uint8"):
        drain(method.stream(photo.astype(np.float32), source, target, source_mask=mask))
    with pytest.raises(ImageError):
        drain(method.stream(photo, source, target, source_mask=mask[:-1]))
    other = source.transformed(2, 0, (source.size[0] * 2, source.size[1] * 2))
    with pytest.raises(PoseError):
        drain(method.stream(photo, other, target, source_mask=mask))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0}, {"steps": 1001}, {"steps": 2.5}, {"steps": True}, {"steps": "20"},
        {"guidance_scale": -5}, {"guidance_scale": 1e9}, {"guidance_scale": float("nan")},
        {"guidance_scale": "2"}, {"sampler": "plms"}, {"preview_every": -1},
    ],
    ids=str,
)  # fmt: skip
def test_c47_impossible_settings_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        drawn(made(name), 0, **options)


@pytest.mark.parametrize("name", NETWORKS)
def test_generators_must_be_one_a_picture_on_the_cpu(name: str) -> None:
    photo, source, target, mask = person()
    one = generators(1)[0]
    for wrong in ([], [one, one], [1], one):
        with pytest.raises(SettingsError, match="generator"):
            drain(made(name).stream(photo, source, target, source_mask=mask, generators=wrong))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("steps", [1, 3])
def test_any_number_of_steps(name: str, steps: int) -> None:
    photo, source, target, mask = person()
    said = list(made(name).stream(photo, source, target, source_mask=mask, steps=steps))
    assert [step.stage for step in said] == ["align", *["denoise"] * steps, "decode"]


@pytest.mark.parametrize("name", NETWORKS)
def test_previews_come_when_asked_and_change_nothing(name: str) -> None:
    photo, source, target, mask = person()
    stream = made(name).stream(photo, source, target, source_mask=mask, steps=5, preview_every=2)
    shown = [bool(step.previews) for step in stream]
    assert shown == [False, False, True, False, True, False, True]  # the last: the result
    first, second = (images(made(name), 3, preview_every=every) for every in (0, 1))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", WHOLE)
def test_saved_and_loaded_it_makes_the_same_bytes(name: str, tmp_path: Path) -> None:
    method = MAKERS[name]()
    folder = tmp_path / "my wéights"
    method.save_pretrained(folder)
    loaded = type(method).from_pretrained(folder)
    assert np.array_equal(images(loaded, 4), images(method, 4))
    assert loaded.capabilities == method.capabilities
    loaded.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again/manifest.json").read_bytes() == (
        folder / "manifest.json"
    ).read_bytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_bf16_is_close_to_fp32(name: str) -> None:
    method = MAKERS[name]()
    (exact,) = images(method, 3)
    with torch.autocast("cpu", torch.bfloat16):
        (mixed,) = images(method, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert method.to("cpu", torch.bfloat16) is method
    (half,) = images(method, 3)
    for other in (mixed, half):
        assert 0 < np.abs(exact.astype(int) - other).mean() < 4


@pytest.mark.parametrize("name", NETWORKS)
def test_the_photo_is_looked_at_once_a_run(name: str) -> None:
    method = made(name)
    looked: list[int] = []
    for part in ("alignment", "encoder", "pose_encoder"):
        network = getattr(method, part, None)
        if network is not None:
            network.register_forward_hook(lambda *_: looked.append(1))
    drawn(method, 1, 2, steps=5)
    assert len(looked) == 2  # the photo, and the pose
