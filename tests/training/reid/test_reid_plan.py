"""What is kept, what is drawn, and how long each arm trains."""

from __future__ import annotations

from collections import Counter

import pytest

from reposedm.errors import SettingsError
from tests.training.reid.small_market import shot
from training.reid.config import CONFIGS, ProtocolConfig, RecipeConfig, ReidConfig, read_config
from training.reid.plan import draws, jobs, kept, steps

TRAIN = tuple(sorted(shot(who, number) for who in range(1, 21) for number in range(who % 7 + 2)))


def test_a_fraction_keeps_its_share_and_everybody() -> None:
    for fraction in (20, 60, 100):
        chosen = kept(TRAIN, fraction, seed=0)
        assert len(chosen) == max(20, round(len(TRAIN) * fraction / 100))
        assert {one.person for one in chosen} == set(range(1, 21))
    assert len(kept(TRAIN, 1, seed=0)) == 20, "at least one of each, even beyond the share"


def test_larger_fractions_hold_smaller_ones() -> None:
    small, large = (set(kept(TRAIN, fraction, seed=3)) for fraction in (40, 80))
    assert small < large
    assert small != set(kept(TRAIN, 40, seed=4))
    assert kept(TRAIN, 40, seed=3) == kept(tuple(TRAIN), 40, seed=3)


def test_everybody_is_topped_up_from_kept_pictures() -> None:
    chosen = kept(TRAIN, 40, seed=0)
    usable = {one.name for one in chosen}
    made = draws(TRAIN, chosen, usable, seed=0)
    whole = Counter(one.person for one in chosen) + Counter(one.source.person for one in made)
    assert whole == Counter(one.person for one in TRAIN)
    assert {one.source for one in made} | {one.donor for one in made} <= set(chosen)
    assert all(one.donor != one.source for one in made)
    assert any(one.donor.person != one.source.person for one in made)
    assert len({one.name for one in made}) == len(made)
    assert all(one.name.startswith(f"{one.source.name}_g") for one in made)
    assert made == draws(TRAIN, chosen, usable, seed=0)
    assert made != draws(TRAIN, chosen, usable, seed=1)


def test_pictures_without_a_pose_are_neither_source_nor_target() -> None:
    chosen = kept(TRAIN, 40, seed=0)
    lost = chosen[0].person
    usable = {one.name for one in chosen if one.person != lost}
    made = draws(TRAIN, chosen, usable, seed=0)
    assert made
    assert all(lost not in (one.source.person, one.donor.person) for one in made)


def test_donors_can_be_the_same_person() -> None:
    chosen = kept(TRAIN, 60, seed=0)
    made = draws(TRAIN, chosen, {one.name for one in chosen}, seed=0, donors="same")
    assert made
    assert all(one.donor.person == one.source.person for one in made)


def test_all_arms_but_real_have_the_same_number_of_steps() -> None:
    recipe = RecipeConfig(epochs=10, people=8, each=4)
    assert steps("real", 240, 1200, recipe) == 75
    assert {steps(arm, 240, 1200, recipe) for arm in ("repeated", "generated", "oracle")} == {375}


def test_a_short_experiment_has_whole_seeds() -> None:
    protocol = ProtocolConfig(("real", "oracle"), (20, 60), (0, 1))
    names = [job.name for job in jobs(protocol, ("preview",))]
    assert names == [
        "real-020-s0", "real-060-s0", "real-020-s1", "real-060-s1",
        "oracle-020-s0", "oracle-060-s0", "oracle-020-s1", "oracle-060-s1",
    ]  # fmt: skip


def test_the_configurations_can_be_read() -> None:
    names = sorted(file.stem for file in CONFIGS.glob("*.yaml"))
    configs = {name: read_config(name) for name in names}
    market, cpu = configs["bot-market"], configs["synthetic-cpu"]
    assert market.recipe == RecipeConfig(), "BoT's recipe is the default"
    assert market.protocol.fractions == (20, 40, 60, 80)
    assert set(cpu.protocol.fractions) >= {20, 60}
    assert len(cpu.protocol.seeds) >= 3
    assert cpu.digest() != market.digest()


def test_settings_that_make_no_experiment_are_refused() -> None:
    with pytest.raises(SettingsError, match="there are bot-market, synthetic-cpu"):
        read_config("no-such")
    with pytest.raises(SettingsError, match="per cent"):
        ReidConfig(protocol=ProtocolConfig(fractions=(0,)))
    with pytest.raises(SettingsError, match="at least 2 people"):
        ReidConfig(recipe=RecipeConfig(people=1))
