import dataclasses

import numpy as np
import pytest

from reposedm.errors import SettingsError
from reposedm.jobs.settings import SEEDS, ReposeSettings
from reposedm.pipelines.base import Capabilities

PLAIN = Capabilities("plain", "Plain", "", None, ("work",), stochastic=False)


def test_whole_floats_and_numpy_numbers_are_numbers() -> None:
    settings = ReposeSettings(steps=20.0, count=np.int64(2), guidance_scale=2, seed=np.float32(7))
    assert (settings.steps, settings.count, settings.seed) == (20, 2, 7)
    assert type(settings.steps) is int and type(settings.guidance_scale) is float


def test_minus_one_and_none_mean_drawn() -> None:
    for seed in (-1, -1.0, None):
        assert ReposeSettings(seed=seed).seed is None
    drawn = {ReposeSettings().with_seed().seed for _ in range(8)}
    assert len(drawn) == 8 and all(0 <= seed < SEEDS for seed in drawn)
    assert ReposeSettings(seed=5).with_seed().seed == 5


def test_frozen_and_checked_again_on_replace() -> None:
    settings = ReposeSettings()
    with pytest.raises(AttributeError):
        settings.steps = 3  # type: ignore[misc]
    with pytest.raises(SettingsError):
        settings.replace(count=0)


@pytest.mark.parametrize("control", ["steps", "guidance_scale", "pose_guidance_scale"])
def test_a_control_that_means_nothing_is_refused(control: str) -> None:
    settings = ReposeSettings(**{control: 3})
    with pytest.raises(SettingsError, match="means nothing to the method Plain"):
        settings.check_understood(PLAIN)
    ReposeSettings().check_understood(PLAIN)


def test_restored_keeps_what_is_possible_and_says_what_is_not() -> None:
    stored = {
        "steps": 30,
        "seed": 9,
        "count": 1,
        "background": "lava",
        "pose": [1],
        "color": "#000",
    }
    settings, notes = ReposeSettings.restored(stored)
    assert (settings.steps, settings.seed, settings.background) == (30, 9, "photo")
    assert len(notes) == 2
    assert any("lava" in note for note in notes) and any("#000" in note for note in notes)


@pytest.mark.parametrize("stored", [[], None, "x", {1: 2}, {"method": "magic"}, {"seed": "evil()"}])
def test_restored_takes_anything(stored: object) -> None:
    settings, notes = ReposeSettings.restored(stored)  # type: ignore[arg-type]
    assert settings == ReposeSettings()
    assert len(notes) == (0 if stored == {1: 2} else 1)


def test_plain_colour() -> None:
    assert ReposeSettings(color="#0aFF80").rgb == (10, 255, 128)


def test_texture_is_on_and_only_off_where_that_means_something() -> None:
    assert ReposeSettings().texture and ReposeSettings.restored({"texture": False})[0] == (
        ReposeSettings(texture=False)
    )
    with pytest.raises(SettingsError, match="texture must be true or false"):
        ReposeSettings(texture="yes")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="cannot be switched off for the method Plain"):
        ReposeSettings(texture=False).check_understood(PLAIN)
    able = dataclasses.replace(PLAIN, controls=frozenset({"texture"}))
    ReposeSettings(texture=False).check_understood(able)
