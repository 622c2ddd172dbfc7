"""B1's weights as the beginning of a network that alignment is added to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reposedm.errors import SettingsError
from reposedm.models.unet import UNet
from tests.pipelines.tiny import generators, lively, person, tiny_pidm
from training.baseline import continue_unet
from training.components import Components, build
from training.config import load_config

SIZE = "data.size=[96,64]"


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baseline") / "pidm"
    tiny_pidm(extra=False).save_pretrained(folder)
    return folder


def settings_of(baseline: Path, *more: str) -> list[str]:
    return [
        SIZE, "method=b2", f"init.baseline={baseline}", f"init.autoencoder={baseline}/autoencoder",
        "diffusion.guided=false", "models.unet.source_context=true",
        "models.unet.extra_channels=4", "models.unet.gated=[0]", *more,
    ]  # fmt: skip


def test_the_first_step_is_told_what_b1_says_whatever_is_aligned(baseline: Path) -> None:
    components: Any = build(load_config("tiny", settings_of(baseline)))
    assert isinstance(components, Components)
    photo, source, target, mask = person()

    def drawn(pipe: Any) -> np.ndarray:
        made = pipe(photo, source, target, source_mask=mask, steps=2, generators=generators(1))
        return made.images[0][..., :3].astype(int)

    pipe = components.pipeline()
    expected = drawn(tiny_pidm(extra=False))
    found = drawn(pipe)
    assert np.abs(found - expected).max() <= 1  # the silhouettes differ, colours do not
    with torch.no_grad():
        pipe.unet.down[0].blocks[0].sum.weight.fill_(0.3)
    assert (drawn(pipe) != found).any()  # and alignment has its say from then on


@pytest.mark.parametrize(
    ("unet", "given", "said"),
    [
        (UNet.tiny(source_context=True), UNet.tiny(blocks=2), "differ in down.0.blocks.1"),
        (UNet.tiny(source_context=True), UNet.tiny(prediction="sample"), "differ in prediction"),
        (UNet.tiny(source_context=True), UNet.tiny(extra_channels=4), "of other inputs|differ"),
        (UNet.tiny(), UNet.tiny(), "of other inputs"),
    ],
)
def test_other_networks_are_refused(unet: UNet, given: UNet, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        continue_unet(unet, given)


def test_of_extra_channels_nothing_is_heard_at_first() -> None:
    unet = lively(UNet.tiny(source_context=True, extra_channels=4), 1)
    given = lively(UNet.tiny(), 2)
    continue_unet(unet, given)
    assert torch.equal(unet.stem.weight[:, :8], given.stem.weight)
    assert not unet.stem.weight[:, 8:].any()


@pytest.mark.parametrize(
    "change", ["models.unet.source_context=false", "method=b1", "init.pipeline=somewhere"]
)
def test_settings_that_have_no_baseline_are_refused(baseline: Path, change: str) -> None:
    more = ["diffusion.joint_alignment=false", "stages.alignment.steps=0", change]
    with pytest.raises(SettingsError, match=r"init\.baseline is where"):
        load_config("tiny", settings_of(baseline, *more))
