"""DeepSpeed: what is refused, and that its checkpoints are those of a run without it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from reposedm.errors import SettingsError
from tests.training.runs import FAST, contents, newest, train
from training import zero
from training.config import StageConfig

ROOT = Path(__file__).parents[2]
ONLY_DENOISER = [f"stages.{name}.steps=0" for name in ("autoencoder", "estimator", "alignment")]


def accelerator(**config: Any) -> Any:
    """What of accelerate's ``Accelerator`` is asked."""
    plugin = SimpleNamespace(deepspeed_config=config)
    return SimpleNamespace(state=SimpleNamespace(deepspeed_plugin=plugin), num_processes=3)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "stage None"),
        ({"zero_optimization": {"stage": 3}}, "stage 3"),
        (
            {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}},
            "offload_optimizer",
        ),
        ({"zero_optimization": {"stage": 2}, "bf16": {"enabled": True}}, "bf16"),
        ({"zero_optimization": {"stage": 1}, "fp16": {"enabled": True}}, "fp16"),
    ],
)
def test_what_checkpoints_cannot_hold_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        zero.check(accelerator(**config))


@pytest.mark.parametrize("stage", [1, 2])
def test_stages_1_and_2_follow_the_runs_own_settings(stage: int) -> None:
    none = {"device": "none"}
    found = accelerator(
        zero_optimization={"stage": stage, "offload_optimizer": none},
        bf16={"enabled": "auto"},
        gradient_clipping="auto",
    )
    zero.check(found)
    zero.configure(found, StageConfig(batch=4, accumulate=2, clip=0.5))
    config = found.state.deepspeed_plugin.deepspeed_config
    assert config["train_micro_batch_size_per_gpu"] == 4
    assert config["gradient_accumulation_steps"] == 2
    assert config["train_batch_size"] == 24
    assert config["gradient_clipping"] == 0.5


def test_without_deepspeed_nothing_is_its() -> None:
    network = torch.nn.Linear(2, 2)
    assert zero.inside(network) is network
    assert not zero.is_zero(torch.optim.AdamW(network.parameters()))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="needs DeepSpeed")
def test_its_checkpoints_resume_exactly_and_without_it(whole: Path, tmp_path: Path) -> None:
    settings = tmp_path / "deepspeed.json"
    settings.write_text(json.dumps({"zero_optimization": {"stage": 2}, "train_batch_size": "auto"}))
    only = [*ONLY_DENOISER, f"init.pipeline={whole / 'weights' / 'reposedm'}"]

    def launch(out: Path, steps: int) -> None:
        command = (sys.executable, "-m", "training.train", "--config", "tiny", "--out", str(out))
        environment = os.environ | {
            "ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": str(settings),
            "DS_ACCELERATOR": "cpu", "LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "1",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29641",
        }  # fmt: skip
        finished = subprocess.run(
            [*command, *FAST, *only, f"stages.diffusion.steps={steps}"],
            cwd=ROOT, env=environment, check=False, timeout=280,
        )  # fmt: skip
        assert finished.returncode == 0

    launch(tmp_path / "once", 3)
    for steps in (2, 3):
        launch(tmp_path / "twice", steps)
    assert contents(newest(tmp_path / "twice")) == contents(newest(tmp_path / "once"))
    assert train(tmp_path / "without", *only, "stages.diffusion.steps=3") == 0
    with_it, without = (newest(tmp_path / name) for name in ("once", "without"))
    for group in ("unet", "optimizer", "ema"):
        one, two = with_it.tensors(group), without.tensors(group)
        assert one.keys() == two.keys()
        assert max(float((one[k].double() - two[k].double()).abs().max()) for k in one) < 1e-5
