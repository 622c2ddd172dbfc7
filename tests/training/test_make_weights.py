"""``make weights``: its commands are commands, and each trains one stage from the one before."""

from __future__ import annotations

import importlib
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from training.arms import parse_arm
from training.config import load_config

ROOT = Path(__file__).parents[2]


def commands(target: str) -> list[list[str]]:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        [make, "-n", target, "BIN=bin", "VENV=/nowhere", "RUNS=r"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[2:] for line in lines if line.startswith("bin/python -m")]


def test_every_stage_is_trained_alone_and_uses_those_before() -> None:
    trained = [line for line in commands("weights") if line[0] == "training.train"]
    plans = []
    for line in trained:
        name = line[line.index("--config") + 1]
        settings = [word for word in line if "=" in word and not word.startswith("-")]
        config = load_config(name, settings)
        assert "--max-minutes" in line
        out = line[line.index("--out") + 1]
        plans.append((name, out, config.plan, config.data.root))
        if out == "r/small":
            assert config.diffusion.kept == ("r/small-kept", "r/small-kept-still")
            assert config.init.baseline == "r/small-b1/weights/pidm"
        if out == "r/small-b1-on":  # as many steps more as alignment is added in
            assert config.init.pipeline == "r/small-b1/weights/pidm"
            assert config.stages.diffusion == load_config("small").stages.diffusion
        if name == "small-b1":  # the samples of the others
            assert config.diffusion.kept == ("r/small-b1-kept", "r/small-b1-kept-still")
        if name in ("swap", "street"):  # of the weights that the others made
            assert config.init.pipeline == "assets/weights/reposedm"
            assert config.diffusion.kept == (f"{out}-kept",)
        elif config.plan == ("diffusion",):
            assert config.init.autoencoder == "r/small-autoencoder/networks/autoencoder"
    assert plans == [
        ("small", "r/small-autoencoder", ("autoencoder",), "data/people"),
        ("small-b1", "r/small-b1", ("diffusion",), "data/people"),
        ("small", "r/small-estimator", ("estimator",), "data/people"),
        ("small", "r/small-alignment", ("prior", "alignment"), "data/people"),
        ("small", "r/small", ("diffusion",), "data/people"),
        ("small-b1", "r/small-b1-on", ("diffusion",), "data/people"),
        ("swap", "r/swap", ("diffusion",), "data/people"),
        ("street", "r/street", ("diffusion",), "data/street"),
    ]


def test_the_last_stage_takes_samples_of_its_own_networks() -> None:
    made = commands("weights")
    kept = [line for line in made if line[0] == "training.kept" and "small" in line]
    (last,) = (line for line in made if line[0] == "training.train" and "r/small" in line)
    wanted = {word for word in last if word.startswith(("init.", "data.root="))}
    wanted -= {"init.baseline=r/small-b1/weights/pidm"}  # kept samples are what alignment says
    assert len(kept) == 2 and len(wanted) == 4
    assert all(wanted <= set(line) for line in kept)
    folders = [line[line.index("--out") + 1] for line in kept]
    assert folders == ["r/small-kept", "r/small-kept-still"]
    assert made.index(kept[1]) < made.index(last)


def test_then_it_is_measured_and_the_card_written() -> None:
    made = commands("weights")
    names = [line[0] for line in made]
    assert names[-1] == "training.card"
    for name in names:
        assert importlib.util.find_spec(name) is not None, name  # type: ignore[attr-defined]
    names = []
    for ablation in (line for line in made if line[0] == "training.ablation"):
        arms = [parse_arm(ablation[k + 1]) for k, word in enumerate(ablation) if word == "--arm"]
        names.append({arm.name for arm in arms})
    assert names == [{"full", "b1", "b2"}, {"b2", "street"}]
    rendered = {line[line.index("--out") + 1]: line for line in made if "render" in line}
    assert "--one-camera" in rendered["data/held-out"]
    seeds = {folder: line[line.index("--seed") + 1] for folder, line in rendered.items()}
    held_out = {seeds.pop(folder) for folder in tuple(seeds) if folder.endswith(("out", "swap"))}
    assert len(seeds) == 2 and not held_out & set(seeds.values())  # nobody is in both
