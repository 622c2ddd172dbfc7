"""Where the pictures look in the photo: from the alignment through the pipeline into a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reposedm.jobs.methods import load_method, unload_methods
from reposedm.jobs.repose import COMPOSING, ReposeResult, repose
from reposedm.jobs.settings import ReposeSettings
from reposedm.pipelines.base import drain
from reposedm.pipelines.conditions import inputs_of
from reposedm.pipelines.preview import PreviewEngine
from tests import drawn
from tests.pipelines.tiny import SIZE, generators, person, tiny_pidm, tiny_reposedm

TINY = ReposeSettings(method="reposedm", seed=3, steps=1, pose_guidance_scale=0)
SMOOTH, POSE, MASK = drawn.photo(150, 200)
GRAIN = np.random.default_rng(0).integers(-30, 30, SMOOTH.shape)
IMAGE = (SMOOTH + GRAIN).clip(0, 255).astype(np.uint8)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    tiny_reposedm(steer=False).save_pretrained(tmp_path / "reposedm")
    yield load_method("reposedm")
    unload_methods()


def made(settings: ReposeSettings) -> ReposeResult:
    job = repose(IMAGE, POSE, POSE, settings, source_mask=MASK)
    while True:
        try:
            next(job)
        except StopIteration as stop:
            return stop.value


def test_reposedm_gives_the_mapping_of_its_alignment() -> None:
    method, (photo, source, target, mask) = tiny_reposedm(steer=False), person()
    stream = method.stream(
        photo, source, target, source_mask=mask, steps=1, generators=generators(1, 2)
    )
    found = drain(stream).correspondence
    shape = (SIZE[1] // 8, SIZE[0] // 8)
    assert found is not None
    assert found.mapping.shape == (2, *shape) and found.visible.shape == shape
    assert found.mapping.dtype == found.visible.dtype == np.float32
    assert 0 <= found.visible.min() <= found.visible.max() <= 1
    with torch.no_grad():
        shown = method.align(inputs_of(photo, source, target, mask))
    assert np.array_equal(found.mapping, shown.mapping[0].numpy())
    assert np.array_equal(found.visible, shown.visible[0, 0].numpy())


def test_methods_that_align_nothing_give_none() -> None:
    photo, source, target, mask = person()
    for method in (tiny_pidm(), PreviewEngine()):
        output = drain(method.stream(photo, source, target, source_mask=mask))
        assert output.correspondence is None
        assert "texture" not in method.capabilities.controls


def test_a_job_without_paste_back_has_the_photos_resolution(installed: Any) -> None:
    settings = TINY.replace(paste_back=False)
    with_texture, without = made(settings), made(settings.replace(texture=False))
    left, top, right, bottom = with_texture.frame.box
    assert with_texture.images[0].shape == (bottom - top, right - left, 3)
    assert with_texture.frame.is_native
    assert without.images[0].shape == (SIZE[1], SIZE[0], 3) and without.frame.size == SIZE
    assert without.frame.box == with_texture.frame.box
    assert with_texture.settings["texture"] is True and without.settings["texture"] is False


@pytest.mark.parametrize("background", ["photo", "transparent"])
def test_a_job_keeps_the_photos_own_pixels(installed: Any, background: str) -> None:
    """Where alignment says "here, and visible", and the network painted the very photo."""
    paint_the_photo(installed)
    settings = TINY.replace(background=background)
    (image,), (plain,) = made(settings).images, made(settings.replace(texture=False)).images
    inside = MASK >= 0.9999
    errors, worse = (np.abs(one[..., :3].astype(int) - IMAGE)[inside] for one in (image, plain))
    # At the very edge the picture that was painted has the surroundings' colours in it.
    assert (errors > 2).mean() < 0.02 and worse.mean() > 5
    if background == "photo":
        assert np.array_equal(image[:2], IMAGE[:2])


def paint_the_photo(method: Any) -> None:
    """Make a pipeline return the photo that it is given, aligned to where it is."""
    for aggregator in method.alignment.aggregators:
        torch.nn.init.zeros_(aggregator.step.weight)
        with torch.no_grad():
            aggregator.step.bias.copy_(torch.tensor([0.0, 0.0, 20.0]))
    stream = method.stream

    def painted(image: np.ndarray, *poses: Any, **options: Any) -> Any:
        output = yield from stream(image, *poses, **options)
        alpha = np.rint(options["source_mask"] * 255).astype(np.uint8)
        return dataclasses.replace(output, images=[np.dstack((image, alpha))])

    method.stream = painted


def test_closing_a_job_before_it_composes_stops_it(installed: Any) -> None:
    job = repose(IMAGE, POSE, POSE, TINY.replace(count=2), source_mask=MASK)
    stages = []
    for step in job:
        stages.append(step.stage)
        if step.stage == COMPOSING:
            job.close()
    assert stages[-1] == COMPOSING and stages.count(COMPOSING) == 1
